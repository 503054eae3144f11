# The image of every job, and that of Airflow for the hosts that run it.

locals {
  repository_arns = { for name in concat([var.name], aws_ecr_repository.airflow[*].name) : name => "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/${name}" }

  # A release of both images is pushed under one tag, so one number counts for both. One of the workflow's is three: an index and two platforms.
  _image_lifecycle = {
    rules = [
      {
        rulePriority = 1
        description  = "layers of failed or replaced pushes"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "the last 10 releases, so that a backfill can run older code"
        selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = local.has_delivery ? 30 : 10 }
        action       = { type = "expire" }
      },
    ]
  }
}

resource "aws_ecr_repository" "jobs" {
  #checkov:skip=CKV_AWS_136:AES-256 by AWS is the default because a key costs money while idle; encryption = SSE-KMS turns the key on
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = local.is_kms ? "KMS" : "AES256"
    kms_key         = one(local.kms_key_arns)
  }
}

resource "aws_ecr_lifecycle_policy" "jobs" {
  repository = aws_ecr_repository.jobs.name
  policy     = jsonencode(local._image_lifecycle)
}

resource "aws_ecr_repository" "airflow" {
  #checkov:skip=CKV_AWS_136:AES-256 by AWS is the default because a key costs money while idle; encryption = SSE-KMS turns the key on
  count = local.airflow.has_host ? 1 : 0

  name                 = "${var.name}-airflow"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = local.is_kms ? "KMS" : "AES256"
    kms_key         = one(local.kms_key_arns)
  }
}

resource "aws_ecr_lifecycle_policy" "airflow" {
  count = local.airflow.has_host ? 1 : 0

  repository = aws_ecr_repository.airflow[0].name
  policy     = jsonencode(local._image_lifecycle)
}

# Functions are started from the repository by Lambda itself.
resource "aws_ecr_repository_policy" "jobs" {
  count = local.is_serverless ? 1 : 0

  repository = aws_ecr_repository.jobs.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Functions"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Condition = { StringLike = { "aws:sourceArn" = "arn:${local.partition}:lambda:${local.region}:${local.account_id}:function:${var.name}-*" } }
    }]
  })
}
