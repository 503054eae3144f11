# What a company has already is used, and nothing is made beside it; by default all of it is made.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan

  mock_data "aws_s3_bucket" {
    defaults = {
      region = "eu-west-1"
    }
  }

  mock_data "aws_subnet" {
    defaults = {
      availability_zone = "eu-west-1b"
      vpc_id            = "vpc-0123456789abcdef0"
    }
  }
}

run "by_default_all_is_made" {
  command = plan

  variables {
    host       = "eks"
    airflow    = { version = "1.2.0" }
    encryption = "SSE-KMS"
  }

  assert {
    condition     = length(aws_vpc.airflow) == 1 && aws_vpc.airflow[0].cidr_block == "10.64.0.0/16" && length(aws_s3_bucket.lake) == 1 && length(aws_kms_key.lake) == 1 && length(data.aws_subnet.own) == 0 && length(data.aws_s3_bucket.own) == 0
    error_message = "network, bucket and key must be made"
  }

  assert {
    condition     = alltrue([for role in values(aws_iam_role.job) : role.permissions_boundary == null])
    error_message = "no boundary unless one is named"
  }
}

run "another_range" {
  command = plan

  variables {
    host    = "eks"
    airflow = { version = "1.2.0" }
    network = { cidr = "10.64.0.0/20" }
  }

  assert {
    condition     = aws_vpc.airflow[0].cidr_block == "10.64.0.0/20" && { for name, subnet in aws_subnet.airflow : name => subnet.cidr_block } == { private-a = cidrsubnet("10.64.0.0/20", 4, 1), private-b = cidrsubnet("10.64.0.0/20", 4, 2), public = cidrsubnet("10.64.0.0/20", 8, 0) }
    error_message = "the subnets must share the range that is given"
  }
}

run "all_of_it_is_there_for_ec2" {
  command = plan

  variables {
    host                     = "ec2"
    airflow                  = { version = "1.2.0" }
    bucket                   = "company-lake"
    encryption               = "SSE-KMS"
    kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/own"
    network                  = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0"] }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/company-boundary"
  }

  assert {
    condition = 0 == sum([for made in [
      aws_vpc.airflow, aws_subnet.airflow, aws_default_security_group.airflow, aws_internet_gateway.airflow, aws_route_table.airflow, aws_route.out,
      aws_route_table_association.airflow, aws_vpc_endpoint.s3, aws_eip.nat, aws_nat_gateway.airflow,
      aws_s3_bucket.lake, aws_s3_bucket_lifecycle_configuration.lake, aws_s3_bucket_ownership_controls.lake, aws_s3_bucket_policy.lake,
      aws_s3_bucket_public_access_block.lake, aws_s3_bucket_server_side_encryption_configuration.lake, aws_s3_bucket_versioning.lake,
      aws_kms_key.lake, aws_kms_alias.lake,
    ] : length(made)])
    error_message = "nothing of a network, a bucket or a key may be made or changed"
  }

  assert {
    condition     = aws_instance.airflow[0].subnet_id == "subnet-0123456789abcdef0"
    error_message = "the host must be in the subnet that is named"
  }

  assert {
    condition     = aws_ebs_volume.airflow[0].availability_zone == "eu-west-1b" && aws_security_group.host[0].vpc_id == "vpc-0123456789abcdef0" && !aws_instance.airflow[0].associate_public_ip_address
    error_message = "its disk must be in the same zone, its group in the same network, and no address given out unasked"
  }

  assert {
    condition     = strcontains(output.environment, "LISTENLAKE_LAKE=s3://company-lake\n") && aws_athena_workgroup.lake["prod"].configuration[0].result_configuration[0].output_location == "s3://company-lake/athena-results/prod/" && strcontains(aws_iam_role_policy.job["load"].policy, "arn:aws:s3:::company-lake/bronze/*") && alltrue([for table in aws_glue_catalog_table.bronze : startswith(table.storage_descriptor[0].location, "s3://company-lake/bronze/")])
    error_message = "the lake must be the bucket that is named"
  }

  assert {
    condition     = alltrue([for key in [aws_instance.airflow[0].root_block_device[0].kms_key_id, aws_ebs_volume.airflow[0].kms_key_id, aws_cloudwatch_log_group.host[0].kms_key_id, aws_ecr_repository.jobs.encryption_configuration[0].kms_key, aws_athena_workgroup.lake["dev"].configuration[0].result_configuration[0].encryption_configuration[0].kms_key_arn] : key == "arn:aws:kms:eu-west-1:123456789012:key/own"]) && alltrue([for policy in values(aws_iam_role_policy.job) : strcontains(policy.policy, "key/own")])
    error_message = "the key that is named must cover everything, and every job may use it"
  }

  assert {
    condition     = toset([for statement in jsondecode(output.key_policy) : statement.Principal.Service]) == toset(["logs.eu-west-1.amazonaws.com"])
    error_message = "the output must say what the key's policy needs"
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role.job), aws_iam_role.host[*], [aws_iam_role.analyst]) : role.permissions_boundary == "arn:aws:iam::123456789012:policy/company-boundary"])
    error_message = "the boundary must be on the roles"
  }
}

run "a_network_is_there_for_eks" {
  command = plan

  variables {
    host    = "eks"
    airflow = { version = "1.2.0" }
    network = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"] }
  }

  override_data {
    target = data.aws_subnet.own["subnet-0fedcba9876543210"]
    values = {
      availability_zone = "eu-west-1c"
      vpc_id            = "vpc-0123456789abcdef0"
    }
  }

  assert {
    condition     = aws_eks_cluster.airflow[0].vpc_config[0].subnet_ids == toset(["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]) && aws_db_subnet_group.airflow[0].subnet_ids == aws_eks_cluster.airflow[0].vpc_config[0].subnet_ids && aws_security_group.database[0].vpc_id == "vpc-0123456789abcdef0" && length(aws_nat_gateway.airflow) + length(aws_vpc.airflow) == 0
    error_message = "cluster and database must be in the subnets that are named, and no gateway be paid"
  }
}

run "refuses_a_subnet_of_another_network" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0" }
    network = { vpc_id = "vpc-0aaaaaaaaaaaaaaaa", subnet_ids = ["subnet-0123456789abcdef0"] }
  }

  expect_failures = [data.aws_subnet.own]
}

run "refuses_subnets_of_one_zone_for_eks" {
  command = plan

  variables {
    host    = "eks"
    airflow = { version = "1.2.0" }
    network = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"] }
  }

  expect_failures = [check.zones_of_own_subnets]
}

run "refuses_a_bucket_elsewhere" {
  command = plan

  variables {
    bucket = "company-lake"
  }

  override_data {
    target = data.aws_s3_bucket.own[0]
    values = {
      region = "us-east-1"
    }
  }

  expect_failures = [data.aws_s3_bucket.own]
}

run "refuses_what_cannot_be" {
  command = plan

  variables {
    bucket                   = "Has.Dots"
    kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:alias/own"
    network                  = { cidr = "10.64.0.0/24", vpc_id = "vpc-1", subnet_ids = [] }
    permissions_boundary_arn = "company-boundary"
  }

  expect_failures = [var.bucket, var.kms_key_arn, var.network, var.permissions_boundary_arn]
}
