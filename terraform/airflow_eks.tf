# A cluster for a team: each job a pod with its own role (Pod Identity), nodes that come and go with the work, Airflow by its official
# Helm chart (airflow/kubernetes/values.yaml). Helm itself is run by a person (docs/airflow.md).

locals {
  # Where pods of jobs may come from: the cluster made here, or one that `eks` names. Service accounts: airflow/kubernetes/.
  eks = local.airflow.is_eks ? { cluster_name = var.name, namespace = "listenlake", oidc_provider_arn = null } : var.eks

  _cluster_log_group = "/aws/eks/${var.name}/cluster"

  _aws_policy = "arn:${local.partition}:iam::aws:policy"
  eks_policies = !local.airflow.is_eks ? {} : {
    cluster       = { role = aws_iam_role.cluster[0].name, arn = "${local._aws_policy}/AmazonEKSClusterPolicy" }
    nodes         = { role = aws_iam_role.nodes[0].name, arn = "${local._aws_policy}/AmazonEKSWorkerNodePolicy" }
    nodes-images  = { role = aws_iam_role.nodes[0].name, arn = "${local._aws_policy}/AmazonEC2ContainerRegistryPullOnly" }
    nodes-network = { role = aws_iam_role.nodes[0].name, arn = "${local._aws_policy}/AmazonEKS_CNI_Policy" }
  }

  eks_addons = !local.airflow.is_eks ? {} : {
    coredns                = null
    eks-pod-identity-agent = null
    kube-proxy             = null
    # Without it the policies of airflow/kubernetes/network.yaml are accepted and ignored.
    vpc-cni = jsonencode({ enableNetworkPolicy = "true" })
  }

  # Pods that are no jobs, with roles of their own. Release and namespace: airflow/kubernetes/airflow-access.yaml.
  eks_pods = !local.airflow.is_eks ? {} : merge(
    { for component in ["api-server", "scheduler", "triggerer"] : component => { namespace = "airflow", account = "airflow-${component}", role = aws_iam_role.airflow[0].arn } },
    { autoscaler = { namespace = "kube-system", account = "cluster-autoscaler", role = aws_iam_role.autoscaler[0].arn } },
  )

  # Users and roles that EKS can know; a session of a role is known by its role.
  eks_admins = local.airflow.is_eks ? toset([for arn in var.people.operators : arn if strcontains(arn, ":iam::")]) : []
}

resource "aws_eks_cluster" "airflow" {
  #checkov:skip=CKV_AWS_38:the ranges are airflow.eks.api_cidrs, which refuses the whole internet
  #checkov:skip=CKV_AWS_39:public only for those ranges, and private alone without any
  #checkov:skip=CKV_AWS_339:without airflow.eks.kubernetes_version it is the newest that EKS offers, which no list in here would know
  count = local.airflow.is_eks ? 1 : 0

  name                      = var.name
  role_arn                  = aws_iam_role.cluster[0].arn
  version                   = var.airflow.eks.kubernetes_version
  enabled_cluster_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  access_config {
    authentication_mode = "API"
    # Who applies this can use it; with `people.operators` they alone can.
    bootstrap_cluster_creator_admin_permissions = length(var.people.operators) == 0
  }

  encryption_config {
    resources = ["secrets"]

    provider {
      key_arn = local._cluster_key_arn
    }
  }

  upgrade_policy {
    # A version that is out of support is upgraded, instead of costing six times as much.
    support_type = "STANDARD"
  }

  vpc_config {
    subnet_ids              = local.private_subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.airflow.eks.api_cidrs) > 0
    public_access_cidrs     = length(var.airflow.eks.api_cidrs) > 0 ? var.airflow.eks.api_cidrs : null
  }

  lifecycle {
    # Only counts when the cluster is made; another value later would make another cluster.
    ignore_changes = [access_config[0].bootstrap_cluster_creator_admin_permissions]
  }

  depends_on = [aws_cloudwatch_log_group.cluster, aws_iam_role_policy_attachment.eks]
}

resource "aws_cloudwatch_log_group" "cluster" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself; encryption = SSE-KMS turns the lake's key on
  #checkov:skip=CKV_AWS_338:a log is for finding out why a run failed; how long is up to airflow.log_days
  count = local.airflow.is_eks ? 1 : 0

  name              = local._cluster_log_group
  retention_in_days = var.airflow.log_days
  kms_key_id        = one(local.kms_key_arns)
}

# Secrets of the cluster are encrypted with a key of the account even where the lake is not: a cluster cannot be given one later without it.
resource "aws_kms_key" "cluster" {
  count = local.airflow.is_eks && !local.is_kms ? 1 : 0

  description             = "Secrets of the cluster ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AccountDecides"
      Effect    = "Allow"
      Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

locals {
  _cluster_key_arn = one(concat(local.kms_key_arns, aws_kms_key.cluster[*].arn))
}

resource "aws_eks_node_group" "airflow" {
  count = local.airflow.is_eks ? 1 : 0

  cluster_name    = aws_eks_cluster.airflow[0].name
  node_group_name = var.name
  node_role_arn   = aws_iam_role.nodes[0].arn
  subnet_ids      = aws_eks_cluster.airflow[0].vpc_config[0].subnet_ids
  ami_type        = local.airflow_is_arm ? "AL2023_ARM_64_STANDARD" : "AL2023_x86_64_STANDARD"
  instance_types  = [var.airflow.eks.instance_type]

  launch_template {
    id      = aws_launch_template.nodes[0].id
    version = aws_launch_template.nodes[0].latest_version
  }

  scaling_config {
    min_size     = 1
    desired_size = 1
    max_size     = var.airflow.eks.nodes_max
  }

  update_config {
    max_unavailable = 1
  }

  lifecycle {
    # The autoscaler's business from then on.
    ignore_changes = [scaling_config[0].desired_size]
  }

  depends_on = [aws_iam_role_policy_attachment.eks, aws_route.out, aws_route_table_association.airflow]
}

resource "aws_launch_template" "nodes" {
  count = local.airflow.is_eks ? 1 : 0

  name = "${var.name}-nodes"

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      # Images and what jobs spill: nothing that outlives a node.
      encrypted             = true
      delete_on_termination = true
      volume_type           = "gp3"
      volume_size           = 40
    }
  }

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required"
    # One hop ends at the node: no pod can ask for the node's own credentials.
    http_put_response_hop_limit = 1
  }

  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "${var.name}-node", project = var.name }
  }
}

