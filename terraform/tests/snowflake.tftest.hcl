# Snowflake as a reader: its role, and what it hears of.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "nobody_asked" {
  command = plan

  assert {
    condition     = length(aws_iam_role.snowflake) + length(aws_s3_bucket_notification.arrivals) == 0
    error_message = "without Snowflake nothing may be made"
  }
  assert {
    condition     = output.snowflake == "-D \"lake=s3://listenlake-123456789012-eu-west-1\" -D \"role_arn=arn:aws:iam::123456789012:role/listenlake-snowflake\" -D \"external_id=listenlake-123456789012\""
    error_message = "the integration is made first, so the output must say what it asks for before there is a role"
  }
}

run "reads_what_commits_name" {
  command = plan

  variables {
    snowflake = { user_arn = "arn:aws:iam::210987654321:user/abc1-s-example" }
  }

  assert {
    condition = jsondecode(aws_iam_role.snowflake[0].assume_role_policy).Statement == [{
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::210987654321:user/abc1-s-example" }
      Action    = ["sts:AssumeRole"]
      Condition = { StringEquals = { "sts:ExternalId" = "listenlake-123456789012" } }
    }]
    error_message = "only that user, and only for this lake"
  }
  assert {
    condition     = strcontains(output.snowflake, aws_iam_role.snowflake[0].name)
    error_message = "the role must be the one that the integration was told of"
  }
  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.snowflake[0].policy).Statement : statement.Resource if statement.Sid == "Read"
      ])) == toset([
      for prefix in ["bronze", "gold/prod", "manifests", "silver", "state/bronze", "state/silver", "state/stream"] : "arn:aws:s3:::listenlake-123456789012-eu-west-1/${prefix}/*"
    ])
    error_message = "no landing, no gold_dev, no results of queries"
  }
  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_role_policy.snowflake[0].policy).Statement : alltrue([
      for action in statement.Action : can(regex("^(s3:(Get|List)|kms:Decrypt)", action))
    ])])
    error_message = "it must only read"
  }
  assert {
    condition     = length(aws_s3_bucket_notification.arrivals) == 0
    error_message = "without a queue there is nobody to tell"
  }
}

run "hears_of_commits" {
  command = plan

  variables {
    snowflake  = { user_arn = "arn:aws:iam::210987654321:user/abc1-s-example", external_id = "LAKE_SFCRole=2_x/y=", queue_arn = "arn:aws:sqs:eu-west-1:210987654321:sf-snowpipe-example" }
    encryption = "SSE-KMS"
  }

  assert {
    condition     = { for queue in aws_s3_bucket_notification.arrivals[0].queue : queue.filter_prefix => queue.queue_arn } == { "manifests/" = "arn:aws:sqs:eu-west-1:210987654321:sf-snowpipe-example" }
    error_message = "its pipe hears of manifests and of nothing else"
  }
  assert {
    condition     = strcontains(aws_iam_role.snowflake[0].assume_role_policy, "LAKE_SFCRole=2_x/y=") && strcontains(aws_iam_role_policy.snowflake[0].policy, "kms:Decrypt")
    error_message = "the id that was given, and the key of the lake"
  }
}

run "beside_the_functions" {
  command = plan

  variables {
    host      = "lambda"
    snowflake = { user_arn = "arn:aws:iam::210987654321:user/abc1-s-example", queue_arn = "arn:aws:sqs:eu-west-1:210987654321:sf-snowpipe-example" }
  }

  assert {
    condition     = toset(aws_s3_bucket_notification.arrivals[0].queue[*].filter_prefix) == toset(["bronze/", "landing/", "manifests/"])
    error_message = "a bucket has one list of notifications: theirs must be in it, too"
  }
}

run "wrong_values" {
  command = plan

  variables {
    snowflake = { queue_arn = "arn:aws:sqs:eu-west-1:210987654321:sf-snowpipe-example" }
  }

  expect_failures = [var.snowflake]
}

run "everybody" {
  command = plan

  variables {
    snowflake = { user_arn = "*" }
  }

  expect_failures = [var.snowflake]
}
