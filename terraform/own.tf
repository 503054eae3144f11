# What a company has already: a network, a bucket, a key. Each is used as it is and never changed; what is made here instead is in
# airflow_network.tf and lake.tf. (Permissions boundaries are on the roles themselves.)

locals {
  makes_bucket = var.bucket == null
  makes_key    = local.is_kms && var.kms_key_arn == null

  # In the order of the variable: the host gets the first.
  _own_subnets = [for id in var.network.subnet_ids : data.aws_subnet.own[id] if local.airflow.has_host]

  vpc_id             = local.makes_network ? one(aws_vpc.airflow[*].id) : var.network.vpc_id
  host_subnet        = local.makes_network ? aws_subnet.airflow["public"] : try(local._own_subnets[0], null)
  private_subnet_ids = local.makes_network ? [for name, subnet in local.airflow_subnets : aws_subnet.airflow[name].id if subnet.table == "private"] : var.network.subnet_ids
}

data "aws_subnet" "own" {
  for_each = local.airflow.has_host ? toset(var.network.subnet_ids) : []

  id = each.key

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.network.vpc_id
      error_message = "network.subnet_ids: ${self.id} is in ${self.vpc_id}, not in network.vpc_id ${coalesce(var.network.vpc_id, "(none)")}."
    }
  }
}

data "aws_s3_bucket" "own" {
  count = local.makes_bucket ? 0 : 1

  bucket = var.bucket

  lifecycle {
    postcondition {
      condition     = self.region == local.region
      error_message = "bucket ${self.bucket} is in ${self.region}: Athena reads it in its own region, so set region to that."
    }
  }
}

check "zones_of_own_subnets" {
  assert {
    condition     = !local.airflow.is_eks || local.makes_network || length(distinct([for subnet in local._own_subnets : subnet.availability_zone])) >= 2
    error_message = "network.subnet_ids: EKS and RDS need subnets in two zones."
  }
}
