# One small host for one person: Airflow 3 and PostgreSQL in containers, each job a container of its own. No open port: Systems Manager is
# the way in. The host can be replaced at any time; what must outlive it lies on a disk of its own.

locals {
  _host_files = "${path.module}/airflow_ec2"
  # Without the lines that are comments: EC2 takes 16 KiB of user data.
  host_files = { for name in fileset(local._host_files, "*") : name => replace(file("${local._host_files}/${name}"), "/(?m)^[ \\t]*#[^!\\n].*\\n/", "") }

  # What the files in airflow_ec2/ read. No secret is among it: those are made on the host (start.sh).
  host_environment = !local.airflow.is_ec2 ? {} : {
    AIRFLOW_IMAGE       = "${aws_ecr_repository.airflow[0].repository_url}:${var.airflow.version}"
    AWS_REGION          = local.region
    BACKUPS             = "${local.lake_uri}/${local.airflow_backup_prefix}"
    DATA_VOLUME         = aws_ebs_volume.airflow[0].id
    JOB_IMAGE           = "${aws_ecr_repository.jobs.repository_url}:${var.airflow.version}"
    JOB_ROLES           = join(" ", keys(local.jobs))
    JOB_ROLE_PREFIX     = "arn:${local.partition}:iam::${local.account_id}:role/${var.name}-"
    LISTENLAKE_AWS_NAME = var.name
    LISTENLAKE_LAKE     = local.lake_uri
    LOG_DAYS            = tostring(var.airflow.log_days)
    LOG_GROUP           = local._host_log_group
    REGISTRY            = split("/", aws_ecr_repository.jobs.repository_url)[0]
  }

  # cloud-init's file, complete: what is below is all that makes a bare Amazon Linux into this host.
  host_user_data = !local.airflow.is_ec2 ? "" : join("\n", ["#cloud-config", yamlencode({
    packages = ["docker"]
    write_files = concat(local.backup_files, [
      { path = "/etc/listenlake/compose.yaml", content = local.host_files["compose.yaml"], permissions = "0644" },
      { path = "/etc/listenlake/host.env", content = join("", [for name, value in local.host_environment : "${name}=\"${value}\"\n"]), permissions = "0644" },
      { path = "/etc/listenlake/jobs.env", content = join("", [for name, value in local.secret_names : "${name}=${value}\n"]), permissions = "0644" },
      { path = "/usr/local/sbin/listenlake-roles", content = local.host_files["roles.sh"], permissions = "0755" },
      { path = "/usr/local/sbin/listenlake-start", content = local.host_files["start.sh"], permissions = "0755" },
      { path = "/usr/local/sbin/listenlake-tell", content = local.host_files["tell.sh"], permissions = "0755" },
      { path = "/etc/systemd/system/listenlake-airflow.service", content = local.host_files["airflow.service"], permissions = "0644" },
      { path = "/etc/systemd/system/listenlake-roles.service", content = local.host_files["roles.service"], permissions = "0644" },
      { path = "/etc/systemd/system/listenlake-roles.timer", content = local.host_files["roles.timer"], permissions = "0644" },
      # Task logs are read in Airflow's UI from the disk and go by themselves.
      { path = "/etc/tmpfiles.d/listenlake.conf", content = "e /srv/listenlake/logs - - - ${var.airflow.log_days}d\n", permissions = "0644" },
      # What every container prints goes to CloudWatch, jobs included; `docker logs` and Airflow read the same from Docker's own cache.
      { path = "/etc/docker/daemon.json", content = templatefile("${local._host_files}/daemon.json", { log_group = local._host_log_group, region = local.region }), permissions = "0644" },
    ])
    runcmd = concat([
      ["systemctl", "enable", "--now", "docker.service"],
      ["systemctl", "enable", "--now", "listenlake-roles.timer"],
      ["systemctl", "enable", "--now", "--no-block", "listenlake-airflow.service"],
    ], local.backup_commands)
  })])

  _host_log_group = local.airflow.is_ec2 ? one(local.airflow_log_groups) : null
}

# Newest when the host is made; later ones come with `terraform apply -replace=aws_instance.airflow[0]`.
data "aws_ssm_parameter" "amazon_linux" {
  count = local.airflow.is_ec2 ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${local.airflow_is_arm ? "arm64" : "x86_64"}"
}

resource "terraform_data" "airflow_platform" {
  count = local.airflow.is_ec2 ? 1 : 0

  input = local.airflow_platform
}

resource "aws_instance" "airflow" {
  #checkov:skip=CKV_AWS_88:the address is how it gets out without a NAT gateway; its security group lets nothing in
  #checkov:skip=CKV_AWS_126:five-minute metrics are enough for jobs that run once a day, and free
  count = local.airflow.is_ec2 ? 1 : 0

  ami                         = data.aws_ssm_parameter.amazon_linux[0].insecure_value
  instance_type               = var.airflow.ec2.instance_type
  subnet_id                   = local.host_subnet.id
  associate_public_ip_address = local.makes_network || var.network.public_address
  vpc_security_group_ids      = [aws_security_group.host[0].id]
  iam_instance_profile        = aws_iam_instance_profile.host[0].name
  ebs_optimized               = true
  user_data                   = local.host_user_data
  # A new version is a new host: nothing is ever changed by hand.
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # One hop ends at the host: no container can ask for the host's own credentials. Jobs get theirs as a file (roles.sh).
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    kms_key_id  = one(local.kms_key_arns)
    volume_type = "gp3"
    volume_size = 20
    tags        = { Name = "${var.name}-airflow-system" }
  }

  credit_specification {
    # A long run gets slower rather than dearer.
    cpu_credits = "standard"
  }

  tags = { Name = "${var.name}-airflow" }

  lifecycle {
    # Of a host that is stopped AWS says that it has no address: a plan made then would replace it.
    ignore_changes = [ami, associate_public_ip_address]
    # Another kind of processor needs another system.
    replace_triggered_by = [terraform_data.airflow_platform]
  }

  # Its first words need a way out and a place.
  depends_on = [aws_cloudwatch_log_group.host, aws_iam_role_policy.host, aws_iam_role_policy_attachment.host_ssm, aws_route.out, aws_route_table_association.airflow]
}

