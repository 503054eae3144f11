# Airflow's database of the EC2 host, dumped every night into the lake's bucket (airflow_ec2/backup.sh). On EKS it is RDS, which backs itself up.

locals {
  has_backup            = local.airflow.is_ec2 && var.airflow.ec2.backup_days > 0
  airflow_backup_prefix = "airflow-backup"

  backup_files = [for file in [
    { path = "/usr/local/sbin/listenlake-backup", name = "backup.sh", permissions = "0755" },
    { path = "/etc/systemd/system/listenlake-backup.service", name = "backup.service", permissions = "0644" },
    { path = "/etc/systemd/system/listenlake-backup.timer", name = "backup.timer", permissions = "0644" },
  ] : { path = file.path, content = local.host_files[file.name], permissions = file.permissions } if local.has_backup]
  backup_commands = local.has_backup ? [["systemctl", "enable", "--now", "listenlake-backup.timer"]] : []
}

# Its own prefix and nothing else of the lake. It cannot delete: dumps go by the bucket's lifecycle.
resource "aws_iam_role_policy" "backup" {
  count = local.has_backup ? 1 : 0

  name = "backup"
  role = aws_iam_role.host[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Backup", Effect = "Allow", Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], Resource = ["${local.bucket_arn}/${local.airflow_backup_prefix}/*"] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bucket_arn], Condition = { StringLike = { "s3:prefix" = ["${local.airflow_backup_prefix}/*"] } } },
      ],
      [for arn in local.kms_key_arns : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [arn] }],
    )
  })
}
