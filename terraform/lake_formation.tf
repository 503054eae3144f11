# Only if asked for: the same rights as in jobs.tf, said to Lake Formation. An account that leaves tables to IAM needs none of it; one where
# the defaults for new databases and tables were taken away shows a role nothing without them. No place in S3 is registered: objects stay IAM's.

locals {
  # What a kind of access to a database's tables is to Lake Formation
  # (docs.aws.amazon.com/lake-formation/latest/dg/lf-permissions-reference.html).
  _lf_database = { read = ["DESCRIBE"], write = ["CREATE_TABLE", "DESCRIBE"], register = ["DESCRIBE"], delete = ["DESCRIBE"] }
  _lf_tables = {
    read     = ["DESCRIBE", "SELECT"]
    write    = ["ALTER", "DESCRIBE", "INSERT", "SELECT"]
    register = ["ALTER", "DELETE", "DESCRIBE", "INSERT"]
    delete   = ["DESCRIBE", "DROP"]
  }

  _lf_roles = !var.lake_formation ? {} : merge(
    { for name, grant in local.grants : name => { arn = aws_iam_role.job[name].arn, catalog = grant.catalog } },
    { analyst = { arn = aws_iam_role.analyst.arn, catalog = { read = ["gold_dev", "gold_prod"], write = [], register = [], delete = [] } } },
  )
  lake_formation_grants = merge([
    for name, role in local._lf_roles : {
      for layer in distinct(flatten(values(role.catalog))) : "${name}/${layer}" => {
        role     = role.arn
        layer    = layer
        database = sort(distinct(flatten([for kind, layers in role.catalog : local._lf_database[kind] if contains(layers, layer)])))
        tables   = sort(distinct(flatten([for kind, layers in role.catalog : local._lf_tables[kind] if contains(layers, layer)])))
      }
    }
  ]...)
}

resource "aws_lakeformation_permissions" "database" {
  for_each = local.lake_formation_grants

  principal   = each.value.role
  permissions = each.value.database

  database {
    name = aws_glue_catalog_database.layer[each.value.layer].name
  }
}

resource "aws_lakeformation_permissions" "tables" {
  for_each = local.lake_formation_grants

  principal   = each.value.role
  permissions = each.value.tables

  table {
    database_name = aws_glue_catalog_database.layer[each.value.layer].name
    wildcard      = true
  }
}
