# Airflow's database of the EC2 host: dumped every night, under a prefix of its own, for some days.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "every_night" {
  command = plan

  variables {
    host       = "ec2"
    airflow    = { version = "1.2.0", ec2 = { backup_days = 30 } }
    alarms     = { email = "owner@example.com" }
    encryption = "SSE-KMS"
  }

  assert {
    condition     = alltrue([for words in ["/usr/local/sbin/listenlake-backup", "/etc/systemd/system/listenlake-backup.service", "/etc/systemd/system/listenlake-backup.timer", "s3://listenlake-123456789012-eu-west-1/airflow-backup", "\"enable\"\n  - \"--now\"\n  - \"listenlake-backup.timer\""] : strcontains(local.host_user_data, words)])
    error_message = "the host must get the script, its timer, and where the dumps go"
  }

  assert {
    condition     = length(local.host_user_data) < 16384
    error_message = "EC2 takes user data of up to 16 KiB, with everything switched on"
  }

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.backup[0].policy).Statement : statement.Sid => join(" ", concat(statement.Action, statement.Resource)) } == {
      Backup = "s3:AbortMultipartUpload s3:GetObject s3:PutObject arn:aws:s3:::listenlake-123456789012-eu-west-1/airflow-backup/*"
      Key    = "kms:Decrypt kms:GenerateDataKey arn:aws:kms:eu-west-1:123456789012:key/mocked"
      List   = "s3:ListBucket arn:aws:s3:::listenlake-123456789012-eu-west-1"
    } && [for statement in jsondecode(aws_iam_role_policy.backup[0].policy).Statement : statement.Condition.StringLike["s3:prefix"] if statement.Sid == "List"] == [["airflow-backup/*"]]
    error_message = "the host writes and reads its dumps, deletes none, and sees nothing else of the lake"
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.lake[0].rule : rule.filter[0].prefix => rule.expiration[0].days if rule.id == "airflow-backup" } == { "airflow-backup/" = 30 }
    error_message = "dumps must go by themselves"
  }
}

run "not_asked_for" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0", ec2 = { backup_days = 0 } }
    alarms  = { email = "owner@example.com" }
  }

  assert {
    condition     = length(aws_iam_role_policy.backup) == 0 && !strcontains(local.host_user_data, "listenlake-backup") && !contains([for rule in aws_s3_bucket_lifecycle_configuration.lake[0].rule : rule.id], "airflow-backup") && !contains(keys(aws_cloudwatch_metric_alarm.alarm), "backup")
    error_message = "0 days must mean none, and no alarm that waits for it"
  }
}

run "on_eks_rds_does_it" {
  command = plan

  variables {
    host    = "eks"
    airflow = { version = "1.2.0" }
  }

  assert {
    condition     = length(aws_iam_role_policy.backup) == 0 && aws_db_instance.airflow[0].backup_retention_period == 7
    error_message = "the database of the cluster backs itself up"
  }
}
