# For analysts who may ask about many people's listening and must not see who they are: the role <name>-shared, only if asked for by `sharing`.
#
# A view protects nothing here: Athena runs it with the rights of who asks, on the tables below it. So rights end where tables end: IAM opens
# the tables of gold_prod that know no person (by their columns), object by object, and no other. Rows of a table that does know persons need
# Lake Formation, which filters rows and columns itself (sharing.rows).

locals {
  has_sharing = length(var.sharing.analysts) > 0

  # Columns by which a row is somebody's: a user, a key that leads to one, a playlist, which may bear its owner's name.
  _personal_columns = ["list_id", "play_id", "playlist_id", "session_id", "user_id"]
  # Of these folders of models, those without such a column; intermediate steps and models of a person are in others.
  _shared_models = toset(flatten([for folder in ["catalog", "core", "metrics"] : [
    for name in fileset(local._models_dir, "${folder}/*.yml") : [for model in yamldecode(file("${local._models_dir}/${name}")).models : model.name]
  ]]))
  shared_tables = sort([
    for name, model in local._gold : name
    if contains(local._shared_models, name) && length(setintersection(local._personal_columns, model.columns[*].name)) == 0
  ])

  # By Lake Formation: which rows, and without which columns. Plays of events are those of many users; a person's own exports are not among them.
  _filtered = !local.has_sharing || !var.sharing.rows ? {} : {
    fct_plays = { rows = "source = 'events'", hidden = ["play_id", "user_id"] }
  }
  filtered_tables = { for table, filter in local._filtered : table => merge(filter, {
    columns = [for name in local._gold[table].columns[*].name : name if !contains(filter.hidden, name)]
  }) }

  _shared_prefix = "athena-results/shared/"
  _shared_group  = "${var.name}-shared"
  _gold_prod     = local.databases.gold_prod.name
}

# Results of a query are files: those of who sees names must not be read by who does not.
resource "aws_athena_workgroup" "shared" {
  count = local.has_sharing ? 1 : 0

  name          = local._shared_group
  description   = "People who read gold_prod without persons."
  force_destroy = true

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = local.workgroups.analysts.scan_bytes

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location = "${local.lake_uri}/${local._shared_prefix}"

      encryption_configuration {
        encryption_option = local.is_kms ? "SSE_KMS" : "SSE_S3"
        kms_key_arn       = one(local.kms_key_arns)
      }
    }
  }
}

resource "aws_iam_role" "shared" {
  count = local.has_sharing ? 1 : 0

  name                 = "${var.name}-shared"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Reads what knows no person of gold_prod, through the workgroup ${local._shared_group}"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { AWS = sort(var.sharing.analysts) }, Action = ["sts:AssumeRole"] }]
  })
}

resource "aws_iam_role_policy" "shared" {
  count = local.has_sharing ? 1 : 0

  name = "shared"
  role = aws_iam_role.shared[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "Query"
          Effect   = "Allow"
          Action   = concat(local._query_actions, ["athena:GetQueryResultsStream", "athena:GetQueryRuntimeStatistics"])
          Resource = ["arn:${local.partition}:athena:${local.region}:${local.account_id}:workgroup/${local._shared_group}"]
        },
        {
          Sid      = "ReadCatalog"
          Effect   = "Allow"
          Action   = local._catalog_read_actions
          Resource = concat(local._catalog_roots, ["${local._glue}:database/${local._gold_prod}"], [for table in concat(local.shared_tables, keys(local.filtered_tables)) : "${local._glue}:table/${local._gold_prod}/${table}"])
        },
        {
          # Of each run the folders of these tables (jobs/lake/keys.ts: gold/prod/<run>/<table>/), and only for what Athena reads on their behalf.
          Sid       = "ReadShared"
          Effect    = "Allow"
          Action    = ["s3:GetObject"]
          Resource  = [for table in local.shared_tables : "${local.bucket_arn}/gold/prod/*/${table}/*"]
          Condition = { "ForAnyValue:StringEquals" = { "aws:CalledVia" = ["athena.amazonaws.com"] } }
        },
        {
          Sid      = "Results"
          Effect   = "Allow"
          Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
          Resource = ["${local.bucket_arn}/${local._shared_prefix}*"]
        },
        {
          Sid       = "List"
          Effect    = "Allow"
          Action    = ["s3:ListBucket"]
          Resource  = [local.bucket_arn]
          Condition = { StringLike = { "s3:prefix" = concat([for table in local.shared_tables : "gold/prod/*/${table}/*"], ["${local._shared_prefix}*"]) } }
        },
        { Sid = "Locate", Effect = "Allow", Action = ["s3:GetBucketLocation"], Resource = [local.bucket_arn] },
      ],
      [for arn in local.kms_key_arns : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt", "kms:GenerateDataKey"], Resource = [arn] }],
      # Lake Formation then hands out what it has filtered: the role has no right of its own on those objects.
      [for _ in slice(["rows"], 0, length(local.filtered_tables) > 0 ? 1 : 0) : { Sid = "Filtered", Effect = "Allow", Action = ["lakeformation:GetDataAccess"], Resource = ["*"] }],
    )
  })
}

