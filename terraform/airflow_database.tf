# Airflow's own database, for the cluster (on the EC2 host it is a container). Nodes come and go; what the runs are must not.

resource "aws_db_instance" "airflow" {
  #checkov:skip=CKV_AWS_118:enhanced monitoring is for databases that are busy
  #checkov:skip=CKV_AWS_157:a second zone doubles its price; Airflow waits while it is restored
  #checkov:skip=CKV_AWS_293:it holds the history of runs, the lake holds the data; `terraform destroy` may take it
  #checkov:skip=CKV_AWS_353:performance insights are for databases that are busy
  #checkov:skip=CKV2_AWS_30:a log of every statement would be most of its writing
  #checkov:skip=CKV2_AWS_69:PostgreSQL on RDS refuses what is not TLS by its default parameters since version 15
  count = local.airflow.is_eks ? 1 : 0

  identifier                          = "${var.name}-airflow"
  engine                              = "postgres"
  engine_version                      = "17"
  instance_class                      = "db.t4g.micro"
  db_name                             = "airflow"
  username                            = "postgres"
  allocated_storage                   = 20
  storage_type                        = "gp3"
  storage_encrypted                   = true
  kms_key_id                          = one(local.kms_key_arns)
  db_subnet_group_name                = aws_db_subnet_group.airflow[0].name
  vpc_security_group_ids              = [aws_security_group.database[0].id]
  publicly_accessible                 = false
  iam_database_authentication_enabled = true
  auto_minor_version_upgrade          = true
  backup_retention_period             = 7
  copy_tags_to_snapshot               = true
  enabled_cloudwatch_logs_exports     = local._database_logs
  skip_final_snapshot                 = true
  # Made, kept and changed every week by RDS in Secrets Manager: Terraform never sees it. Airflow logs in as a user of its own.
  manage_master_user_password   = true
  master_user_secret_kms_key_id = one(local.kms_key_arns)

  # RDS makes groups that are not there by itself: without an end, and left behind by `terraform destroy`.
  depends_on = [aws_cloudwatch_log_group.database]
}

locals {
  _database_logs = ["postgresql", "upgrade"]
  # As RDS names them.
  airflow_database_log_groups = { for log in local._database_logs : log => "/aws/rds/instance/${var.name}-airflow/${log}" }
}

resource "aws_cloudwatch_log_group" "database" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself; encryption = SSE-KMS turns the lake's key on
  #checkov:skip=CKV_AWS_338:a log is for finding out why a run failed; how long is up to airflow.log_days
  for_each = local.airflow.is_eks ? local.airflow_database_log_groups : {}

  name              = each.value
  retention_in_days = var.airflow.log_days
  kms_key_id        = one(local.kms_key_arns)
}

resource "aws_db_subnet_group" "airflow" {
  count = local.airflow.is_eks ? 1 : 0

  name       = "${var.name}-airflow"
  subnet_ids = local.private_subnet_ids
}

resource "aws_security_group" "database" {
  count = local.airflow.is_eks ? 1 : 0

  name        = "${var.name}-airflow-database"
  description = "Airflow's database: the cluster comes in, nothing goes out"
  vpc_id      = local.vpc_id
  egress      = []

  ingress {
    description     = "PostgreSQL from the cluster's nodes and pods"
    security_groups = [aws_eks_cluster.airflow[0].vpc_config[0].cluster_security_group_id]
    protocol        = "tcp"
    from_port       = 5432
    to_port         = 5432
  }
}
