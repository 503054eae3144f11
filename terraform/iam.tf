# One role per job, from the table in jobs.tf, and one for people who read gold.

locals {
  _glue = "arn:${local.partition}:glue:${local.region}:${local.account_id}"

  job_policies = {
    for name, grant in local.grants : name => {
      Version = "2012-10-17"
      Statement = [for statement in [
        {
          # A request without a prefix would see the names of all files. So S3 answers 403 of an object that is absent, and a job looks for its
          # one name instead (jobs/lake/s3/bucket.ts).
          Sid       = "List"
          Effect    = "Allow"
          Action    = grant.is_final ? ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"] : ["s3:ListBucket"]
          Resource  = [local.bucket_arn]
          Condition = { StringLike = { "s3:prefix" = [for prefix in distinct(concat(grant.read, grant.write, grant.delete)) : "${prefix}/*"] } }
        },
        {
          Sid      = "Locate"
          Effect   = "Allow"
          Action   = ["s3:GetBucketLocation"]
          Resource = length(grant.workgroup) == 0 ? [] : [local.bucket_arn]
        },
        {
          Sid      = "Read"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = [for prefix in grant.read : "${local.bucket_arn}/${prefix}/*"]
        },
        {
          Sid      = "Write"
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
          Resource = [for prefix in grant.write : "${local.bucket_arn}/${prefix}/*"]
        },
        {
          Sid      = "Delete"
          Effect   = "Allow"
          Action   = grant.is_final ? ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"] : ["s3:DeleteObject"]
          Resource = [for prefix in grant.delete : "${local.bucket_arn}/${prefix}/*"]
        },
        {
          Sid      = "Query"
          Effect   = "Allow"
          Action   = local._query_actions
          Resource = [for group in grant.workgroup : local._workgroup_arns[group]]
        },
        {
          Sid      = "ReadCatalog"
          Effect   = "Allow"
          Action   = local._catalog_read_actions
          Resource = length(grant.catalog.read) == 0 ? [] : concat(local._catalog_roots, flatten([for layer in grant.catalog.read : local._catalog_arns[layer]]))
        },
        {
          Sid      = "Publish"
          Effect   = "Allow"
          Action   = ["glue:CreateTable", "glue:UpdateTable"]
          Resource = length(grant.catalog.write) == 0 ? [] : concat(["${local._glue}:catalog"], flatten([for layer in grant.catalog.write : local._catalog_arns[layer]]))
        },
        {
          # What a commit of silver changes: partitions, and where tables without any lie.
          Sid      = "Register"
          Effect   = "Allow"
          Action   = ["glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:BatchUpdatePartition", "glue:UpdateTable"]
          Resource = length(grant.catalog.register) == 0 ? [] : concat(["${local._glue}:catalog"], flatten([for layer in grant.catalog.register : local._catalog_arns[layer]]))
        },
        {
          Sid      = "Unpublish"
          Effect   = "Allow"
          Action   = ["glue:BatchDeleteTable", "glue:DeleteTable"]
          Resource = length(grant.catalog.delete) == 0 ? [] : concat(["${local._glue}:catalog"], flatten([for layer in grant.catalog.delete : local._catalog_arns[layer]]))
        },
        {
          Sid      = "Secrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = [for secret in grant.secrets : aws_secretsmanager_secret.job[secret].arn if contains(keys(local.secrets), secret)]
        },
        {
          # Spotify may answer a refresh with a new refresh token, which must be kept before it is used.
          Sid      = "RotateSecrets"
          Effect   = "Allow"
          Action   = ["secretsmanager:PutSecretValue"]
          Resource = [for secret in setintersection(grant.secrets, local.rotated_secrets) : aws_secretsmanager_secret.job[secret].arn if contains(keys(local.secrets), secret)]
        },
        {
          Sid      = "Key"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = local.kms_key_arns
        },
      ] : statement if length(statement.Resource) > 0]
    }
  }

  _query_actions = [
    "athena:BatchGetQueryExecution",
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetWorkGroup",
    "athena:ListQueryExecutions",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
  ]
  _workgroup_arns = { for key, group in local.workgroups : key => "arn:${local.partition}:athena:${local.region}:${local.account_id}:workgroup/${group.name}" }

  _catalog_read_actions = ["glue:BatchGetPartition", "glue:GetDatabase", "glue:GetDatabases", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable", "glue:GetTables"]
  # Athena looks at the database `default` whatever a query names.
  _catalog_roots = ["${local._glue}:catalog", "${local._glue}:database/default"]
  _catalog_arns  = { for layer, database in local.databases : layer => ["${local._glue}:database/${database.name}", "${local._glue}:table/${database.name}/*"] }

  _account_root = "arn:${local.partition}:iam::${local.account_id}:root"
  _operators    = length(var.people.operators) > 0 ? sort(var.people.operators) : [local._account_root]
  _analysts     = length(var.people.analysts) > 0 ? sort(var.people.analysts) : [local._account_root]

  # Who may take a job's role: people, the EC2 host, the job's pod, its function, and a workflow where `github.jobs` names the job.
  job_trusts = {
    for name in keys(local.jobs) : name => {
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "People"
          Effect    = "Allow"
          Principal = { AWS = concat(local._operators, aws_iam_role.host[*].arn) }
          Action    = ["sts:AssumeRole"]
        }],
        [for eks in local.eks[*] : {
          Sid       = "Irsa"
          Effect    = "Allow"
          Principal = { Federated = eks.oidc_provider_arn }
          Action    = ["sts:AssumeRoleWithWebIdentity"]
          Condition = { StringEquals = {
            "${local._eks_issuer}:aud" = "sts.amazonaws.com"
            "${local._eks_issuer}:sub" = "system:serviceaccount:${eks.namespace}:${local._service_account_prefix}-${name}"
          } }
        } if eks.oidc_provider_arn != null],
        [for eks in local.eks[*] : {
          Sid       = "PodIdentity"
          Effect    = "Allow"
          Principal = { Service = "pods.eks.amazonaws.com" }
          Action    = ["sts:AssumeRole", "sts:TagSession"]
          Condition = { StringEquals = {
            "aws:RequestTag/eks-cluster-name"           = eks.cluster_name
            "aws:RequestTag/kubernetes-namespace"       = eks.namespace
            "aws:RequestTag/kubernetes-service-account" = "${local._service_account_prefix}-${name}"
          } }
        } if eks.cluster_name != null],
        contains(try(var.github.jobs, []), name) ? local._github_trust : [],
        [for _ in [name] : {
          Sid       = "Function"
          Effect    = "Allow"
          Principal = { Service = "lambda.amazonaws.com" }
          Action    = ["sts:AssumeRole"]
        } if contains(keys(local.functions), name)],
      )
    }
  }
  # airflow/kubernetes/ names them listenlake-<job>, which a cluster with several lakes has to make different.
  _service_account_prefix = local.airflow.is_eks ? "listenlake" : var.name

  _eks_issuer = try(split("oidc-provider/", local.eks.oidc_provider_arn)[1], "")

  _github_host = "token.actions.githubusercontent.com"
  _github_trust = [for github in var.github[*] : {
    Sid       = "GitHub"
    Effect    = "Allow"
    Principal = { Federated = github.provider_arn != null ? github.provider_arn : aws_iam_openid_connect_provider.github[0].arn }
    Action    = ["sts:AssumeRoleWithWebIdentity"]
    Condition = { StringEquals = {
      "${local._github_host}:aud" = "sts.amazonaws.com"
      "${local._github_host}:sub" = "repo:${github.repository}:environment:${github.environment}"
    } }
  }]
}

