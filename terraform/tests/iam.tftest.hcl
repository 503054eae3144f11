# S14, S15: who may do what. The tables below are the whole of it: what is not in them is denied.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "deny_matrix" {
  command = plan

  variables {
    host    = "ec2"
    airflow = { version = "1.2.0" }
    github  = { repository = "example/listenlake" }
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:s3:::listenlake-123456789012-eu-west-1/")] if contains(statement.Action, "s3:GetObject")
      ]))) }) == jsonencode({
      check     = ["athena-results/dev/*", "athena-results/prod/*", "gold/dev/*", "gold/prod/*", "leases/*", "manifests/*", "silver/*", "state/*"]
      enrich    = ["athena-results/dev/*", "gold/dev/*", "leases/*", "manifests/*", "silver/*", "state/*"]
      extract   = ["landing/*", "leases/*", "manifests/*", "state/*"]
      forget    = ["athena-results/*", "athena-results/dev/*", "athena-results/prod/*", "bronze/*", "gold/dev/*", "gold/prod/*", "iceberg/*", "landing/*", "leases/*", "manifests/*", "report/*", "silver/*", "staging/*", "state/*"]
      gc        = ["bronze/*", "gold/dev/*", "gold/prod/*", "iceberg/*", "leases/*", "manifests/*", "silver/*", "staging/*", "state/*"]
      load      = ["bronze/*", "landing/*", "leases/*", "manifests/*", "state/*"]
      promote   = ["athena-results/prod/*", "gold/dev/*", "gold/prod/*", "leases/*", "manifests/*", "state/*"]
      report    = ["athena-results/prod/*", "gold/prod/*", "manifests/*", "state/*"]
      retention = ["athena-results/*", "athena-results/dev/*", "athena-results/prod/*", "bronze/*", "gold/dev/*", "gold/prod/*", "iceberg/*", "landing/*", "leases/*", "manifests/*", "report/*", "silver/*", "staging/*", "state/*"]
      stream    = ["bronze/stream-dead-letters/*", "bronze/stream/*", "manifests/*", "state/*"]
      train     = ["athena-results/dev/*", "gold/dev/*", "leases/*", "manifests/*", "state/*"]
      transform = ["athena-results/dev/*", "bronze/*", "leases/*", "manifests/*", "silver/*", "staging/*", "state/*"]
    })
    error_message = "read: extract must not read silver, enrich not prod, report only prod"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:s3:::listenlake-123456789012-eu-west-1/")] if contains(statement.Action, "s3:PutObject")
      ]))) }) == jsonencode({
      check     = ["athena-results/dev/*", "athena-results/prod/*", "leases/*", "manifests/*", "state/*"]
      enrich    = ["athena-results/dev/*", "gold/dev/*", "leases/*", "manifests/*", "state/*"]
      extract   = ["landing/*", "leases/*", "manifests/*", "state/*"]
      forget    = ["athena-results/dev/*", "athena-results/prod/*", "bronze/*", "gold/dev/*", "gold/prod/*", "leases/*", "manifests/*", "report/*", "silver/*", "state/*"]
      gc        = ["leases/*", "manifests/*", "state/*"]
      load      = ["bronze/*", "leases/*", "manifests/*", "state/*"]
      promote   = ["athena-results/prod/*", "gold/prod/*", "leases/*", "manifests/*", "state/*"]
      report    = ["athena-results/prod/*", "report/*"]
      retention = ["athena-results/dev/*", "athena-results/prod/*", "bronze/*", "gold/dev/*", "gold/prod/*", "leases/*", "manifests/*", "report/*", "silver/*", "state/*"]
      stream    = ["bronze/stream-dead-letters/*", "bronze/stream/*"]
      train     = ["athena-results/dev/*", "gold/dev/*", "leases/*", "manifests/*", "state/*"]
      transform = ["athena-results/dev/*", "bronze/listening_events/*", "leases/*", "manifests/*", "silver/*", "staging/*", "state/*"]
    })
    error_message = "write: dev must not write gold_prod, only promote, forget and retention may"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:s3:::listenlake-123456789012-eu-west-1/")] if contains(statement.Action, "s3:DeleteObject")
      ]))) }) == jsonencode({
      check     = ["leases/*"]
      enrich    = ["leases/*"]
      extract   = ["leases/*"]
      forget    = ["athena-results/*", "bronze/*", "gold/dev/*", "gold/prod/*", "iceberg/*", "landing/*", "leases/*", "manifests/*", "report/*", "silver/*", "staging/*", "state/*"]
      gc        = ["bronze/*", "gold/dev/*", "gold/prod/*", "iceberg/*", "leases/*", "manifests/*", "silver/*", "staging/*", "state/*"]
      load      = ["landing/*", "leases/*"]
      promote   = ["leases/*"]
      report    = []
      retention = ["athena-results/*", "bronze/*", "gold/dev/*", "gold/prod/*", "iceberg/*", "landing/*", "leases/*", "manifests/*", "report/*", "silver/*", "staging/*", "state/*"]
      stream    = []
      train     = ["leases/*"]
      transform = ["leases/*", "staging/*"]
    })
    error_message = "delete: only gc, forget and retention; apart from the own lease, the inbox that load empties, and what transform has staged"
  }

  assert {
    condition     = toset([for job, role in aws_iam_role_policy.job : job if strcontains(role.policy, "DeleteObjectVersion") || strcontains(role.policy, "DeleteTable")]) == toset(["forget", "gc", "retention"])
    error_message = "older versions and tables: only gc, forget and retention"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:glue:eu-west-1:123456789012:table/")] if contains(statement.Action, "glue:CreateTable")
      ]))) if strcontains(role.policy, "glue:CreateTable") }) == jsonencode({
      enrich    = ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_dev", "listenlake_gold_dev/*"]
      forget    = ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_dev", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_prod", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_silver", "listenlake_gold_dev/*", "listenlake_gold_prod/*", "listenlake_silver/*"]
      promote   = ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_prod", "listenlake_gold_prod/*"]
      retention = ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_dev", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_prod", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_silver", "listenlake_gold_dev/*", "listenlake_gold_prod/*", "listenlake_silver/*"]
      train     = ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_gold_dev", "listenlake_gold_dev/*"]
      transform = ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/listenlake_silver", "listenlake_silver/*"]
    })
    error_message = "publishing: enrich and train point at dev, promote at prod; transform makes tables in silver that serve it alone"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:glue:eu-west-1:123456789012:")] if contains(statement.Action, "glue:BatchUpdatePartition")
      ])) if strcontains(role.policy, "CreatePartition") || strcontains(role.policy, "UpdatePartition") || strcontains(role.policy, "DeletePartition") }) == jsonencode({
      forget    = ["catalog", "database/listenlake_silver", "table/listenlake_silver/*"]
      retention = ["catalog", "database/listenlake_silver", "table/listenlake_silver/*"]
      transform = ["catalog", "database/listenlake_silver", "table/listenlake_silver/*"]
    })
    error_message = "partitions are registered by who commits silver, and nowhere else"
  }

  assert {
    condition     = toset(flatten([for role in aws_iam_role_policy.job : [for statement in jsondecode(role.policy).Statement : [for action in statement.Action : action if strcontains(action, "Partition") && !strcontains(action, "Get")]]])) == toset(["glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:BatchUpdatePartition"])
    error_message = "partitions are registered in batches: no other call is made"
  }

  assert {
    condition = jsonencode(sort([for job, role in aws_iam_role_policy.job : job if anytrue([
      for statement in jsondecode(role.policy).Statement : contains(statement.Action, "glue:BatchGetPartition") && contains(statement.Action, "glue:GetPartitions") && contains(statement.Resource, "arn:aws:glue:eu-west-1:123456789012:table/listenlake_silver/*")
    ])])) == jsonencode(["check", "enrich", "forget", "gc", "retention", "transform"])
    error_message = "who reads silver through Athena, or compares it, sees its partitions"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(flatten([
      for statement in jsondecode(role.policy).Statement : [for resource in statement.Resource : regex("[a-z]+$", resource)] if contains(statement.Action, "athena:StartQueryExecution")
      ])) }) == jsonencode({
      check = ["dev", "prod"], enrich = ["dev"], extract = [], forget = ["dev", "prod"], gc = [], load = [], promote = ["prod"], report = ["prod"], retention = ["dev", "prod"], stream = [], train = ["dev"], transform = ["dev"]
    })
    error_message = "each job asks in its own workgroup"
  }

  assert {
    condition = alltrue(flatten([for role in concat(values(aws_iam_role_policy.job), [aws_iam_role_policy.analyst]) : [
      for statement in jsondecode(role.policy).Statement : concat(
        [for action in statement.Action : !strcontains(action, "*")],
        [for resource in statement.Resource : resource != "*" && !strcontains(split("/", resource)[0], "*") || statement.Sid == "Console"],
      )
    ]]))
    error_message = "no action and no resource may be a wildcard, but for objects and tables below a name"
  }

  assert {
    condition = jsonencode([for statement in jsondecode(aws_iam_role_policy.analyst.policy).Statement : statement.Action if statement.Sid == "Console"]) == jsonencode([
      ["athena:ListDataCatalogs", "athena:ListEngineVersions", "athena:ListWorkGroups"]
    ]) && !anytrue([for role in aws_iam_role_policy.job : strcontains(role.policy, "\"Console\"")])
    error_message = "the console's lists are the only wildcard, and for analysts alone"
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role_policy.job), [aws_iam_role_policy.analyst]) : !can(regex("\"(iam|sts|kms|ec2|lambda):", role.policy))])
    error_message = "no job may change roles or reach other services"
  }

  assert {
    condition     = alltrue([for role in concat(values(aws_iam_role_policy.job), [aws_iam_role_policy.analyst]) : length(role.policy) <= 10240])
    error_message = "IAM takes inline policies of up to 10,240 characters"
  }

  assert {
    condition = alltrue([for role in aws_iam_role_policy.job : alltrue([
      for statement in jsondecode(role.policy).Statement : keys(statement.Condition) == ["StringLike"] && alltrue([for pattern in statement.Condition.StringLike["s3:prefix"] : can(regex("^[a-z]", pattern))]) if contains(statement.Action, "s3:ListBucket")
    ])])
    error_message = "a job lists only its own prefixes, and nothing where it gives none"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.analyst.policy).Statement : try(jsonencode(statement.Condition), "") == jsonencode({ "ForAnyValue:StringEquals" = { "aws:CalledVia" = ["athena.amazonaws.com"] } })
      if anytrue([for resource in statement.Resource : endswith(resource, "/gold/*")])
    ])
    error_message = "analysts read the files of gold only through Athena"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.analyst.policy, "silver") && !strcontains(aws_iam_role_policy.analyst.policy, "bronze") && !strcontains(aws_iam_role_policy.analyst.policy, "Delete") && !strcontains(aws_iam_role_policy.analyst.policy, "workgroup/listenlake-dev") && !strcontains(aws_iam_role_policy.analyst.policy, "workgroup/listenlake-prod")
    error_message = "analysts see gold through their own workgroup, and delete nothing"
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.host[0].policy).Statement : statement.Action[0] if contains(statement.Resource, "*")]) == toset(["ecr:GetAuthorizationToken"])
    error_message = "the host's only wildcard is the one that ECR demands"
  }

  assert {
    condition     = toset([for name, role in aws_iam_role.job : role.name]) == toset(flatten([for statement in jsondecode(aws_iam_role_policy.host[0].policy).Statement : [for resource in statement.Resource : trimprefix(resource, "arn:aws:iam::123456789012:role/")] if contains(statement.Action, "sts:AssumeRole")]))
    error_message = "the host may take the job roles and no other"
  }
}

run "trust_by_default" {
  command = plan

  assert {
    condition     = alltrue([for role in aws_iam_role.job : jsonencode([for statement in jsondecode(role.assume_role_policy).Statement : statement.Principal]) == jsonencode([{ AWS = ["arn:aws:iam::123456789012:root"] }])])
    error_message = "without further word only the account's own IAM policies decide"
  }

  assert {
    condition     = length(aws_lakeformation_permissions.database) + length(aws_lakeformation_permissions.tables) == 0
    error_message = "nothing of Lake Formation unless asked for: who applies this need not be its administrator"
  }
}

run "trust_of_pods_by_irsa_and_of_workflows" {
  command = plan

  variables {
    eks     = { oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE", namespace = "lake" }
    github  = { repository = "example/listenlake", jobs = ["check", "report"] }
    people  = { analysts = ["arn:aws:iam::123456789012:role/reader"], operators = ["arn:aws:iam::123456789012:role/operator"] }
    secrets = ["pseudonym-key", "spotify"]
  }

  assert {
    condition = alltrue([for job, role in aws_iam_role.job : contains([
      for statement in jsondecode(role.assume_role_policy).Statement : jsonencode(statement.Condition) if statement.Sid == "Irsa"
      ], jsonencode({ StringEquals = {
        "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:aud" = "sts.amazonaws.com"
        "oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE:sub" = "system:serviceaccount:lake:listenlake-${job}"
    } }))])
    error_message = "IRSA: each role for one service account"
  }

  assert {
    condition = alltrue([for role in [aws_iam_role.job["check"], aws_iam_role.job["report"], aws_iam_role.image[0]] : contains([
      for statement in jsondecode(role.assume_role_policy).Statement : jsonencode(statement.Condition) if statement.Sid == "GitHub"
      ], jsonencode({ StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = "repo:example/listenlake:environment:prod"
    } }))])
    error_message = "GitHub: one repository, one environment, no wildcard"
  }

  assert {
    condition     = toset([for job, role in aws_iam_role.job : job if strcontains(role.assume_role_policy, "githubusercontent")]) == toset(["check", "report"])
    error_message = "GitHub: the roles of the jobs that are named, and no other"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role.job : !strcontains(role.assume_role_policy, ":root")]) && jsondecode(aws_iam_role.analyst.assume_role_policy).Statement[0].Principal.AWS == ["arn:aws:iam::123456789012:role/reader"]
    error_message = "named people replace the account"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => length(flatten([
      for statement in jsondecode(role.policy).Statement : statement.Resource if contains(statement.Action, "secretsmanager:GetSecretValue")
    ])) }) == jsonencode({ check = 0, enrich = 0, extract = 1, forget = 1, gc = 0, load = 1, promote = 0, report = 0, retention = 0, stream = 1, train = 0, transform = 1 })
    error_message = "secrets: extract its token, load, stream, transform and forget the key of pseudonyms, nobody else any"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => [
      for statement in jsondecode(role.policy).Statement : statement.Resource if contains(statement.Action, "secretsmanager:PutSecretValue")
      ] if strcontains(role.policy, "secretsmanager:PutSecretValue") }) == jsonencode({
      extract = [[aws_secretsmanager_secret.job["spotify"].arn]]
    })
    error_message = "secrets: extract alone puts a value, its own login"
  }

  assert {
    condition     = length(aws_iam_role.host) == 0 && length(aws_eks_pod_identity_association.job) == 0
    error_message = "no host and no associations unless asked for"
  }
}

run "trust_of_pods_by_pod_identity" {
  command = plan

  variables {
    eks    = { cluster_name = "lab" }
    github = { repository = "example/listenlake", environment = "lake", provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }

  assert {
    condition = alltrue([for job, role in aws_iam_role.job : contains([
      for statement in jsondecode(role.assume_role_policy).Statement : jsonencode([statement.Principal, statement.Condition]) if statement.Sid == "PodIdentity"
      ], jsonencode([{ Service = "pods.eks.amazonaws.com" }, { StringEquals = {
        "aws:RequestTag/eks-cluster-name"           = "lab"
        "aws:RequestTag/kubernetes-namespace"       = "listenlake"
        "aws:RequestTag/kubernetes-service-account" = "listenlake-${job}"
    } }]))])
    error_message = "Pod Identity: each role for one service account of one cluster"
  }

  assert {
    condition     = toset([for association in aws_eks_pod_identity_association.job : association.service_account]) == toset([for role in aws_iam_role.job : role.name])
    error_message = "each service account must be associated with its role"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && strcontains(aws_iam_role.image[0].assume_role_policy, "repo:example/listenlake:environment:lake")
    error_message = "an OIDC provider that the account has already must be used"
  }

  assert {
    condition     = !anytrue([for role in aws_iam_role.job : strcontains(role.assume_role_policy, "githubusercontent")])
    error_message = "GitHub: it pushes images, and takes no job's role unless jobs are named, forget and gc among them"
  }
}

run "lake_formation" {
  command = plan

  variables {
    lake_formation = true
  }

  assert {
    condition = toset([for key, grant in aws_lakeformation_permissions.tables : "${key} ${join(" ", grant.permissions)}"]) == toset([
      "analyst/gold_dev DESCRIBE SELECT", "analyst/gold_prod DESCRIBE SELECT",
      "check/gold_dev DESCRIBE SELECT", "check/gold_prod DESCRIBE SELECT", "check/silver DESCRIBE SELECT",
      "enrich/gold_dev ALTER DESCRIBE INSERT SELECT", "enrich/silver DESCRIBE SELECT",
      "forget/bronze DESCRIBE SELECT", "forget/gold_dev ALTER DESCRIBE DROP INSERT SELECT", "forget/gold_prod ALTER DESCRIBE DROP INSERT SELECT", "forget/silver ALTER DELETE DESCRIBE INSERT SELECT",
      "gc/gold_dev DESCRIBE DROP SELECT", "gc/gold_prod DESCRIBE DROP SELECT", "gc/silver DESCRIBE DROP SELECT",
      "promote/gold_dev DESCRIBE SELECT", "promote/gold_prod ALTER DESCRIBE INSERT SELECT",
      "report/gold_prod DESCRIBE SELECT",
      "retention/bronze DESCRIBE SELECT", "retention/gold_dev ALTER DESCRIBE DROP INSERT SELECT", "retention/gold_prod ALTER DESCRIBE DROP INSERT SELECT", "retention/silver ALTER DELETE DESCRIBE INSERT SELECT",
      "train/gold_dev ALTER DESCRIBE INSERT SELECT",
      "transform/bronze DESCRIBE SELECT", "transform/silver ALTER DELETE DESCRIBE INSERT SELECT",
    ])
    error_message = "Lake Formation must let each role do what its policy says, and no more"
  }

  assert {
    condition     = toset([for key, grant in aws_lakeformation_permissions.database : key if contains(grant.permissions, "CREATE_TABLE")]) == toset(["enrich/gold_dev", "forget/gold_dev", "forget/gold_prod", "forget/silver", "promote/gold_prod", "retention/gold_dev", "retention/gold_prod", "retention/silver", "train/gold_dev", "transform/silver"])
    error_message = "only who publishes to a database makes tables in it"
  }

  assert {
    condition     = alltrue([for grant in values(aws_lakeformation_permissions.tables) : grant.table[0].wildcard])
    error_message = "grants must cover the tables that jobs make later"
  }
}

run "iceberg" {
  command = plan

  variables {
    iceberg = true
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for action in statement.Action : action if startswith(action, "s3:") && contains(statement.Resource, "arn:aws:s3:::listenlake-123456789012-eu-west-1/iceberg/*")]
      ]))) if strcontains(role.policy, "/iceberg/") }) == jsonencode({
      forget    = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      gc        = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject"]
      promote   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
      retention = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
    })
    error_message = "objects of the copy: promote writes them, and deletes none"
  }

  assert {
    condition = jsonencode({ for job, role in aws_iam_role_policy.job : job => sort(distinct(flatten([
      for statement in jsondecode(role.policy).Statement : [for action in statement.Action : action if startswith(action, "glue:") && !strcontains(action, "Get") && contains(statement.Resource, "arn:aws:glue:eu-west-1:123456789012:table/listenlake_gold_iceberg/*")]
      ]))) if strcontains(role.policy, "gold_iceberg") }) == jsonencode({
      forget    = ["glue:BatchDeleteTable", "glue:CreateTable", "glue:DeleteTable", "glue:UpdateTable"]
      gc        = ["glue:BatchDeleteTable", "glue:DeleteTable"]
      promote   = ["glue:BatchDeleteTable", "glue:CreateTable", "glue:DeleteTable", "glue:UpdateTable"]
      retention = ["glue:BatchDeleteTable", "glue:CreateTable", "glue:DeleteTable", "glue:UpdateTable"]
    })
    error_message = "tables of the copy: promote makes each version under a name of its own and takes that name away again"
  }

  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_role_policy.job["promote"].policy).Statement :
      !contains(statement.Action, "glue:DeleteTable") || !anytrue([for resource in statement.Resource : strcontains(resource, "gold_dev") || strcontains(resource, "gold_prod")])
    ])
    error_message = "promote must not remove tables of gold"
  }

  assert {
    condition     = aws_glue_catalog_database.layer["gold_iceberg"].name == "listenlake_gold_iceberg" && strcontains(output.environment, "LISTENLAKE_ICEBERG=true\n")
    error_message = "the copy has a database of its own, and the jobs are told"
  }
}
