# What deploy/ and the workflow deploy.yml need to know, as one object.

output "deployment" {
  description = "For make aws-images, aws-run and aws-open, and for the workflow: where images go, for which platform, and where Airflow runs."
  value = {
    account       = local.account_id
    airflow_host  = var.airflow.host
    airflow_image = one([for repository in aws_ecr_repository.airflow : repository.repository_url])
    cluster       = one(aws_eks_cluster.airflow[*].name)
    instance      = one(aws_instance.airflow[*].id)
    job_image     = aws_ecr_repository.jobs.repository_url
    # Graviton types have a g behind their number.
    platform = can(regex("^[a-z]+[0-9]+g", var.airflow.host == "eks" ? var.airflow.eks.instance_type : var.airflow.ec2.instance_type)) ? "linux/arm64" : "linux/amd64"
    region   = local.region
    version  = var.airflow.version
  }
}