resource "aws_iam_role" "job" {
  for_each = local.jobs

  name                 = "${var.name}-${each.key}"
  permissions_boundary = var.permissions_boundary_arn
  description          = "listenlake ${each.key}: ${replace(each.value.about, "->", "to")}"
  assume_role_policy   = jsonencode(local.job_trusts[each.key])
}

resource "aws_iam_role_policy" "job" {
  for_each = local.jobs

  name   = each.key
  role   = aws_iam_role.job[each.key].name
  policy = jsonencode(local.job_policies[each.key])
}

resource "aws_eks_pod_identity_association" "job" {
  for_each = try(local.eks.cluster_name, null) == null ? {} : local.jobs

  cluster_name    = local.airflow.is_eks ? aws_eks_cluster.airflow[0].name : local.eks.cluster_name
  namespace       = local.eks.namespace
  service_account = "${local._service_account_prefix}-${each.key}"
  role_arn        = aws_iam_role.job[each.key].arn
}

resource "aws_iam_role" "analyst" {
  name                 = "${var.name}-analyst"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Reads gold through the workgroup ${local.workgroups.analysts.name}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = local._analysts }, Action = ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_role_policy" "analyst" {
  name = "analyst"
  role = aws_iam_role.analyst.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Query"
          Effect   = "Allow"
          Action   = concat(local._query_actions, ["athena:BatchGetNamedQuery", "athena:GetNamedQuery", "athena:GetQueryResultsStream", "athena:GetQueryRuntimeStatistics", "athena:ListNamedQueries"])
          Resource = [local._workgroup_arns.analysts]
        },
        {
          # What the console's query editor asks before a person can choose a workgroup: names, and no resource to say them by.
          Sid      = "Console"
          Effect   = "Allow"
          Action   = ["athena:ListDataCatalogs", "athena:ListEngineVersions", "athena:ListWorkGroups"]
          Resource = ["*"]
        },
        {
          Sid      = "ConsoleCatalog"
          Effect   = "Allow"
          Action   = ["athena:GetDatabase", "athena:GetDataCatalog", "athena:GetTableMetadata", "athena:ListDatabases", "athena:ListTableMetadata"]
          Resource = ["arn:${local.partition}:athena:${local.region}:${local.account_id}:datacatalog/AwsDataCatalog"]
        },
        {
          Sid      = "ReadCatalog"
          Effect   = "Allow"
          Action   = local._catalog_read_actions
          Resource = concat(local._catalog_roots, local._catalog_arns.gold_dev, local._catalog_arns.gold_prod)
        },
        {
          # Only for what Athena reads on their behalf: its scan limit holds, and no file leaves by the side door.
          Sid       = "ReadGold"
          Effect    = "Allow"
          Action    = ["s3:GetObject"]
          Resource  = ["${local.bucket_arn}/gold/*"]
          Condition = { "ForAnyValue:StringEquals" = { "aws:CalledVia" = ["athena.amazonaws.com"] } }
        },
        {
          Sid      = "Results"
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
          Resource = ["${local.bucket_arn}/${local.workgroups.analysts.prefix}*"]
        },
        {
          Sid       = "List"
          Effect    = "Allow"
          Action    = ["s3:ListBucket"]
          Resource  = [local.bucket_arn]
          Condition = { StringLike = { "s3:prefix" = ["gold/*", "${local.workgroups.analysts.prefix}*"] } }
        },
        {
          Sid      = "Locate"
          Effect   = "Allow"
          Action   = ["s3:GetBucketLocation"]
          Resource = [local.bucket_arn]
        },
      ],
      [for arn in local.kms_key_arns : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [arn] }],
    )
  })
}
