terraform {
  # 1.11: the S3 backend's own lock file is out of its trial.
  required_version = ">= 1.11"

  required_providers {
    # 5.81: an OIDC provider for GitHub needs no thumbprint any more.
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81, < 7.0"
    }
  }

  # Bucket, region and the key, which is the lake's own, come from bootstrap/:
  #   terraform -chdir=bootstrap output -raw backend > backend.hcl
  #   terraform init -backend-config=backend.hcl
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ project = var.name }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  # `id` is the region's name in provider 5 and 6; `name` is deprecated in 6, `region` absent in 5.
  region = data.aws_region.current.id
}
