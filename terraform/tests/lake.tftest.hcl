# S11, S12, S13: the bucket, the workgroups, the registry, with the defaults of an account that has set nothing.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "defaults" {
  command = plan

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.lake[0].block_public_acls,
      aws_s3_bucket_public_access_block.lake[0].block_public_policy,
      aws_s3_bucket_public_access_block.lake[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.lake[0].restrict_public_buckets,
    ])
    error_message = "all four blocks of public access must be on"
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.lake[0].rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must be off"
  }

  assert {
    condition     = aws_s3_bucket_versioning.lake[0].versioning_configuration[0].status == "Enabled"
    error_message = "versioning must be on"
  }

  assert {
    condition = jsonencode(jsondecode(aws_s3_bucket_policy.lake[0].policy).Statement) == jsonencode([{
      Action    = "s3:*"
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      Effect    = "Deny"
      Principal = "*"
      Resource  = ["arn:aws:s3:::listenlake-123456789012-eu-west-1", "arn:aws:s3:::listenlake-123456789012-eu-west-1/*"]
      Sid       = "TlsOnly"
    }])
    error_message = "the bucket policy must refuse everything that is not TLS, for the bucket and its objects, and nothing else"
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.lake[0].rule : rule.id => [rule.status, rule.filter[0].prefix] } == { aborted-uploads = ["Enabled", ""], athena-results = ["Enabled", "athena-results/"], noncurrent-versions = ["Enabled", ""] }
    error_message = "the lifecycle must have three rules, all on, and only Athena's results by prefix"
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.lake[0].rule : rule.id => rule.expiration[0].days if rule.id != "noncurrent-versions" && length(rule.expiration) > 0 } == { athena-results = 7 }
    error_message = "Athena's results must expire after 7 days, and nothing else may"
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.lake[0].rule : rule.id => rule.noncurrent_version_expiration[0].noncurrent_days if length(rule.noncurrent_version_expiration) > 0 } == { athena-results = 1, noncurrent-versions = 30 }
    error_message = "older versions must expire after 30 days, those of results after one"
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.lake[0].rule : rule.id => rule.abort_incomplete_multipart_upload[0].days_after_initiation if length(rule.abort_incomplete_multipart_upload) > 0 } == { aborted-uploads = 7 }
    error_message = "F48: aborted uploads must go after 7 days"
  }

  assert {
    condition     = aws_s3_bucket.lake[0].force_destroy != true
    error_message = "a lake that holds anything must survive a destroy"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.lake[0].rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256" && length(aws_kms_key.lake) == 0
    error_message = "the default must be encrypted without a key that costs money"
  }

  assert {
    condition     = length(aws_secretsmanager_secret.job) + length(aws_budgets_budget.monthly) + length(aws_iam_openid_connect_provider.github) == 0
    error_message = "what costs money or is for others must be asked for"
  }

  assert {
    condition = alltrue([for group in aws_athena_workgroup.lake : alltrue([
      group.configuration[0].enforce_workgroup_configuration,
      group.configuration[0].engine_version[0].selected_engine_version == "Athena engine version 3",
      group.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_S3",
      group.configuration[0].publish_cloudwatch_metrics_enabled,
    ])])
    error_message = "each workgroup must be enforced, encrypted, measured and on engine 3"
  }

  assert {
    condition = jsonencode({ for key, group in aws_athena_workgroup.lake : key => [
      group.name, group.configuration[0].result_configuration[0].output_location, group.configuration[0].bytes_scanned_cutoff_per_query
      ] }) == jsonencode({
      analysts = ["listenlake-analysts", "s3://listenlake-123456789012-eu-west-1/athena-results/analysts/", 10737418240]
      dev      = ["listenlake-dev", "s3://listenlake-123456789012-eu-west-1/athena-results/dev/", 10737418240]
      prod     = ["listenlake-prod", "s3://listenlake-123456789012-eu-west-1/athena-results/prod/", 107374182400]
    })
    error_message = "dev, prod and analysts must differ in name and place, and each have its scan limit in bytes"
  }

  assert {
    condition     = aws_ecr_repository.jobs.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.jobs.image_scanning_configuration[0].scan_on_push
    error_message = "image tags must be immutable and scanned"
  }

  assert {
    condition     = toset([for rule in jsondecode(aws_ecr_lifecycle_policy.jobs.policy).rules : rule.action.type]) == toset(["expire"])
    error_message = "old images must expire"
  }

  assert {
    condition     = toset(keys(aws_athena_named_query.question)) == toset([for file in fileset("../warehouse/queries", "*.sql") : trimsuffix(file, ".sql")])
    error_message = "every question of the warehouse must be a named query"
  }

  assert {
    condition     = alltrue([for query in aws_athena_named_query.question : query.database == "listenlake_gold_prod"])
    error_message = "named queries must read prod"
  }
}

