# The workflow .github/workflows/deploy.yml, only if asked for: one role that plans and one that applies, by GitHub's OIDC token, each from an
# environment of its own. The first apply is a person's; so is every change of these two roles and of the one that pushes images.

locals {
  has_delivery  = var.delivery != null && var.github != null
  _state_bucket = local.has_delivery ? coalesce(var.delivery.state_bucket, "${var.name}-state-${local.account_id}-${local.region}") : ""
  _state_arn    = "arn:${local.partition}:s3:::${local._state_bucket}"

  # Who delivers what: the subject of the token names repository and environment.
  delivery = { for role, environment in local.has_delivery ? { plan = var.delivery.plan_environment, deploy = var.delivery.environment } : {} : role => {
    subject    = "repo:${var.github.repository}:environment:${environment}"
    statements = { plan = concat(local._look, [local._read_state]), deploy = concat(local._look, local._change, [local._read_state, local._write_state]) }[role]
  } }

  _own = { for service, suffix in {
    alarms    = "cloudwatch:${local.region}:${local.account_id}:alarm:${var.name}-*"
    athena    = "athena:${local.region}:${local.account_id}:workgroup/${var.name}-*"
    budget    = "budgets::${local.account_id}:budget/${var.name}-*"
    cluster   = "eks:${local.region}:${local.account_id}:cluster/${var.name}"
    database  = "rds:${local.region}:${local.account_id}:db:${var.name}-*"
    logs      = "logs:${local.region}:${local.account_id}:log-group:/${var.name}/*"
    profiles  = "iam::${local.account_id}:instance-profile/${var.name}-*"
    ecr       = "ecr:${local.region}:${local.account_id}:repository/${var.name}*"
    roles     = "iam::${local.account_id}:role/${var.name}-*"
    schedules = "scheduler:${local.region}:${local.account_id}:schedule/default/${var.name}-*"
    secrets   = "secretsmanager:${local.region}:${local.account_id}:secret:${var.name}/*"
    subnets   = "rds:${local.region}:${local.account_id}:subgrp:${var.name}-*"
    topic     = "sns:${local.region}:${local.account_id}:${var.name}-*"
  } : service => "arn:${local.partition}:${suffix}" }

  _logs_buckets = local.airflow.is_eks ? [local.airflow_logs_arn] : []

  # What a plan reads. No object of the lake is among it, and no secret's value.
  _look = [
    {
      Sid    = "LookAtNames"
      Effect = "Allow"
      # Calls that know no resource, or that Terraform makes before it knows one.
      Action = [
        "athena:GetNamedQuery", "cloudwatch:DescribeAlarms", "ec2:Describe*", "ecr:DescribeRepositories", "eks:Describe*", "eks:List*", "iam:GetOpenIDConnectProvider",
        "iam:GetPolicy", "iam:ListOpenIDConnectProviders", "kms:ListAliases", "logs:DescribeLogGroups", "logs:DescribeMetricFilters", "rds:Describe*", "sns:GetSubscriptionAttributes",
        "ssm:GetParameter", "sts:GetCallerIdentity",
      ]
      Resource = ["*"]
    },
    {
      Sid      = "LookAtBucket"
      Effect   = "Allow"
      Action   = ["s3:GetAccelerateConfiguration", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket"]
      Resource = concat([local.bucket_arn], local._logs_buckets)
    },
    {
      Sid      = "LookAtCatalog"
      Effect   = "Allow"
      Action   = ["glue:GetDatabase", "glue:GetPartitionIndexes", "glue:GetTable", "glue:GetTags"]
      Resource = concat(["${local._glue}:catalog"], flatten(values(local._catalog_arns)))
    },
    {
      Sid    = "LookAtOwn"
      Effect = "Allow"
      Action = [
        "athena:GetWorkGroup", "athena:ListTagsForResource", "budgets:ListTagsForResource", "budgets:ViewBudget", "cloudwatch:ListTagsForResource", "ecr:GetLifecyclePolicy",
        "ecr:ListTagsForResource", "iam:GetInstanceProfile", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole",
        "iam:ListRolePolicies", "logs:ListTagsForResource", "rds:ListTagsForResource", "scheduler:GetSchedule", "scheduler:ListTagsForResource", "secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy", "sns:GetTopicAttributes", "sns:ListTagsForResource",
      ]
      Resource = values(local._own)
    },
    {
      Sid      = "LookAtKeys"
      Effect   = "Allow"
      Action   = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"]
      Resource = ["arn:${local.partition}:kms:${local.region}:${local.account_id}:key/*"]
    },
  ]

  # What an apply changes: things of this name. Networks have ids instead: those that are made and changed bear the tag `project`.
  _change = concat(
    [
      {
        Sid    = "ChangeBucket"
        Effect = "Allow"
        # Not s3:DeleteBucket: the lake outlives every workflow.
        Action   = ["s3:CreateBucket", "s3:PutBucket*", "s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"]
        Resource = concat(local.makes_bucket ? [local.bucket_arn] : [], local._logs_buckets)
      },
      {
        Sid      = "ChangeCatalog"
        Effect   = "Allow"
        Action   = ["glue:CreateDatabase", "glue:CreateTable", "glue:DeleteTable", "glue:TagResource", "glue:UntagResource", "glue:UpdateDatabase", "glue:UpdateTable"]
        Resource = concat(["${local._glue}:catalog"], flatten(values(local._catalog_arns)))
      },
      {
        Sid    = "ChangeOwn"
        Effect = "Allow"
        Action = [
          "athena:CreateNamedQuery", "athena:CreateWorkGroup", "athena:DeleteNamedQuery", "athena:TagResource", "athena:UntagResource", "athena:UpdateNamedQuery", "athena:UpdateWorkGroup",
          "budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource",
          "cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource",
          "ecr:CreateRepository", "ecr:DeleteLifecyclePolicy", "ecr:PutImageScanningConfiguration", "ecr:PutImageTagMutability", "ecr:PutLifecyclePolicy", "ecr:TagResource", "ecr:UntagResource",
          "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteMetricFilter", "logs:PutMetricFilter", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource",
          "scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:UpdateSchedule",
          "secretsmanager:CreateSecret", "secretsmanager:DeleteSecret", "secretsmanager:TagResource", "secretsmanager:UntagResource", "secretsmanager:UpdateSecret",
          "sns:CreateTopic", "sns:DeleteTopic", "sns:SetTopicAttributes", "sns:Subscribe", "sns:TagResource", "sns:Unsubscribe", "sns:UntagResource",
        ]
        Resource = values(local._own)
      },
      {
        # A role may be given any right that its boundary allows: without permissions_boundary_arn, whoever may merge decides (docs/aws.md).
        Sid       = "MakeRoles"
        Effect    = "Allow"
        Action    = ["iam:AttachRolePolicy", "iam:CreateRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePolicy"]
        Resource  = [local._own.roles]
        Condition = var.permissions_boundary_arn == null ? {} : { StringEquals = { "iam:PermissionsBoundary" = var.permissions_boundary_arn } }
      },
      {
        Sid    = "ChangeRoles"
        Effect = "Allow"
        Action = [
          "iam:AddRoleToInstanceProfile", "iam:CreateInstanceProfile", "iam:DeleteInstanceProfile", "iam:DeleteRole", "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile",
          "iam:TagRole", "iam:UntagInstanceProfile", "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
        ]
        Resource = [local._own.roles, local._own.profiles]
      },
      {
        Sid       = "PassRoles"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [local._own.roles]
        Condition = { StringEquals = { "iam:PassedToService" = ["ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com", "scheduler.amazonaws.com"] } }
      },
      {
        # Nobody widens what delivers by delivering.
        Sid      = "LeaveDeliveryAlone"
        Effect   = "Deny"
        Action   = ["iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*", "iam:Update*"]
        Resource = [for role in ["deploy", "image", "plan"] : "arn:${local.partition}:iam::${local.account_id}:role/${var.name}-${role}"]
      },
    ],
    [for statement in [
      {
        Sid    = "ChangeTaggedOfEc2"
        Effect = "Allow"
        Action = [
          "ec2:AssociateRouteTable", "ec2:AttachInternetGateway", "ec2:AttachVolume", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress", "ec2:CreateRoute",
          "ec2:CreateSecurityGroup", "ec2:CreateSubnet", "ec2:CreateRouteTable", "ec2:CreateVpcEndpoint", "ec2:CreateNatGateway", "ec2:CreateLaunchTemplateVersion", "ec2:CreateTags", "ec2:DeleteRoute", "ec2:DeleteTags",
          "ec2:DeleteSecurityGroup", "ec2:DetachVolume", "ec2:DisassociateRouteTable", "ec2:ModifyInstanceAttribute", "ec2:ModifySubnetAttribute", "ec2:ModifyVolume", "ec2:ModifyVpcAttribute",
          "ec2:ReleaseAddress", "ec2:RevokeSecurityGroupEgress", "ec2:RevokeSecurityGroupIngress", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances",
        ]
        Resource  = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:*/*"]
        Condition = { StringEquals = { "aws:ResourceTag/project" = var.name } }
      },
      {
        Sid    = "MakeTaggedOfEc2"
        Effect = "Allow"
        Action = [
          "ec2:AllocateAddress", "ec2:CreateInternetGateway", "ec2:CreateLaunchTemplate", "ec2:CreateNatGateway", "ec2:CreateRouteTable", "ec2:CreateSecurityGroup", "ec2:CreateSubnet",
          "ec2:CreateVolume", "ec2:CreateVpc", "ec2:CreateVpcEndpoint", "ec2:RunInstances",
        ]
        Resource  = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:*/*"]
        Condition = { StringEquals = { "aws:RequestTag/project" = var.name } }
      },
      {
        Sid       = "TagWhatIsMadeOfEc2"
        Effect    = "Allow"
        Action    = ["ec2:CreateTags"]
        Resource  = ["arn:${local.partition}:ec2:${local.region}:${local.account_id}:*/*"]
        Condition = { StringLike = { "ec2:CreateAction" = ["*"] } }
      },
      {
        # What an instance is started in and from has no tag of this request.
        Sid    = "StartInstances"
        Effect = "Allow"
        Action = ["ec2:RunInstances"]
        Resource = concat(
          [for kind in ["network-interface", "security-group", "subnet"] : "arn:${local.partition}:ec2:${local.region}:${local.account_id}:${kind}/*"],
          ["arn:${local.partition}:ec2:${local.region}::image/*"],
        )
      },
    ] : statement if local.airflow.has_host],
    [for statement in [
      {
        Sid    = "ChangeCluster"
        Effect = "Allow"
        Action = ["eks:Associate*", "eks:Create*", "eks:DeleteAddon", "eks:DeletePodIdentityAssociation", "eks:Disassociate*", "eks:TagResource", "eks:UntagResource", "eks:Update*"]
        Resource = [
          local._own.cluster,
          "arn:${local.partition}:eks:${local.region}:${local.account_id}:*/${var.name}/*",
        ]
      },
      {
        Sid      = "ChangeDatabase"
        Effect   = "Allow"
        Action   = ["rds:AddTagsToResource", "rds:CreateDBInstance", "rds:CreateDBSubnetGroup", "rds:ModifyDBInstance", "rds:ModifyDBSubnetGroup", "rds:RemoveTagsFromResource"]
        Resource = [local._own.database, local._own.subnets]
      },
    ] : statement if local.airflow.is_eks],
    [for arn in local.kms_key_arns : {
      Sid      = "UseKey"
      Effect   = "Allow"
      Action   = ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*", "kms:PutKeyPolicy", "kms:TagResource", "kms:UntagResource"]
      Resource = [arn]
    }],
  )

  _read_state = {
    Sid      = "ReadState"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:ListBucket"]
    Resource = [local._state_arn, "${local._state_arn}/${var.name}/*"]
  }
  _write_state = {
    Sid    = "WriteState"
    Effect = "Allow"
    # The lock is a file that goes again.
    Action   = ["s3:DeleteObject", "s3:PutObject"]
    Resource = ["${local._state_arn}/${var.name}/*"]
  }
}

resource "aws_iam_role" "delivery" {
  for_each = local.delivery

  name                 = "${var.name}-${each.key}"
  permissions_boundary = var.permissions_boundary_arn
  description          = "GitHub workflow that ${each.key == "plan" ? "plans changes of" : "applies changes to"} the lake ${var.name}"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = coalesce(var.github.provider_arn, one(aws_iam_openid_connect_provider.github[*].arn)) }
      Action    = ["sts:AssumeRoleWithWebIdentity"]
      Condition = { StringEquals = { "${local._github_host}:aud" = "sts.amazonaws.com", "${local._github_host}:sub" = each.value.subject } }
    }]
  })
}

resource "aws_iam_role_policy" "delivery" {
  #checkov:skip=CKV_AWS_355:what has no name before it is made is bounded by its tag; what knows no resource only looks
  #checkov:skip=CKV_AWS_287:no secret's value and no credentials are readable: CreateRole is bounded by name and by the boundary
  #checkov:skip=CKV_AWS_289:who applies Terraform makes roles: only of this name, under the boundary, and never those that deliver
  #checkov:skip=CKV_AWS_290:what writes is bounded by name or by the tag of the project
  #checkov:skip=CKV_AWS_286:roles that deliver cannot be changed by delivering; others are bounded by permissions_boundary_arn
  for_each = local.delivery

  name = each.key
  role = aws_iam_role.delivery[each.key].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for statement in each.value.statements : { for key, value in statement : key => value if value != null && try(length(value) > 0, true) } if length(statement.Resource) > 0]
  })
}
