# host = lambda: each job is a function of the same image, with the job's own role. Nothing costs anything
# while nothing happens.
#
#   schedule (captures)  ->  landing  ->  queue  ->  load  ->  bronze  ->  queue  ->  transform
#   schedule (daily)     ->  state machine: load, transform, check, enrich, train, check, promote, report
#
# What arrives in landing, by a capture or by hand, is in silver a few minutes later. The daily run makes
# gold, and takes up whatever an event has missed.

locals {
  is_serverless = var.host == "lambda"
  # A function is refused while its image is not there, so the first apply makes the repository and no
  # function.
  has_functions = local.is_serverless && var.serverless.version != null

  # What each function's calls have in common, as flags. `forget` is none: who removes a person does it by
  # hand, and waits for the proof.
  functions = { for name, flags in {
    check     = []
    enrich    = []
    extract   = []
    gc        = []
    load      = ["--on-quarantine=warn"]
    promote   = []
    report    = []
    retention = []
    train     = ["--on-refusal=skip"]
    transform = ["--on-quarantine=warn"]
  } : name => flags if local.has_functions }

  function_log_groups = { for name in keys(local.functions) : name => "/aws/lambda/${var.name}-${name}" }

  # Captures by schedule. Only with a login at Spotify (secrets = ["spotify"]).
  _captures = {
    library         = { when = "cron(20 3 ? * MON *)", job = "extract", arguments = ["library"] }
    metadata        = { when = "cron(40 3 * * ? *)", job = "extract", arguments = ["metadata"] }
    playlists       = { when = "cron(0 3 ? * MON *)", job = "extract", arguments = ["playlists"] }
    recently-played = { when = "rate(30 minutes)", job = "extract", arguments = ["recently-played"] }
  }
  _upkeep = {
    gc        = { when = "cron(0 2 ? * SUN *)", job = "gc", arguments = [] }
    retention = { when = "cron(0 1 * * ? *)", job = "retention", arguments = [] }
  }
  schedules = { for name, schedule in merge(contains(keys(local.secrets), "spotify") ? local._captures : {}, local._upkeep) : name => schedule if local.has_functions }

  # Queues of what has arrived, each with the function that takes it.
  arrivals = { for prefix, job in { landing = "load", bronze = "transform" } : prefix => job if local.is_serverless }
  # Deliveries of a message before it becomes a dead letter. A function that finds another one writing says
  # `TryLater`, so some are no fault.
  _deliveries_max = 8
  # Longest that Lambda allows.
  _function_seconds = 900

  _function_environment = merge(local.secret_names, {
    LISTENLAKE_LAKE = local.lake_uri
    # The engine's share; the rest is Node's and the statements' results.
    LISTENLAKE_AWS_NAME  = var.name
    LISTENLAKE_MEMORY_MB = tostring(floor(var.serverless.memory_mb / 2))
    # The root is read-only in a function, and this is where it may write.
    XDG_CACHE_HOME = "/tmp/cache"
  }, var.iceberg ? { LISTENLAKE_ICEBERG = "true" } : {})
}

locals {
  # What a person does next: the image first, because a function is refused without one.
  serverless_steps = !local.is_serverless ? [] : concat(
    [
      "# the image of the jobs, for ${local.airflow_platform}, built on a machine of that kind; functions know no attestations beside it",
      "aws ecr get-login-password --region ${local.region} | docker login --username AWS --password-stdin ${split("/", aws_ecr_repository.jobs.repository_url)[0]}",
      "docker buildx build --platform ${local.airflow_platform} --provenance=false --push --tag ${aws_ecr_repository.jobs.repository_url}:${coalesce(var.serverless.version, "1")} ..",
    ],
    var.serverless.version == null ? ["# then serverless = { version = \"1\" } in terraform.tfvars, and apply again: it makes the functions, the schedules and the daily run"] : [
      "# put a file into the lake: it is in silver some minutes later; the first daily run can be started by hand",
      "aws s3 cp my_spotify_data.zip ${local.lake_uri}/landing/",
      "aws stepfunctions start-execution --region ${local.region} --state-machine-arn ${one(aws_sfn_state_machine.daily[*].arn)}",
    ],
  )
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself; encryption = SSE-KMS turns the lake's key on
  #checkov:skip=CKV_AWS_338:a log is for finding out why a run failed; how long is up to serverless.log_days
  for_each = local.function_log_groups

  name              = each.value
  retention_in_days = var.serverless.log_days
  kms_key_id        = one(local.kms_key_arns)
}

