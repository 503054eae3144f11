# Logs of tasks on the cluster, in a bucket of their own. Airflow asks whether a log is there before it writes it, and takes "no right to
# know" (403) for a failure: it would write none. To be told 404 it must be allowed to list the bucket, and the lake's names are none of its
# business.

resource "aws_s3_bucket" "airflow_logs" {
  #checkov:skip=CKV_AWS_18:what lies in it are logs themselves, and go after airflow.log_days
  #checkov:skip=CKV_AWS_21:a log is written once and goes by itself: there is no version to come back to
  #checkov:skip=CKV_AWS_144:what is lost with it is why an old run failed
  #checkov:skip=CKV_AWS_145:SSE-S3 is the default because a key costs money while idle; encryption = SSE-KMS turns the key on
  #checkov:skip=CKV2_AWS_62:nothing listens to events of the bucket
  count = local.airflow.is_eks ? 1 : 0

  bucket = local.airflow_logs_bucket
  # The logs of a cluster that is gone.
  force_destroy = true
}

resource "aws_s3_bucket_ownership_controls" "airflow_logs" {
  count = local.airflow.is_eks ? 1 : 0

  bucket = aws_s3_bucket.airflow_logs[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "airflow_logs" {
  count = local.airflow.is_eks ? 1 : 0

  bucket = aws_s3_bucket.airflow_logs[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "airflow_logs" {
  count = local.airflow.is_eks ? 1 : 0

  bucket = aws_s3_bucket.airflow_logs[0].id

  rule {
    bucket_key_enabled = local.is_kms

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.is_kms ? "aws:kms" : "AES256"
      kms_master_key_id = one(local.kms_key_arns)
    }
  }
}

resource "aws_s3_bucket_policy" "airflow_logs" {
  count = local.airflow.is_eks ? 1 : 0

  bucket = aws_s3_bucket.airflow_logs[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.airflow_logs_arn, "${local.airflow_logs_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.airflow_logs]
}

resource "aws_s3_bucket_lifecycle_configuration" "airflow_logs" {
  count = local.airflow.is_eks ? 1 : 0

  bucket = aws_s3_bucket.airflow_logs[0].id

  rule {
    id     = "logs"
    status = "Enabled"

    filter {
      prefix = ""
    }

    expiration {
      days = var.airflow.log_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

locals {
  airflow_logs_bucket = "${var.name}-airflow-logs-${local.account_id}-${local.region}"
  airflow_logs_arn    = "arn:${local.partition}:s3:::${local.airflow_logs_bucket}"
}