resource "aws_eks_addon" "airflow" {
  for_each = local.eks_addons

  cluster_name                = aws_eks_cluster.airflow[0].name
  addon_name                  = each.key
  configuration_values        = each.value
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"

  # coredns is not healthy before it has a node to run on.
  depends_on = [aws_eks_node_group.airflow]
}

resource "aws_eks_access_entry" "operator" {
  for_each = local.eks_admins

  cluster_name  = aws_eks_cluster.airflow[0].name
  principal_arn = each.key
}

resource "aws_eks_access_policy_association" "operator" {
  for_each = local.eks_admins

  cluster_name  = aws_eks_cluster.airflow[0].name
  principal_arn = aws_eks_access_entry.operator[each.key].principal_arn
  policy_arn    = "arn:${local.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}

resource "aws_iam_role" "cluster" {
  count = local.airflow.is_eks ? 1 : 0

  name                 = "${var.name}-cluster"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Control plane of the cluster ${var.name}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "eks.amazonaws.com" }, Action = ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_role" "nodes" {
  count = local.airflow.is_eks ? 1 : 0

  name                 = "${var.name}-nodes"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Nodes of the cluster ${var.name}: join, pull images, network"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_role_policy_attachment" "eks" {
  for_each = local.eks_policies

  role       = each.value.role
  policy_arn = each.value.arn
}

resource "aws_eks_pod_identity_association" "pod" {
  for_each = local.eks_pods

  cluster_name    = aws_eks_cluster.airflow[0].name
  namespace       = each.value.namespace
  service_account = each.value.account
  role_arn        = each.value.role
}

# Airflow's own pods: they write and read the logs of tasks, nothing else of the lake.
resource "aws_iam_role" "airflow" {
  count = local.airflow.is_eks ? 1 : 0

  name                 = "${var.name}-airflow"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Airflow's components on the cluster ${var.name}: logs of tasks"
  assume_role_policy   = jsonencode(local._pod_trusts.airflow)
}

resource "aws_iam_role_policy" "airflow" {
  count = local.airflow.is_eks ? 1 : 0

  name = "logs"
  role = aws_iam_role.airflow[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Logs", Effect = "Allow", Action = ["s3:GetObject", "s3:PutObject"], Resource = ["${local.airflow_logs_arn}/*"] },
        # Of the whole bucket, so that S3 says 404 of a log that is not there yet (airflow_logs.tf).
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.airflow_logs_arn] },
      ],
      [for arn in local.kms_key_arns : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [arn] }],
    )
  })
}

# Cluster Autoscaler: adds a node when a job finds no room, takes it away when it is idle.
resource "aws_iam_role" "autoscaler" {
  count = local.airflow.is_eks ? 1 : 0

  name                 = "${var.name}-autoscaler"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Cluster Autoscaler of the cluster ${var.name}"
  assume_role_policy   = jsonencode(local._pod_trusts.autoscaler)
}

resource "aws_iam_role_policy" "autoscaler" {
  #checkov:skip=CKV_AWS_355:the calls that describe know no resource
  #checkov:skip=CKV_AWS_290:what writes is limited to the groups of this cluster by their tag
  count = local.airflow.is_eks ? 1 : 0

  name = "scale"
  role = aws_iam_role.autoscaler[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Look"
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups",
          "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeScalingActivities",
          "autoscaling:DescribeTags",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = ["*"]
      },
      { Sid = "LookAtNodes", Effect = "Allow", Action = ["eks:DescribeNodegroup"], Resource = ["arn:${local.partition}:eks:${local.region}:${local.account_id}:nodegroup/${var.name}/*"] },
      {
        Sid       = "Scale"
        Effect    = "Allow"
        Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource  = ["arn:${local.partition}:autoscaling:${local.region}:${local.account_id}:autoScalingGroup:*"]
        Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" = "owned" } }
      },
    ]
  })
}

locals {
  # Pod Identity: a role for service accounts of this cluster, by name.
  _pod_trusts = {
    for role, accounts in {
      airflow    = { namespace = "airflow", names = ["airflow-api-server", "airflow-scheduler", "airflow-triggerer"] }
      autoscaler = { namespace = "kube-system", names = ["cluster-autoscaler"] }
      } : role => {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = { StringEquals = {
          "aws:RequestTag/eks-cluster-name"           = var.name
          "aws:RequestTag/kubernetes-namespace"       = accounts.namespace
          "aws:RequestTag/kubernetes-service-account" = accounts.names
        } }
      }]
    }
  }
}