resource "aws_lambda_function" "job" {
  #checkov:skip=CKV_AWS_50:the log tells each step and its time; traces would be paid for
  #checkov:skip=CKV_AWS_116:queues have dead letters of their own, and the state machine sees each failure
  #checkov:skip=CKV_AWS_117:it talks to AWS and to Spotify alone; a network of ours would need a paid way out
  #checkov:skip=CKV_AWS_173:no value is a secret: secrets are read by name; encryption = SSE-KMS turns the lake's key on
  #checkov:skip=CKV_AWS_272:images are told by tag from a repository whose tags never change; code signing is for zip files
  for_each = local.functions

  function_name = "${var.name}-${each.key}"
  description   = "listenlake ${each.key}: ${replace(local.jobs[each.key].about, "->", "to")}"
  role          = aws_iam_role.job[each.key].arn
  package_type  = "Image"
  image_uri     = "${aws_ecr_repository.jobs.repository_url}:${var.serverless.version}"
  architectures = [var.serverless.architecture]
  memory_size   = var.serverless.memory_mb
  timeout       = local._function_seconds
  kms_key_arn   = one(local.kms_key_arns)
  # The lake has one writer. Two calls of one function would only wait for each other.
  reserved_concurrent_executions = 1

  image_config {
    entry_point       = ["/usr/local/bin/node", "--disable-warning=ExperimentalWarning", "/app/jobs/lambda.ts"]
    command           = concat([each.key], each.value)
    working_directory = "/tmp"
  }

  ephemeral_storage {
    size = var.serverless.storage_mb
  }

  environment {
    variables = local._function_environment
  }

  depends_on = [aws_cloudwatch_log_group.function, aws_iam_role_policy.function]
}

# What a job needs beside its own rights (jobs.tf) when it is a function: to write its log and, of two, to
# take from a queue.
resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name = "function"
  role = aws_iam_role.job[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.function_log_groups[each.key]}:*"]
      }],
      [for prefix, job in local.arrivals : {
        Sid      = "Arrivals"
        Effect   = "Allow"
        Action   = ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
        Resource = [aws_sqs_queue.arrivals[prefix].arn]
      } if job == each.key],
    )
  })
}

resource "aws_sqs_queue" "arrivals" {
  for_each = local.arrivals

  name                    = "${var.name}-${each.key}"
  sqs_managed_sse_enabled = true
  # A function has this long for its messages. Those that fail come again after it.
  visibility_timeout_seconds = local._function_seconds
  message_retention_seconds  = 14 * 24 * 3600
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = local._deliveries_max
  })
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = local.arrivals

  name                      = "${var.name}-${each.key}-dead-letters"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 14 * 24 * 3600
}

resource "aws_sqs_queue_policy" "arrivals" {
  for_each = local.arrivals

  queue_url = aws_sqs_queue.arrivals[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "BucketTells"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.arrivals[each.key].arn
      Condition = {
        ArnEquals    = { "aws:SourceArn" = local.bucket_arn }
        StringEquals = { "aws:SourceAccount" = local.account_id }
      }
    }]
  })
}

resource "aws_lambda_event_source_mapping" "arrivals" {
  for_each = { for prefix, job in local.arrivals : prefix => job if local.has_functions }

  event_source_arn = aws_sqs_queue.arrivals[each.key].arn
  function_name    = aws_lambda_function.job[each.value].arn
  # An export brings many objects within a minute: one call for all of them.
  batch_size                         = 1000
  maximum_batching_window_in_seconds = 120
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 2 # the least that there is
  }
}

resource "aws_iam_role" "scheduler" {
  count = local.has_functions ? 1 : 0

  name                 = "${var.name}-scheduler"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Starts the functions and the daily run of ${var.name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["scheduler.amazonaws.com", "states.amazonaws.com"] }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  count = length(aws_iam_role.scheduler)

  name = "start"
  role = aws_iam_role.scheduler[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Functions"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = [for function in aws_lambda_function.job : function.arn]
      },
      {
        Sid      = "Daily"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = [aws_sfn_state_machine.daily[0].arn]
      },
    ]
  })
}

resource "aws_scheduler_schedule" "job" {
  #checkov:skip=CKV_AWS_297:what it holds is the name of a job; no value of the lake passes through it
  for_each = local.schedules

  name                         = "${var.name}-${each.key}"
  schedule_expression          = each.value.when
  schedule_expression_timezone = var.serverless.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.job[each.value.job].arn
    role_arn = aws_iam_role.scheduler[0].arn
    input    = jsonencode({ arguments = each.value.arguments })

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 4
    }
  }
}
