# The network of the host that runs Airflow. ec2: one public subnet without a way in, so no NAT gateway has to be paid. eks: its nodes
# and database in private subnets, with one NAT gateway as the way out. The lake's bytes pass through neither: S3 has its own, free way.

locals {
  airflow = {
    has_host = contains(["ec2", "eks"], var.host)
    is_ec2   = var.host == "ec2"
    is_eks   = var.host == "eks"
  }

  # Of hosts, nodes and functions, and so of the images: Graviton types have a g behind their number.
  airflow_is_arm   = local.is_serverless ? var.serverless.architecture == "arm64" : can(regex("^[a-z]+[0-9]+g", var.host == "eks" ? var.airflow.eks.instance_type : var.airflow.ec2.instance_type))
  airflow_platform = local.airflow_is_arm ? "linux/arm64" : "linux/amd64"

  # Where Airflow's components, jobs, cluster or database say what they do.
  airflow_log_groups = {
    ec2    = ["/${var.name}/airflow"]
    eks    = concat(["/aws/eks/${var.name}/cluster"], values(local.airflow_database_log_groups))
    lambda = [for name in keys(local.functions) : local.function_log_groups[name]]
    none   = []
  }[var.host]

  # A network of its own, unless `network` names one that is there (own.tf).
  makes_network = local.airflow.has_host && var.network.vpc_id == null
  # EKS and RDS both ask for two zones.
  airflow_subnets = merge(
    { for name in ["public"] : name => { zone = 0, cidr = cidrsubnet(var.network.cidr, 8, 0), table = "public" } if local.makes_network },
    { for zone, name in ["private-a", "private-b"] : name => { zone = zone, cidr = cidrsubnet(var.network.cidr, 4, zone + 1), table = "private" } if local.makes_network && local.airflow.is_eks },
  )
}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:only the first two in order of their names are taken, and a new zone gets a later letter
  count = local.makes_network ? 1 : 0

  state = "available"
  # Zones that refuse a control plane of EKS, by their ids: letters differ from account to account. The first of them has no Graviton types
  # either (docs.aws.amazon.com/eks/latest/userguide/network-reqs.html).
  exclude_zone_ids = ["use1-az3", "usw1-az2", "cac1-az3"]

  filter {
    # Local zones offer little of what is used here.
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "airflow" {
  #checkov:skip=CKV2_AWS_11:nothing listens in the public subnet, and flow logs cost more than the host writes; add them where an audit asks for them
  count = local.makes_network ? 1 : 0

  cidr_block           = var.network.cidr
  enable_dns_hostnames = true
  enable_dns_support   = true

  tags = { Name = "${var.name}-airflow" }
}

# Whatever names no group of its own gets this one: no way in, no way out.
resource "aws_default_security_group" "airflow" {
  count = local.makes_network ? 1 : 0

  vpc_id  = aws_vpc.airflow[0].id
  ingress = []
  egress  = []
}

resource "aws_subnet" "airflow" {
  for_each = local.airflow_subnets

  vpc_id                  = aws_vpc.airflow[0].id
  cidr_block              = each.value.cidr
  availability_zone       = sort(data.aws_availability_zones.available[0].names)[each.value.zone]
  map_public_ip_on_launch = false

  tags = { Name = "${var.name}-airflow-${each.key}" }
}

resource "aws_internet_gateway" "airflow" {
  count = local.makes_network ? 1 : 0

  vpc_id = aws_vpc.airflow[0].id

  tags = { Name = "${var.name}-airflow" }
}

resource "aws_route_table" "airflow" {
  for_each = toset([for subnet in local.airflow_subnets : subnet.table])

  vpc_id = aws_vpc.airflow[0].id

  tags = { Name = "${var.name}-airflow-${each.key}" }
}

resource "aws_route_table_association" "airflow" {
  for_each = local.airflow_subnets

  subnet_id      = aws_subnet.airflow[each.key].id
  route_table_id = aws_route_table.airflow[each.value.table].id
}

resource "aws_route" "out" {
  for_each = aws_route_table.airflow

  route_table_id         = each.value.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = each.key == "public" ? aws_internet_gateway.airflow[0].id : null
  nat_gateway_id         = each.key == "private" ? aws_nat_gateway.airflow[0].id : null
}

resource "aws_vpc_endpoint" "s3" {
  count = local.makes_network ? 1 : 0

  vpc_id            = aws_vpc.airflow[0].id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = values(aws_route_table.airflow)[*].id

  tags = { Name = "${var.name}-airflow-s3" }
}

resource "aws_eip" "nat" {
  #checkov:skip=CKV2_AWS_19:it belongs to the NAT gateway below, which this check does not know
  count = local.makes_network && local.airflow.is_eks ? 1 : 0

  domain = "vpc"

  tags = { Name = "${var.name}-airflow-nat" }
}

# One for both zones: if its zone fails, jobs wait and are retried. A second one costs as much again.
resource "aws_nat_gateway" "airflow" {
  count = local.makes_network && local.airflow.is_eks ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.airflow["public"].id

  tags = { Name = "${var.name}-airflow" }

  # Without a way out of the network it cannot become available.
  depends_on = [aws_internet_gateway.airflow]
}
