# Databases and external tables. A schema is written once: bronze and silver in warehouse/contracts/*.json, gold beside
# the models in warehouse/models/**/*.yml. Partitions are not here: the jobs register them, each with the location of its committed object.

locals {
  _warehouse = "${path.module}/../warehouse"

  # Glue allows no hyphens in the names that SQL uses.
  database_prefix = replace(var.name, "-", "_")
  databases = {
    for layer, what in merge({
      bronze    = "As received: immutable, one object per source file."
      silver    = "Typed, deduplicated, one contract each."
      gold_dev  = "The models, built and checked here first."
      gold_prod = "The models, promoted from gold_dev."
      # Its tables are not here: promote makes each version of them anew.
    }, var.iceberg ? { gold_iceberg = "A copy of gold_prod as Iceberg tables, for readers beyond Athena." } : {}) : layer => { name = "${local.database_prefix}_${layer}", description = what }
  }

  # Types of the contracts and models to Glue's.
  _glue_types = {
    bigint    = "bigint"
    boolean   = "boolean"
    date      = "date"
    double    = "double"
    integer   = "int"
    timestamp = "timestamp"
    varchar   = "string"
  }

  _formats = {
    json = {
      input  = "org.apache.hadoop.mapred.TextInputFormat"
      output = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde  = "org.openx.data.jsonserde.JsonSerDe"
      # A line that is no JSON stops the query: `load` wrote them all, so it is damage and not data.
      parameters = { "ignore.malformed.json" = "false" }
    }
    parquet = {
      input      = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
      output     = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
      serde      = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters = { "serialization.format" = "1" }
    }
  }

  _contract_files = fileset("${local._warehouse}/contracts", "*.json")
  _contracts      = [for name in local._contract_files : jsondecode(file("${local._warehouse}/contracts/${name}"))]
  contracts = {
    for layer in ["bronze", "silver"] : layer => {
      for contract in local._contracts : contract.table => {
        description = "${contract.description} Grain: ${contract.grain}."
        # Of a partitioned table nothing is read but its partitions, which the jobs register. A table of silver without partitions is empty
        # until the first `transform` points it at its object.
        location = "${local.lake_uri}/${layer}/${contract.table}/${layer == "silver" && length(contract.partition) == 0 ? "none/" : ""}"
        format   = contract.format
        columns = [for column in contract.columns : {
          name    = column.name
          type    = local._glue_types[column.type]
          comment = substr(join(" ", compact([column.description, try("Unit: ${column.unit}.", "")])), 0, local._comment_max_chars)
        }]
        partition = [for key in contract.partition : {
          name    = key.name
          type    = local._glue_types[key.type]
          comment = substr(key.description, 0, local._comment_max_chars)
        }]
        parameters = { EXTERNAL = "TRUE", classification = contract.format }
        # Where the keys of JSON are called otherwise than the columns.
        mapping = { for column in contract.columns : "mapping.${column.name}" => column.jsonKey if can(column.jsonKey) }
      } if contract.layer == layer
    }
  }

  # Glue's limit.
  _comment_max_chars = 255

  _models_dir = "${local._warehouse}/models"
  # An ephemeral model is part of other models and has no table.
  _models = merge([
    for name in fileset(local._models_dir, "**/*.yml") : {
      for model in try(yamldecode(file("${local._models_dir}/${name}")).models, []) : model.name => model
      if try(model.config.materialized, "table") != "ephemeral" && !can(regex(
        "materialized\\s*=\\s*['\"]ephemeral",
        try(file("${local._models_dir}/${dirname(name)}/${model.name}.sql"), "")
      ))
    }
  ]...)
  # Tables that `train` fills: for dbt they are sources.
  _trained = merge([
    for name in fileset(local._models_dir, "**/*.yml") : {
      for table in flatten([for source in try(yamldecode(file("${local._models_dir}/${name}")).sources, []) : try(source.tables, [])]) : table.name => table
      if can(table.config.meta.trained_from)
    }
  ]...)
  _gold = {
    for name, model in merge(local._models, local._trained) : name => {
      description = replace(trimspace(try(model.description, "")), "/\\s+/", " ")
      columns = [for column in try(model.columns, []) : {
        name = column.name
        # decimal(p,s) is written the same way in both.
        type = startswith(column.data_type, "decimal") ? replace(column.data_type, " ", "") : local._glue_types[column.data_type]
        comment = substr(
          replace(trimspace(join(" ", compact([try(column.description, ""), try("Unit: ${column.config.meta.unit}.", "")]))), "/\\s+/", " "),
          0, local._comment_max_chars
        )
      }]
    }
  }
  gold = merge([for target in ["dev", "prod"] : {
    for name, model in local._gold : "${target}/${name}" => merge(model, { target = target, name = name })
  }]...)
}

resource "aws_glue_catalog_database" "layer" {
  for_each = local.databases

  name        = each.value.name
  description = each.value.description
}

resource "aws_glue_catalog_table" "bronze" {
  for_each = local.contracts.bronze

  database_name = aws_glue_catalog_database.layer["bronze"].name
  name          = each.key
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"
  parameters    = each.value.parameters

  storage_descriptor {
    location      = each.value.location
    input_format  = local._formats[each.value.format].input
    output_format = local._formats[each.value.format].output

    ser_de_info {
      serialization_library = local._formats[each.value.format].serde
      parameters            = merge(local._formats[each.value.format].parameters, each.value.mapping)
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }
}

resource "aws_glue_catalog_table" "silver" {
  for_each = local.contracts.silver

  database_name = aws_glue_catalog_database.layer["silver"].name
  name          = each.key
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"
  parameters    = each.value.parameters

  dynamic "partition_keys" {
    for_each = each.value.partition

    content {
      name    = partition_keys.value.name
      type    = partition_keys.value.type
      comment = partition_keys.value.comment
    }
  }

  storage_descriptor {
    location      = each.value.location
    input_format  = local._formats[each.value.format].input
    output_format = local._formats[each.value.format].output

    ser_de_info {
      serialization_library = local._formats[each.value.format].serde
      parameters            = local._formats[each.value.format].parameters
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }

  lifecycle {
    # The jobs publish a commit by pointing the table at it: a later plan must not point it back. Parameters stay Terraform's: with a projection
    # in them (older versions had one) the partitions that the jobs register would be ignored.
    ignore_changes = [storage_descriptor[0].location]
  }
}

resource "aws_glue_catalog_table" "gold" {
  for_each = local.gold

  database_name = aws_glue_catalog_database.layer["gold_${each.value.target}"].name
  name          = each.value.name
  description   = each.value.description
  table_type    = "EXTERNAL_TABLE"
  parameters    = { EXTERNAL = "TRUE", classification = "parquet" }

  storage_descriptor {
    # Empty until the first `enrich` or `promote` swaps it.
    location      = "${local.lake_uri}/gold/${each.value.target}/none/${each.value.name}/"
    input_format  = local._formats.parquet.input
    output_format = local._formats.parquet.output

    ser_de_info {
      serialization_library = local._formats.parquet.serde
      parameters            = local._formats.parquet.parameters
    }

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.comment
      }
    }
  }

  lifecycle {
    # The jobs publish a run by pointing the table at it: a later plan must not point it back.
    ignore_changes = [storage_descriptor[0].location, parameters]
  }
}
