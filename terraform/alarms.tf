# A mail when the daily run does not come, when a run fails, when the host is down, when its credentials or its backup are not made anew. Only if asked for
# by `alarms`. Airflow's scheduler writes a line for each run that ends, the host one for each renewal: filters count those lines.

locals {
  has_alarms = var.alarms.email != null || var.alarms.topic_arn != null

  _alarm_actions   = compact(concat([var.alarms.topic_arn], aws_sns_topic.alarms[*].arn))
  _alarm_namespace = "listenlake/${var.name}"
  # Where the lines are: the host's containers, or what the cluster's pods print.
  _alarm_log_group = { ec2 = local._host_log_group, eks = local._pods_log_group, lambda = null, none = null }[var.host]
  _pods_log_group  = "/aws/containerinsights/${var.name}/application"
  # A host that is up for some hours says nothing in the others.
  _is_always_up = var.airflow.ec2.hours == null

  # Lines that count. All phrases of a pattern must be in a line; airflow/tests/test_alarms.py compares them with what Airflow writes.
  alarm_lines = { for name, pattern in {
    RunsSucceeded      = "\"DagRun Finished: dag_id=listenlake_daily,\" \"state=success\""
    RunsFailed         = "\"DagRun Finished: dag_id=listenlake_\" \"state=failed\""
    BackupsWritten     = "\"backup of the database of Airflow written\""
    CredentialsRenewed = "\"credentials of the job roles renewed\""
    } : name => pattern if local.has_alarms && local.airflow.has_host && contains(concat(
      ["RunsSucceeded", "RunsFailed"],
      local.airflow.is_ec2 ? ["CredentialsRenewed"] : [],
      local.has_backup ? ["BackupsWritten"] : [],
  ), name) }

  alarms = { for name, alarm in {
    backup = {
      about       = "Airflow's database has not been dumped for two days (journalctl --unit listenlake-backup)"
      metric      = "BackupsWritten"
      is_below    = true
      hours       = 50
      on_no_lines = "breaching"
    }
    run-missing = {
      about       = "listenlake_daily has not ended green for ${var.alarms.hours_without_run} hours: is Airflow up, is the DAG switched on, does it fail?"
      metric      = "RunsSucceeded"
      is_below    = true
      hours       = var.alarms.hours_without_run
      on_no_lines = "breaching"
    }
    run-failed = {
      about       = "A run of a DAG of listenlake has failed: its tasks say why"
      metric      = "RunsFailed"
      is_below    = false
      hours       = 1
      on_no_lines = "notBreaching"
    }
    credentials = {
      about       = "The host has not renewed the credentials of the job roles for two hours: jobs fail from now on (journalctl --unit listenlake-roles)"
      metric      = "CredentialsRenewed"
      is_below    = true
      hours       = 2
      on_no_lines = local._is_always_up ? "breaching" : "notBreaching"
    }
  } : name => alarm if contains(keys(local.alarm_lines), alarm.metric) }
}

resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:AWS's own key for SNS lets no alarm publish; encryption = SSE-KMS turns the lake's key on
  count = var.alarms.email == null ? 0 : 1

  name              = "${var.name}-alarms"
  kms_master_key_id = one(local.kms_key_arns)
}

