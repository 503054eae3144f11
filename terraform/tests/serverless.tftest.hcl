# host = lambda: functions with the jobs' own roles, queues with dead letters, a daily run, and nothing that costs while idle.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan

  mock_data "aws_s3_bucket" {
    defaults = {
      region = "eu-west-1"
    }
  }
}

run "nothing_of_it_by_default" {
  command = plan

  assert {
    condition     = length(aws_lambda_function.job) + length(aws_sqs_queue.arrivals) + length(aws_scheduler_schedule.job) + length(aws_sfn_state_machine.daily) == 0
    error_message = "without host = lambda nothing of it may be made"
  }
}

run "no_function_before_its_image" {
  command = plan

  variables {
    host = "lambda"
  }

  assert {
    condition     = length(aws_lambda_function.job) == 0 && length(aws_sfn_state_machine.daily) == 0 && length(aws_sqs_queue.arrivals) == 2
    error_message = "a function is refused while its image is not in the repository"
  }
  assert {
    condition     = strcontains(output.next_steps, "--provenance=false --push") && strcontains(output.next_steps, "serverless = { version")
    error_message = "the next steps must begin with the image"
  }
}

run "functions" {
  command = plan

  variables {
    host       = "lambda"
    secrets    = ["spotify", "pseudonym-key"]
    serverless = { version = "1.2.0", memory_mb = 4096 }
    alarms     = { email = "owner@example.com" }
  }

  assert {
    condition     = keys(aws_lambda_function.job) == ["check", "enrich", "extract", "gc", "load", "promote", "report", "retention", "train", "transform"]
    error_message = "every job but forget, which a person runs, must be a function"
  }
  assert {
    condition     = alltrue([for job, function in aws_lambda_function.job : function.role == aws_iam_role.job[job].arn && function.image_config[0].command[0] == job])
    error_message = "a function must be one job with that job's role"
  }
  assert {
    condition     = alltrue([for function in aws_lambda_function.job : function.reserved_concurrent_executions == 1 && function.timeout == 900 && function.memory_size == 4096])
    error_message = "the lake has one writer, and a call all the time that Lambda gives"
  }
  assert {
    condition     = alltrue([for name, function in aws_lambda_function.job : function.environment[0].variables["LISTENLAKE_MEMORY_MB"] == "2048" && !contains(keys(function.environment[0].variables), "LISTENLAKE_PSEUDONYM_KEY")])
    error_message = "the engine must fit into the function, and no secret may stand in its settings"
  }
  assert {
    condition = alltrue([
      for job, role in aws_iam_role.job : strcontains(role.assume_role_policy, "lambda.amazonaws.com") == contains(keys(aws_lambda_function.job), job)
    ])
    error_message = "Lambda may take the roles of its functions and no other"
  }
  assert {
    condition = alltrue([
      for job, policy in aws_iam_role_policy.function : strcontains(policy.policy, "sqs:ReceiveMessage") == contains(["load", "transform"], job)
    ])
    error_message = "only load and transform take from a queue"
  }
  assert {
    condition     = alltrue([for prefix, queue in aws_sqs_queue.arrivals : queue.visibility_timeout_seconds == 900 && jsondecode(queue.redrive_policy).maxReceiveCount == 8])
    error_message = "a message must come again, and become a dead letter in the end"
  }
  assert {
    condition     = { for queue in aws_s3_bucket_notification.arrivals[0].queue : queue.filter_prefix => queue.queue_arn } == { for prefix, queue in aws_sqs_queue.arrivals : "${prefix}/" => queue.arn }
    error_message = "what arrives in landing and in bronze must be told to its queue"
  }
  assert {
    condition     = alltrue([for mapping in aws_lambda_event_source_mapping.arrivals : contains(mapping.function_response_types, "ReportBatchItemFailures") && mapping.maximum_batching_window_in_seconds > 0])
    error_message = "arrivals must be debounced, and one poison object must not hold up the others"
  }
  assert {
    condition     = keys(aws_scheduler_schedule.job) == ["gc", "library", "metadata", "playlists", "recently-played", "retention"]
    error_message = "captures and upkeep must come by schedule"
  }
  assert {
    condition     = aws_scheduler_schedule.job["recently-played"].schedule_expression == "rate(30 minutes)" && strcontains(aws_scheduler_schedule.job["playlists"].schedule_expression, "MON")
    error_message = "plays every half hour, playlists every week"
  }
  assert {
    condition     = alltrue([for step in local._daily : local.daily_definition.States[step.name].Parameters.FunctionName == aws_lambda_function.job[step.job].function_name])
    error_message = "each step of the daily run must be one of the functions"
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.serverless) == ["bronze-dead-letters", "extract-failed", "landing-dead-letters", "run-failed", "run-missing"] && length(aws_cloudwatch_metric_alarm.alarm) == 0
    error_message = "a run that fails or does not come, and dead letters, must be told of"
  }
  assert {
    condition     = length(aws_instance.airflow) + length(aws_eks_cluster.airflow) + length(aws_vpc.airflow) + length(aws_ecr_repository.airflow) == 0
    error_message = "functions need no host and no network"
  }
}

run "captures_need_a_login" {
  command = plan

  variables {
    host       = "lambda"
    serverless = { version = "1.2.0" }
  }

  assert {
    condition     = keys(aws_scheduler_schedule.job) == ["gc", "retention"]
    error_message = "without secrets = [\"spotify\"] every capture would fail"
  }
}

run "with_a_key_and_a_bucket_of_yours" {
  command = plan

  variables {
    host       = "lambda"
    serverless = { version = "1.2.0" }
    encryption = "SSE-KMS"
    bucket     = "example-lake"
  }

  assert {
    condition     = length(aws_s3_bucket_notification.arrivals) == 0
    error_message = "the notifications of a bucket of yours are yours"
  }
  assert {
    condition     = alltrue([for name, group in local.function_log_groups : strcontains(aws_kms_key.lake[0].policy, group)])
    error_message = "CloudWatch must be able to write the functions' logs with the key"
  }
}
