# Where jobs are started from, each only if asked for: an EC2 host, GitHub's workflows. (EKS needs no resource of its own but the
# trust and the associations in iam.tf.)

resource "aws_iam_role" "host" {
  count = var.has_ec2_host ? 1 : 0

  name        = "${var.name}-host"
  description = "EC2 host that starts listenlake's jobs as containers"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_instance_profile" "host" {
  count = var.has_ec2_host ? 1 : 0

  name = "${var.name}-host"
  role = aws_iam_role.host[0].name
}

resource "aws_iam_role_policy_attachment" "host_ssm" {
  count = var.has_ec2_host ? 1 : 0

  # A shell without an open port.
  role       = aws_iam_role.host[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_role_policy" "host" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken knows no resource
  count = var.has_ec2_host ? 1 : 0

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
        Resource = [local.repository_arn]
      },
    ]
  })
}

resource "aws_iam_openid_connect_provider" "github" {
  # An account has at most one for this address.
  count = try(var.github.provider_arn, "") == null ? 1 : 0

  url            = "https://${local._github_host}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "image" {
  count = var.github == null ? 0 : 1

  name               = "${var.name}-image"
  description        = "GitHub workflow that pushes the image of the jobs"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = local._github_trust })
}

resource "aws_iam_role_policy" "image" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken knows no resource
  count = var.github == null ? 0 : 1

  name = "image"
  role = aws_iam_role.image[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Sid = "LogIn", Effect = "Allow", Action = ["ecr:GetAuthorizationToken"], Resource = ["*"] },
      {
        Sid    = "Push"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability",
          "ecr:BatchGetImage",
          "ecr:CompleteLayerUpload",
          "ecr:GetDownloadUrlForLayer",
          "ecr:InitiateLayerUpload",
          "ecr:PutImage",
          "ecr:UploadLayerPart",
        ]
        Resource = [local.repository_arn]
      },
    ]
  })
}

locals {
  repository_arn = "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/${var.name}"
}