# Airflow's database, task logs and passwords. It outlives the host, not the lake. The database is dumped every night (airflow_backup.tf); the
# lake holds the data and says itself what is done.
resource "aws_ebs_volume" "airflow" {
  #checkov:skip=CKV_AWS_189:AWS's own key is the default because another costs money while idle; encryption = SSE-KMS turns the key on
  count = local.airflow.is_ec2 ? 1 : 0

  availability_zone = local.host_subnet.availability_zone
  encrypted         = true
  kms_key_id        = one(local.kms_key_arns)
  size              = var.airflow.ec2.data_gib
  type              = "gp3"

  tags = { Name = "${var.name}-airflow-data" }
}

resource "aws_volume_attachment" "airflow" {
  count = local.airflow.is_ec2 ? 1 : 0

  device_name = "/dev/sdf"
  instance_id = aws_instance.airflow[0].id
  volume_id   = aws_ebs_volume.airflow[0].id
  # A disk that is still written to would not come off.
  stop_instance_before_detaching = true
}

resource "aws_security_group" "host" {
  count = local.airflow.is_ec2 ? 1 : 0

  name        = "${var.name}-host"
  description = "Host of Airflow: nothing comes in, HTTPS goes out"
  vpc_id      = local.vpc_id
  # Said, so that a rule made by hand is taken away again.
  ingress = []

  # AWS, the registries of images, Spotify: all of them HTTPS. Names and time come from the network itself.
  egress {
    description = "HTTPS"
    cidr_blocks = ["0.0.0.0/0"]
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
  }
}

resource "aws_cloudwatch_log_group" "host" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself; encryption = SSE-KMS turns the lake's key on
  #checkov:skip=CKV_AWS_338:a log is for finding out why a run failed; how long is up to airflow.log_days
  count = local.airflow.is_ec2 ? 1 : 0

  name              = local._host_log_group
  retention_in_days = var.airflow.log_days
  kms_key_id        = one(local.kms_key_arns)
}

resource "aws_iam_role" "host" {
  count = local.airflow.is_ec2 ? 1 : 0

  name                 = "${var.name}-host"
  permissions_boundary = var.permissions_boundary_arn
  description          = "EC2 host that starts listenlake's jobs as containers"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_instance_profile" "host" {
  count = local.airflow.is_ec2 ? 1 : 0

  name = "${var.name}-host"
  role = aws_iam_role.host[0].name
}

resource "aws_iam_role_policy_attachment" "host_ssm" {
  count = local.airflow.is_ec2 ? 1 : 0

  # A shell and forwarded ports without an open one.
  role       = aws_iam_role.host[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "host" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken knows no resource
  count = local.airflow.is_ec2 ? 1 : 0

  name = "host"
  role = aws_iam_role.host[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "TakeJobRoles"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = [for name in keys(local.jobs) : "arn:${local.partition}:iam::${local.account_id}:role/${var.name}-${name}"]
      },
      { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      {
        Sid      = "Pull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = values(local.repository_arns)
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local._host_log_group}:*"]
      },
    ]
  })
}

# Up for some hours only, if asked for: a stopped host costs its two disks.
resource "aws_scheduler_schedule" "host" {
  #checkov:skip=CKV_AWS_297:it holds the id of the host and nothing to keep secret
  for_each = local.host_hours

  name                         = "${var.name}-host-${each.key}"
  description                  = "${each.key}s the host of Airflow"
  schedule_expression          = each.value.when
  schedule_expression_timezone = var.airflow.ec2.hours.timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:${local.partition}:scheduler:::aws-sdk:ec2:${each.key}Instances"
    role_arn = aws_iam_role.host_hours[0].arn
    input    = jsonencode({ InstanceIds = [aws_instance.airflow[0].id] })
  }
}

resource "aws_iam_role" "host_hours" {
  count = length(local.host_hours) > 0 ? 1 : 0

  name                 = "${var.name}-host-hours"
  permissions_boundary = var.permissions_boundary_arn
  description          = "EventBridge Scheduler starts and stops the host of Airflow"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "host_hours" {
  count = length(local.host_hours) > 0 ? 1 : 0

  name = "hours"
  role = aws_iam_role.host_hours[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Hours"
        Effect   = "Allow"
        Action   = ["ec2:StartInstances", "ec2:StopInstances"]
        Resource = [aws_instance.airflow[0].arn]
      }],
      # Who starts a host with disks under a key of the account gives EC2 the use of the key: without this the host is stopped and stays so.
      [for arn in local.kms_key_arns : {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:CreateGrant"]
        Resource = [arn]
        Condition = {
          Bool         = { "kms:GrantIsForAWSResource" = "true" }
          StringEquals = { "kms:ViaService" = "ec2.${local.region}.amazonaws.com" }
        }
      }],
    )
  })
}

locals {
  host_hours = !local.airflow.is_ec2 || var.airflow.ec2.hours == null ? {} : {
    start = { when = var.airflow.ec2.hours.start }
    stop  = { when = var.airflow.ec2.hours.stop }
  }
}
