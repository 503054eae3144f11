# The daily run of host = lambda as a state machine: the tasks of airflow/dags/listenlake_daily.py, one
# function after the other. A state machine instead of one function that starts the next, because each job
# keeps its own role, each step its 15 minutes and its own line in a picture of the run, and 250 steps a
# month are far below what is free.

locals {
  _daily = [
    { name = "load", job = "load", arguments = [] },
    { name = "transform", job = "transform", arguments = [] },
    { name = "check_silver", job = "check", arguments = ["--scope=silver"] },
    { name = "enrich_dev", job = "enrich", arguments = [] },
    { name = "train", job = "train", arguments = [] },
    { name = "check_dev", job = "check", arguments = ["--scope=gold", "--target=dev"] },
    { name = "promote", job = "promote", arguments = [] },
    { name = "report", job = "report", arguments = [] },
  ]

  daily_definition = {
    Comment        = "listenlake: from files to the report"
    StartAt        = local._daily[0].name
    TimeoutSeconds = 3 * 3600
    States = { for index, step in local._daily : step.name => merge(
      {
        Type           = "Task"
        Resource       = "arn:${local.partition}:states:::lambda:invoke"
        Parameters     = { FunctionName = "${var.name}-${step.job}", Payload = { arguments = step.arguments } }
        ResultPath     = null
        TimeoutSeconds = local._function_seconds + 60
        Retry = [
          {
            # Another job writes, a service is busy: the same call may succeed.
            ErrorEquals     = ["TryLater", "Unavailable", "Disk", "Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.TooManyRequestsException"]
            IntervalSeconds = 60
            BackoffRate     = 2
            MaxAttempts     = 5
          },
          {
            # What was built before the time was up is kept, so the next call goes on from there.
            ErrorEquals     = ["OutOfTime"]
            IntervalSeconds = 1
            MaxAttempts     = 2
          },
        ]
      },
      index + 1 < length(local._daily) ? { Next = local._daily[index + 1].name } : { End = true },
    ) }
  }
}

resource "aws_sfn_state_machine" "daily" {
  #checkov:skip=CKV_AWS_284:each function's log tells its steps; traces would be paid for
  #checkov:skip=CKV_AWS_285:its history holds each step's input, output and error for 90 days, and no data of the lake
  count = local.has_functions ? 1 : 0

  name       = "${var.name}-daily"
  role_arn   = aws_iam_role.scheduler[0].arn
  definition = jsonencode(local.daily_definition)
}

resource "aws_scheduler_schedule" "daily" {
  #checkov:skip=CKV_AWS_297:what it holds is the name of a state machine; no value of the lake passes through it
  count = length(aws_sfn_state_machine.daily)

  name                         = "${var.name}-daily"
  schedule_expression          = var.serverless.daily
  schedule_expression_timezone = var.serverless.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_sfn_state_machine.daily[0].arn
    role_arn = aws_iam_role.scheduler[0].arn

    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 4
    }
  }
}