# Where Lake Formation decides beside IAM, it is told the same of whole tables.
resource "aws_lakeformation_permissions" "shared_tables" {
  for_each = local.has_sharing && var.lake_formation ? toset(local.shared_tables) : []

  principal   = aws_iam_role.shared[0].arn
  permissions = ["DESCRIBE", "SELECT"]

  table {
    database_name = aws_glue_catalog_database.layer["gold_prod"].name
    name          = each.key
  }

  depends_on = [aws_glue_catalog_table.gold]
}

# Registered in hybrid mode: only who has opted in, the role above, goes through Lake Formation; jobs and other analysts go on by IAM.
resource "aws_lakeformation_resource" "gold_prod" {
  count = length(local.filtered_tables) > 0 ? 1 : 0

  arn                   = "${local.bucket_arn}/gold/prod"
  role_arn              = aws_iam_role.filter[0].arn
  hybrid_access_enabled = true
}

resource "aws_iam_role" "filter" {
  count = length(local.filtered_tables) > 0 ? 1 : 0

  name                 = "${var.name}-filter"
  permissions_boundary = var.permissions_boundary_arn
  description          = "Lake Formation reads gold_prod for those who see it filtered"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lakeformation.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:SetContext"]
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "filter" {
  count = length(local.filtered_tables) > 0 ? 1 : 0

  name = "filter"
  role = aws_iam_role.filter[0].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        { Sid = "Read", Effect = "Allow", Action = ["s3:GetObject"], Resource = [for table in keys(local.filtered_tables) : "${local.bucket_arn}/gold/prod/*/${table}/*"] },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bucket_arn], Condition = { StringLike = { "s3:prefix" = ["gold/prod/*"] } } },
      ],
      [for arn in local.kms_key_arns : { Sid = "Key", Effect = "Allow", Action = ["kms:Decrypt"], Resource = [arn] }],
    )
  })
}

resource "aws_lakeformation_data_cells_filter" "shared" {
  for_each = local.filtered_tables

  table_data {
    database_name    = aws_glue_catalog_database.layer["gold_prod"].name
    name             = "${local.database_prefix}_shared_${each.key}"
    table_catalog_id = local.account_id
    table_name       = each.key
    column_names     = each.value.columns

    row_filter {
      filter_expression = each.value.rows
    }
  }

  depends_on = [aws_glue_catalog_table.gold, aws_lakeformation_resource.gold_prod]
}

resource "aws_lakeformation_permissions" "shared" {
  for_each = local.filtered_tables

  principal   = aws_iam_role.shared[0].arn
  permissions = ["SELECT"]

  data_cells_filter {
    database_name    = aws_glue_catalog_database.layer["gold_prod"].name
    name             = aws_lakeformation_data_cells_filter.shared[each.key].table_data[0].name
    table_catalog_id = local.account_id
    table_name       = each.key
  }
}

resource "aws_lakeformation_opt_in" "shared" {
  for_each = local.filtered_tables

  principal {
    data_lake_principal_identifier = aws_iam_role.shared[0].arn
  }

  resource_data {
    table {
      catalog_id    = local.account_id
      database_name = aws_glue_catalog_database.layer["gold_prod"].name
      name          = each.key
    }
  }

  depends_on = [aws_lakeformation_permissions.shared]
}

# Who points tables at a registered place needs its word for it, in hybrid mode, too.
resource "aws_lakeformation_permissions" "place" {
  for_each = length(local.filtered_tables) > 0 ? toset([for name, grant in local.grants : name if contains(grant.catalog.write, "gold_prod")]) : []

  principal   = aws_iam_role.job[each.key].arn
  permissions = ["DATA_LOCATION_ACCESS"]

  data_location {
    arn = aws_lakeformation_resource.gold_prod[0].arn
  }
}
