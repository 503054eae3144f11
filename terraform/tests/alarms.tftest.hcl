# Who hears of what: a daily run that does not come, a failed one, a host that is down, credentials that are not renewed.
# (airflow/tests/test_alarms.py compares the patterns with the lines that Airflow writes.)

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "nobody_asked" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0" }
  }

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.alarm) + length(aws_cloudwatch_metric_alarm.host) + length(aws_cloudwatch_log_metric_filter.alarm) + length(aws_sns_topic.alarms) == 0
    error_message = "without an address nothing may be made"
  }
}

run "ec2" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0" }
    alarms  = { email = "owner@example.com" }
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.alarm) == ["backup", "credentials", "run-failed", "run-missing"] && length(aws_cloudwatch_metric_alarm.host) == 1
    error_message = "run missing, run failed, credentials, backup, host: five alarms"
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.alarm), aws_cloudwatch_metric_alarm.host) : alarm.alarm_actions == toset([aws_sns_topic.alarms[0].arn]) && alarm.ok_actions == alarm.alarm_actions])
    error_message = "each must tell the topic, when it begins and when it is over"
  }

  assert {
    condition     = aws_sns_topic_subscription.alarms[0].endpoint == "owner@example.com" && jsondecode(aws_sns_topic_policy.alarms[0].policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "the topic must tell the address, and hear this account's alarms alone"
  }

  assert {
    condition = { for name, alarm in aws_cloudwatch_metric_alarm.alarm : name => "${alarm.metric_name} ${alarm.comparison_operator} ${alarm.evaluation_periods}/${alarm.datapoints_to_alarm} of ${alarm.period} ${alarm.treat_missing_data}" } == {
      backup      = "BackupsWritten LessThanThreshold 50/50 of 3600 breaching"
      credentials = "CredentialsRenewed LessThanThreshold 2/2 of 3600 breaching"
      run-failed  = "RunsFailed GreaterThanOrEqualToThreshold 1/1 of 3600 notBreaching"
      run-missing = "RunsSucceeded LessThanThreshold 26/26 of 3600 breaching"
    }
    error_message = "what does not come must alarm by its silence, what fails by its line"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.alarm : alarm.period * alarm.evaluation_periods <= 604800 && contains([for filter in aws_cloudwatch_log_metric_filter.alarm : "${filter.metric_transformation[0].namespace} ${filter.metric_transformation[0].name}"], "${alarm.namespace} ${alarm.metric_name}")])
    error_message = "each alarm must watch a metric that a filter makes, over a week at most"
  }

  assert {
    condition     = toset([for filter in aws_cloudwatch_log_metric_filter.alarm : filter.log_group_name]) == toset([aws_cloudwatch_log_group.host[0].name])
    error_message = "the lines are in the host's log group"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.host[0].dimensions == tomap({ InstanceId = "i-0123456789abcdef0" }) && aws_cloudwatch_metric_alarm.host[0].treat_missing_data == "breaching"
    error_message = "a host that is not there says nothing"
  }

  assert {
    condition     = strcontains(local.host_user_data, "ExecStartPost=/usr/local/sbin/listenlake-tell credentials of the job roles renewed") && strcontains(local.alarm_lines.CredentialsRenewed, "credentials of the job roles renewed")
    error_message = "the host must write the line that is counted"
  }

  assert {
    condition     = strcontains(local.host_user_data, "listenlake-tell backup of the database of Airflow written") && strcontains(local.alarm_lines.BackupsWritten, "backup of the database of Airflow written")
    error_message = "and that of its backup"
  }

  assert {
    condition     = length(aws_eks_addon.logs) == 0
    error_message = "no agent without a cluster"
  }
}

run "ec2_for_some_hours_told_to_a_topic_of_the_account" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0", ec2 = { hours = { start = "cron(0 3 * * ? *)", stop = "cron(0 6 * * ? *)" } } }
    alarms  = { topic_arn = "arn:aws:sns:eu-west-1:123456789012:on-call", hours_without_run = 50 }
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.alarm), aws_cloudwatch_metric_alarm.host) : alarm.alarm_actions == toset(["arn:aws:sns:eu-west-1:123456789012:on-call"])])
    error_message = "a topic that is there must be used"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.host[0].treat_missing_data == "notBreaching" && aws_cloudwatch_metric_alarm.alarm["credentials"].treat_missing_data == "notBreaching" && aws_cloudwatch_metric_alarm.alarm["run-missing"].treat_missing_data == "breaching"
    error_message = "a host that sleeps by its schedule is not down, but the daily run must come"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.alarm["run-missing"].evaluation_periods == 50
    error_message = "how long is the variable's"
  }
}

run "eks_with_a_key" {
  command = plan

  variables {
    host       = "eks"
    airflow    = { version = "1.2.0" }
    alarms     = { email = "owner@example.com" }
    encryption = "SSE-KMS"
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.alarm) == ["run-failed", "run-missing"] && length(aws_cloudwatch_metric_alarm.host) == 0
    error_message = "nodes replace themselves, and pods have their own way to credentials: what counts is the run"
  }

  assert {
    condition     = toset([for filter in aws_cloudwatch_log_metric_filter.alarm : filter.log_group_name]) == toset(["/aws/containerinsights/listenlake/application"]) && aws_cloudwatch_log_group.pods[0].retention_in_days == 30
    error_message = "the lines are where the agent carries what pods print, and go by themselves"
  }

  assert {
    condition     = jsondecode(aws_eks_addon.logs[0].configuration_values).containerLogs.enabled && !jsondecode(aws_eks_addon.logs[0].configuration_values).agent.config.logs.metrics_collected.kubernetes.enhanced_container_insights
    error_message = "the agent must carry lines, and not make paid metrics of every pod"
  }

  assert {
    condition     = aws_sns_topic.alarms[0].kms_master_key_id == aws_kms_key.lake[0].arn && contains([for statement in jsondecode(aws_kms_key.lake[0].policy).Statement : statement.Principal.Service if statement.Sid == "Alarms"], "cloudwatch.amazonaws.com") && strcontains(aws_kms_key.lake[0].policy, "log-group:/aws/containerinsights/listenlake/application")
    error_message = "CloudWatch must be allowed the key for the topic and for the log group"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.logs[0].policy).Statement : alltrue([for resource in statement.Resource : strcontains(resource, "/aws/containerinsights/listenlake/")])])
    error_message = "the agent writes the groups of this cluster alone"
  }
}

run "refuses_what_cannot_work" {
  command = plan

  variables {
    alarms = { email = "nobody", hours_without_run = 200, topic_arn = "arn:aws:s3:::bucket" }
  }

  expect_failures = [var.alarms]
}

run "refuses_alarms_of_nothing" {
  command = plan

  variables {
    alarms = { email = "owner@example.com" }
  }

  expect_failures = [var.alarms]
}
