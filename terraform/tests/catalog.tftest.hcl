# The Glue tables: each contract and each model has one, where the jobs write it, partitioned as the keys are.
# (tests/terraform/terraform.test.ts compares the same plan with jobs/lake/keys.ts and with the models, column by column.)

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "catalog" {
  command = plan

  assert {
    condition     = { for layer, database in aws_glue_catalog_database.layer : layer => database.name } == { bronze = "listenlake_bronze", gold_dev = "listenlake_gold_dev", gold_prod = "listenlake_gold_prod", silver = "listenlake_silver" }
    error_message = "one database per layer; dev and prod must differ"
  }

  assert {
    condition = toset(concat(
      [for name, table in aws_glue_catalog_table.bronze : "bronze.${name}.json"],
      [for name, table in aws_glue_catalog_table.silver : "silver.${name}.json"],
    )) == fileset("../warehouse/contracts", "*.json")
    error_message = "every contract must have its table, and no other"
  }

  assert {
    condition     = alltrue([for table in merge(aws_glue_catalog_table.silver, aws_glue_catalog_table.bronze) : !strcontains(jsonencode(table.parameters), "projection") && !strcontains(jsonencode(table.parameters), "template")])
    error_message = "with a projection the partitions that the jobs register would be ignored"
  }

  assert {
    condition     = jsonencode([for key in aws_glue_catalog_table.silver["plays"].partition_keys : [key.name, key.type]]) == jsonencode([["year", "int"]]) && jsonencode([for key in aws_glue_catalog_table.silver["listening_events"].partition_keys : [key.name, key.type]]) == jsonencode([["event_date", "string"]])
    error_message = "plays by year; days are strings, because only those are filtered by Glue itself"
  }

  assert {
    condition = alltrue([for name, table in aws_glue_catalog_table.silver :
      table.storage_descriptor[0].location == "s3://listenlake-123456789012-eu-west-1/silver/${name}/${length(table.partition_keys) == 0 ? "none/" : ""}"
    ])
    error_message = "a table of silver without partitions starts empty"
  }

  assert {
    condition     = aws_glue_catalog_table.bronze["api_pages"].storage_descriptor[0].ser_de_info[0].serialization_library == "org.openx.data.jsonserde.JsonSerDe" && aws_glue_catalog_table.bronze["api_pages"].parameters.classification == "json"
    error_message = "API pages are JSON lines"
  }

  assert {
    condition     = alltrue([for table in aws_glue_catalog_table.bronze : length(table.partition_keys) == 0 && table.storage_descriptor[0].location == "s3://listenlake-123456789012-eu-west-1/bronze/${table.name}/"])
    error_message = "bronze lies under its table's prefix"
  }

  assert {
    condition = alltrue([for key, table in aws_glue_catalog_table.gold : alltrue([
      table.database_name == "listenlake_gold_${split("/", key)[0]}",
      table.storage_descriptor[0].location == "s3://listenlake-123456789012-eu-west-1/gold/${split("/", key)[0]}/none/${table.name}/",
      length(table.storage_descriptor[0].columns) > 0,
    ])])
    error_message = "a gold table starts empty, under its own target, with the columns of its model"
  }

  assert {
    condition     = length(setsubtract(["dev/fct_plays", "prod/fct_plays", "dev/top_tracks", "prod/top_tracks", "dev/songs", "prod/songs"], keys(aws_glue_catalog_table.gold))) == 0
    error_message = "models must have a table in dev and in prod"
  }

  assert {
    condition     = alltrue([for column in flatten([for table in merge(aws_glue_catalog_table.bronze, aws_glue_catalog_table.silver, aws_glue_catalog_table.gold) : table.storage_descriptor[0].columns]) : length(column.comment) <= 255 && !strcontains(column.comment, "\n")])
    error_message = "Glue takes comments of one line, up to 255 characters"
  }
}