resource "aws_sns_topic_policy" "alarms" {
  count = length(aws_sns_topic.alarms)

  arn = aws_sns_topic.alarms[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.alarms[0].arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

# AWS sends a mail that asks for a click first.
resource "aws_sns_topic_subscription" "alarms" {
  count = length(aws_sns_topic.alarms)

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = var.alarms.email
}

resource "aws_cloudwatch_log_metric_filter" "alarm" {
  for_each = local.alarm_lines

  name           = "${var.name}-${each.key}"
  log_group_name = local._alarm_log_group
  pattern        = each.value

  metric_transformation {
    namespace = local._alarm_namespace
    name      = each.key
    value     = "1"
    # While other lines come, silence is a number, too.
    default_value = "0"
  }

  depends_on = [aws_cloudwatch_log_group.host, aws_cloudwatch_log_group.pods]
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = local._alarm_namespace
  metric_name         = each.value.metric
  statistic           = "Sum"
  comparison_operator = each.value.is_below ? "LessThanThreshold" : "GreaterThanOrEqualToThreshold"
  threshold           = 1
  # Hour by hour, because one period is at most a day, and CloudWatch looks back seven days at most.
  period              = 3600
  evaluation_periods  = each.value.hours
  datapoints_to_alarm = each.value.hours
  treat_missing_data  = each.value.on_no_lines
  alarm_actions       = local._alarm_actions
  ok_actions          = local._alarm_actions
}

# EC2 itself, every minute: the host does not answer, or is not there.
resource "aws_cloudwatch_metric_alarm" "host" {
  count = local.has_alarms && local.airflow.is_ec2 ? 1 : 0

  alarm_name          = "${var.name}-host"
  alarm_description   = "The host of Airflow is down: EC2 starts it again by itself where it can"
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { InstanceId = aws_instance.airflow[0].id }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  treat_missing_data  = local._is_always_up ? "breaching" : "notBreaching"
  alarm_actions       = local._alarm_actions
  ok_actions          = local._alarm_actions
}

# host = lambda: the daily run and the queues tell of themselves.
locals {
  serverless_alarms = { for name, alarm in {
    run-missing = {
      about      = "The daily run has not ended green for ${var.alarms.hours_without_run} hours: is its schedule on, does it fail?"
      namespace  = "AWS/States"
      metric     = "ExecutionsSucceeded"
      dimensions = { StateMachineArn = one(aws_sfn_state_machine.daily[*].arn) }
      comparison = "LessThanThreshold"
      hours      = var.alarms.hours_without_run
      on_silence = "breaching"
    }
    run-failed = {
      about      = "A daily run has failed: its picture in Step Functions shows the step, and that function's log says why"
      namespace  = "AWS/States"
      metric     = "ExecutionsFailed"
      dimensions = { StateMachineArn = one(aws_sfn_state_machine.daily[*].arn) }
      comparison = "GreaterThanOrEqualToThreshold"
      hours      = 1
      on_silence = "notBreaching"
    }
    extract-failed = {
      about      = "A capture from Spotify has failed three hours in a row: its log says why (exit 77: log in again)"
      namespace  = "AWS/Lambda"
      metric     = "Errors"
      dimensions = { FunctionName = "${var.name}-extract" }
      comparison = "GreaterThanOrEqualToThreshold"
      hours      = 3
      on_silence = "notBreaching"
    }
    landing-dead-letters = {
      about      = "Something that arrived in landing could not be loaded: doctor says which file, docs/aws.md what to do with the message"
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = "${var.name}-landing-dead-letters" }
      comparison = "GreaterThanOrEqualToThreshold"
      hours      = 1
      on_silence = "notBreaching"
    }
    bronze-dead-letters = {
      about      = "A transform of what was loaded has failed again and again: its log says why"
      namespace  = "AWS/SQS"
      metric     = "ApproximateNumberOfMessagesVisible"
      dimensions = { QueueName = "${var.name}-bronze-dead-letters" }
      comparison = "GreaterThanOrEqualToThreshold"
      hours      = 1
      on_silence = "notBreaching"
    }
  } : name => alarm if local.has_alarms && local.has_functions }
}

resource "aws_cloudwatch_metric_alarm" "serverless" {
  for_each = local.serverless_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.about
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.namespace == "AWS/SQS" ? "Maximum" : "Sum"
  comparison_operator = each.value.comparison
  threshold           = 1
  period              = 3600
  evaluation_periods  = each.value.hours
  datapoints_to_alarm = each.value.hours
  treat_missing_data  = each.value.on_silence
  alarm_actions       = local._alarm_actions
  ok_actions          = local._alarm_actions
}

# On the cluster nobody carries what pods print to CloudWatch, unless alarms are asked for: then AWS's own agent does.
resource "aws_cloudwatch_log_group" "pods" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself; encryption = SSE-KMS turns the lake's key on
  #checkov:skip=CKV_AWS_338:a log is for finding out why a run failed; how long is up to airflow.log_days
  count = local.has_alarms && local.airflow.is_eks ? 1 : 0

  name              = local._pods_log_group
  retention_in_days = var.airflow.log_days
  kms_key_id        = one(local.kms_key_arns)
}

resource "aws_eks_addon" "logs" {
  count = length(aws_cloudwatch_log_group.pods)

  cluster_name = aws_eks_cluster.airflow[0].name
  addon_name   = "amazon-cloudwatch-observability"
  # Lines only: its metrics of every pod would cost more than the lake.
  configuration_values = jsonencode({
    agent         = { config = { logs = { metrics_collected = { kubernetes = { enhanced_container_insights = false } } } } }
    containerLogs = { enabled = true }
  })
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  pod_identity_association {
    role_arn        = aws_iam_role.logs[0].arn
    service_account = "cloudwatch-agent"
  }

  depends_on = [aws_cloudwatch_log_group.pods, aws_eks_addon.airflow, aws_eks_node_group.airflow, aws_iam_role_policy.logs]
}

resource "aws_iam_role" "logs" {
  count = length(aws_cloudwatch_log_group.pods)

  name                 = "${var.name}-logs"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Agent that carries what pods of the cluster ${var.name} print to CloudWatch"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = { StringEquals = {
        "aws:RequestTag/eks-cluster-name"           = var.name
        "aws:RequestTag/kubernetes-namespace"       = "amazon-cloudwatch"
        "aws:RequestTag/kubernetes-service-account" = "cloudwatch-agent"
      } }
    }]
  })
}

# Less than AWS's own CloudWatchAgentServerPolicy, which writes any metric and any group. The agent also knows groups for its own metrics
# and for the nodes' logs.
resource "aws_iam_role_policy" "logs" {
  #checkov:skip=CKV_AWS_290:the groups are those of this cluster
  count = length(aws_cloudwatch_log_group.pods)

  name = "logs"
  role = aws_iam_role.logs[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Log"
      Effect   = "Allow"
      Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents", "logs:PutRetentionPolicy"]
      Resource = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/containerinsights/${var.name}/*"]
    }]
  })
}