run "everything_asked_for" {
  command = plan

  variables {
    budget     = { email = "owner@example.com", monthly_usd = 25 }
    encryption = "SSE-KMS"
    host       = "ec2"
    airflow    = { version = "1.2.0" }
    name       = "second-lake"
    scan_limit_gib = {
      analysts = 0.5
    }
    secrets = ["pseudonym-key", "spotify"]
    tags    = { team = "listening" }
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.lake[0].rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.lake[0].arn && one(aws_s3_bucket_server_side_encryption_configuration.lake[0].rule).bucket_key_enabled
    error_message = "SSE-KMS must use the key of the lake, with a bucket key"
  }

  assert {
    condition     = aws_kms_key.lake[0].enable_key_rotation
    error_message = "the key must rotate"
  }

  assert {
    condition     = alltrue([for group in aws_athena_workgroup.lake : group.configuration[0].result_configuration[0].encryption_configuration[0].kms_key_arn == aws_kms_key.lake[0].arn])
    error_message = "results must be encrypted with the key too"
  }

  assert {
    condition     = aws_ecr_repository.jobs.encryption_configuration[0].kms_key == aws_kms_key.lake[0].arn && alltrue([for secret in aws_secretsmanager_secret.job : secret.kms_key_id == aws_kms_key.lake[0].arn])
    error_message = "images and secrets must be encrypted with the key too"
  }

  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.job : contains(flatten([for statement in jsondecode(policy.policy).Statement : statement.Resource if contains(statement.Action, "kms:GenerateDataKey")]), aws_kms_key.lake[0].arn)])
    error_message = "every job must be allowed to use the key"
  }

  assert {
    condition     = aws_athena_workgroup.lake["analysts"].configuration[0].bytes_scanned_cutoff_per_query == 536870912 && aws_athena_workgroup.lake["dev"].configuration[0].bytes_scanned_cutoff_per_query == 10737418240
    error_message = "one limit must be settable without the others"
  }

  assert {
    condition     = toset([for secret in aws_secretsmanager_secret.job : secret.name]) == toset(["second-lake/pseudonym-key", "second-lake/spotify"])
    error_message = "each secret must have a container of its own"
  }

  assert {
    condition     = aws_s3_bucket.lake[0].bucket == "second-lake-123456789012-eu-west-1" && aws_glue_catalog_database.layer["gold_prod"].name == "second_lake_gold_prod" && aws_ecr_repository.jobs.name == "second-lake"
    error_message = "a second lake must have names of its own"
  }

  assert {
    condition     = toset([for notification in aws_budgets_budget.monthly[0].notification : "${notification.notification_type} ${notification.threshold}"]) == toset(["ACTUAL 80", "FORECASTED 100"]) && aws_budgets_budget.monthly[0].limit_amount == "25.00"
    error_message = "the budget must warn at 80 % spent and at 100 % forecast"
  }

  assert {
    condition     = strcontains(output.environment, "LISTENLAKE_LAKE=s3://second-lake-123456789012-eu-west-1\n") && strcontains(output.environment, "\nLISTENLAKE_SPOTIFY_TOKEN_SECRET=second-lake/spotify\n") && strcontains(output.next_steps, "LISTENLAKE_SPOTIFY_TOKEN_SECRET=second-lake/spotify ./listenlake login") && strcontains(output.next_steps, "--secret-id second-lake/pseudonym-key ")
    error_message = "the outputs must say what comes next"
  }
}
