# The bucket that is the lake. Its keys are those of jobs/lake/keys.ts.

locals {
  # Bucket names are shared by all of AWS: account and region make this one ours without a random part.
  bucket     = coalesce(var.bucket, "${var.name}-${local.account_id}-${local.region}")
  bucket_arn = "arn:${local.partition}:s3:::${local.bucket}"
  lake_uri   = "s3://${local.bucket}"

  is_kms = var.encryption == "SSE-KMS"
  # Of the key that covers everything: the one made here, or `kms_key_arn`. None with SSE-S3.
  kms_key_arns = local.is_kms ? concat(aws_kms_key.lake[*].arn, compact([var.kms_key_arn])) : []
}

resource "aws_s3_bucket" "lake" {
  #checkov:skip=CKV_AWS_18:access logs are objects that somebody pays for and keeps; CloudTrail data events can be added where an audit asks for them
  #checkov:skip=CKV_AWS_144:bronze can be loaded again from the exports, all else is made from bronze; a second region would double the bill
  #checkov:skip=CKV_AWS_145:SSE-S3 is the default because a key costs money while idle; encryption = SSE-KMS turns the key on
  #checkov:skip=CKV2_AWS_62:only functions (serverless.tf) and Snowflake listen to what arrives; all other hosts go by the clock and read manifests
  count = local.makes_bucket ? 1 : 0

  bucket = local.bucket

  lifecycle {
    # `terraform destroy` stops before it touches anything. disposable.tf.example is the way out.
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  count = local.makes_bucket ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  count = local.makes_bucket ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "lake" {
  count = local.makes_bucket ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  count = local.makes_bucket ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id

  rule {
    # Without a bucket key each object costs a call to KMS.
    bucket_key_enabled = local.is_kms

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.is_kms ? "aws:kms" : "AES256"
      kms_master_key_id = one(local.kms_key_arns)
    }
  }
}

resource "aws_s3_bucket_policy" "lake" {
  count = local.makes_bucket ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # S3 refuses a policy while it is still setting up the block of public access.
  depends_on = [aws_s3_bucket_public_access_block.lake]
}

resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  count = local.makes_bucket ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id

  rule {
    id     = "athena-results"
    status = "Enabled"

    filter {
      prefix = "athena-results/"
    }

    expiration {
      days = 7
    }

    noncurrent_version_expiration {
      noncurrent_days = 1
    }
  }

  rule {
    id     = "aborted-uploads"
    status = "Enabled"

    filter {
      prefix = ""
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  rule {
    id     = "noncurrent-versions"
    status = "Enabled"

    filter {
      prefix = ""
    }

    # `forget` deletes versions itself; this is for what `transform` and `gc` replaced, and for mistakes.
    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  dynamic "rule" {
    # Days by prefix.
    for_each = local.has_backup ? { (local.airflow_backup_prefix) = var.airflow.ec2.backup_days } : {}

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = "${rule.key}/"
      }

      expiration {
        days = rule.value
      }

      noncurrent_version_expiration {
        noncurrent_days = 1
      }
    }
  }

  # Rules about versions are refused before versioning is on.
  depends_on = [aws_s3_bucket_versioning.lake]
}

# Prefix to the queue that hears of its objects: a bucket has one list of them.
locals {
  _heard = merge(
    { for prefix in keys(local.arrivals) : prefix => aws_sqs_queue.arrivals[prefix].arn },
    var.snowflake.queue_arn == null ? {} : { manifests = var.snowflake.queue_arn },
  )
}

# A bucket of yours keeps the notifications that it has: there the daily run loads what has arrived.
resource "aws_s3_bucket_notification" "arrivals" {
  count = local.makes_bucket && length(local._heard) > 0 ? 1 : 0

  bucket = aws_s3_bucket.lake[0].id

  dynamic "queue" {
    for_each = local._heard

    content {
      id            = "arrived-in-${queue.key}"
      queue_arn     = queue.value
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = "${queue.key}/"
    }
  }

  # S3 sends a test message before it accepts a queue.
  depends_on = [aws_sqs_queue_policy.arrivals]
}

resource "aws_kms_key" "lake" {
  count = local.makes_key ? 1 : 0

  description             = "Everything at rest in the lake ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        # Without it nobody could change the key any more; who may use it is said in the roles (iam.tf).
        Sid       = "AccountDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      }],
      local.kms_service_statements,
    )
  })
}

resource "aws_kms_alias" "lake" {
  count = local.makes_key ? 1 : 0

  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.lake[0].key_id
}

locals {
  # What AWS's own services ask of the key. A key of yours needs the same in its policy (output key_policy).
  kms_service_statements = concat(
    # CloudWatch asks in its own name when it writes a log group that is encrypted with the key.
    [for group in concat(local.airflow_log_groups, local.has_alarms && local.airflow.is_eks ? [local._pods_log_group] : []) : {
      Sid       = "Logs"
      Effect    = "Allow"
      Principal = { Service = "logs.${local.region}.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      Resource  = "*"
      Condition = { ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${group}" } }
    }],
    # CloudWatch publishes alarms to a topic that is encrypted with the key.
    [for _ in var.alarms.email[*] : {
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
      Resource  = "*"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }],
  )
}
