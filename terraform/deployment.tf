# What deploy/ and the workflow deploy.yml need to know, as one object.

output "deployment" {
  description = "For make aws-images, aws-run and aws-open, and for the workflow: where images go, for which platform, and where Airflow runs."
  value = {
    account       = local.account_id
    airflow_host  = local.airflow.has_host ? var.host : "none"
    airflow_image = one([for repository in aws_ecr_repository.airflow : repository.repository_url])
    cluster       = one(aws_eks_cluster.airflow[*].name)
    instance      = one(aws_instance.airflow[*].id)
    job_image     = aws_ecr_repository.jobs.repository_url
    platform      = local.airflow_platform
    region        = local.region
    version       = var.airflow.version
  }
}
