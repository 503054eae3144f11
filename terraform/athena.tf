# One workgroup each for building (dev, prod) and for people: what a query may cost and where its results go is not up to the client.

locals {
  workgroups = {
    for name, what in {
      analysts = "People who read gold."
      dev      = "Jobs that build and check gold_dev."
      prod     = "Jobs that build and read gold_prod."
      } : name => {
      name        = "${var.name}-${name}"
      description = what
      prefix      = "athena-results/${name}/"
      scan_bytes  = floor(var.scan_limit_gib[name] * 1024 * 1024 * 1024)
    }
  }

  _query_files = fileset("${local._warehouse}/queries", "*.sql")
  queries = {
    for file in local._query_files : trimsuffix(file, ".sql") => {
      sql = file("${local._warehouse}/queries/${file}")
      # The comment at its top says what it answers.
      about = trimspace(try(regex("^--[ \t]*([^\n]*)", file("${local._warehouse}/queries/${file}"))[0], ""))
    }
  }
}

resource "aws_athena_workgroup" "lake" {
  for_each = local.workgroups

  name        = each.value.name
  description = each.value.description
  # Named queries and the history of a workgroup are no data of ours: they must not hold up a destroy.
  force_destroy = true

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = each.value.scan_bytes

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location = "${local.lake_uri}/${each.value.prefix}"

      encryption_configuration {
        encryption_option = local.is_kms ? "SSE_KMS" : "SSE_S3"
        kms_key_arn       = one(local.kms_key_arns)
      }
    }
  }
}

resource "aws_athena_named_query" "question" {
  for_each = local.queries

  name        = each.key
  description = each.value.about
  workgroup   = aws_athena_workgroup.lake["analysts"].id
  database    = aws_glue_catalog_database.layer["gold_prod"].name
  query       = each.value.sql
}
