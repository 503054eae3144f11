output "airflow" {
  description = "Airflow: from the images to its page, as commands for the project's root folder."
  value       = local.airflow_steps[var.host]
}

output "airflow_values" {
  description = "Values for Airflow's Helm chart on EKS, over airflow/kubernetes/values.yaml: images, lake, place of the logs."
  value       = local.airflow_values
}

output "analyst_role_arn" {
  description = "Role of people who read gold."
  value       = aws_iam_role.analyst.arn
}

output "athena_console" {
  description = "Where to ask: the query editor in the region (choose the workgroup of the analysts)."
  value       = "https://${local.region}.console.aws.amazon.com/athena/home?region=${local.region}#/query-editor"
}

output "environment" {
  description = "Lines for .env: the same commands, on this lake."
  value = join("", [for line in concat(
    [
      "LISTENLAKE_LAKE=${local.lake_uri}",
      "LISTENLAKE_AWS_NAME=${var.name}",
      "AWS_REGION=${local.region}",
    ],
    var.iceberg ? ["LISTENLAKE_ICEBERG=true"] : [],
    local.is_serverless ? ["LISTENLAKE_FUNCTION_SECONDS=${local._function_seconds}"] : [],
    [for variable, name in local.secret_names : "${variable}=${name}"],
  ) : "${line}\n"])
}

output "image_repository" {
  description = "Where the image of the jobs is pushed."
  value       = aws_ecr_repository.jobs.repository_url
}

output "job_role_arns" {
  description = "Role of each job."
  value       = { for name, role in aws_iam_role.job : name => role.arn }
}

output "key_policy" {
  description = "With a key of yours (kms_key_arn): the statements that its policy needs beside the account's own."
  value       = jsonencode(local.is_kms ? local.kms_service_statements : [])
}

output "next_steps" {
  description = "What to do now, one command a line: terraform output -raw next_steps."
  value = join("\n", concat(
    local.serverless_steps,
    [
      "terraform output -raw environment >> ../.env && cd ..   # the same commands, on this lake",
      "./listenlake doctor --aws                               # is all of it there, and as it should be?",
      "./listenlake run my_spotify_data.zip",
      "./listenlake sql --target prod \"select * from top_tracks limit 10\"",
      "aws s3 cp ${local.lake_uri}/report/report.html .",
    ],
    [for name in keys(local.secrets) : contains(local.rotated_secrets, name) ? "LISTENLAKE_SPOTIFY_TOKEN_SECRET=${var.name}/${name} ./listenlake login" : "aws secretsmanager put-secret-value --secret-id ${var.name}/${name} --secret-string file:///dev/stdin   # from standard input, never in the state"],
    [for _ in slice(["budget"], 0, var.budget.email == null ? 1 : 0) : "# no alarm yet: set budget = { email = \"...\" } in terraform.tfvars and apply again"],
  ))
}

output "serverless" {
  description = "With host = lambda: the functions by job, the queues by what arrives, and the daily run as its state machine's definition."
  value = !local.is_serverless ? null : {
    functions    = { for job, function in aws_lambda_function.job : job => { name = function.function_name, command = function.image_config[0].command, environment = function.environment[0].variables, seconds = function.timeout, memory_mb = function.memory_size } }
    queues       = { for prefix, queue in aws_sqs_queue.arrivals : prefix => { url = queue.url, dead_letters = aws_sqs_queue.dead_letters[prefix].url, function = local.arrivals[prefix] } }
    daily        = one(aws_sfn_state_machine.daily[*].arn)
    daily_states = local.daily_definition
  }
}

output "snowflake" {
  description = "What the files in warehouse/readers/snowflake ask for, as arguments of Snowflake's command line (docs/snowflake.md)."
  value       = "-D \"lake=${local.lake_uri}\" -D \"role_arn=arn:${local.partition}:iam::${local.account_id}:role/${local._snowflake_role}\" -D \"external_id=${local._snowflake_external_id}\""
}
