# Analysts who must not see persons: whole tables by IAM, rows by Lake Formation.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "nobody_asked" {
  command = plan

  assert {
    condition     = length(aws_iam_role.shared) + length(aws_athena_workgroup.shared) + length(aws_lakeformation_resource.gold_prod) == 0
    error_message = "without analysts nothing may be made"
  }
}

run "tables_that_know_no_person" {
  command = plan

  variables {
    sharing = { analysts = ["arn:aws:iam::123456789012:role/reader"] }
  }

  assert {
    condition = alltrue([
      for table in ["activity_by_country", "daily_aggregates", "top_tracks", "genre_distribution", "dim_artists"] : contains(local.shared_tables, table)
    ])
    error_message = "what is counted over many people must be shared"
  }

  assert {
    condition = alltrue([for name, table in aws_glue_catalog_table.gold : !anytrue([
      for column in table.storage_descriptor[0].columns : contains(["user_id", "session_id", "play_id", "playlist_id", "list_id"], column.name)
    ]) if contains(local.shared_tables, table.name)])
    error_message = "no shared table may have a column that leads to a person"
  }

  assert {
    condition = toset(flatten([
      for statement in jsondecode(aws_iam_role_policy.shared[0].policy).Statement : statement.Resource if statement.Sid == "ReadShared"
    ])) == toset([for table in local.shared_tables : "arn:aws:s3:::listenlake-123456789012-eu-west-1/gold/prod/*/${table}/*"])
    error_message = "objects must be those of the shared tables alone"
  }

  assert {
    condition = alltrue([for table in ["fct_plays", "dim_users", "fct_sessions", "listening_cube", "skip_predictions", "yearly_top", "fct_playlist_entries", "int_person_plays"] :
      !contains(local.shared_tables, table) && !strcontains(aws_iam_role_policy.shared[0].policy, "/${table}\"") && !strcontains(aws_iam_role_policy.shared[0].policy, "/${table}/")
    ])
    error_message = "tables of persons must be closed, in the catalog and in the bucket"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.shared[0].policy, "gold_dev") && !strcontains(aws_iam_role_policy.shared[0].policy, "athena-results/analysts") && !strcontains(aws_iam_role_policy.shared[0].policy, "silver") && !strcontains(aws_iam_role_policy.shared[0].policy, "table/*")
    error_message = "dev, silver and the results of those who see names must be closed, too"
  }

  assert {
    condition     = aws_athena_workgroup.shared[0].configuration[0].enforce_workgroup_configuration && endswith(aws_athena_workgroup.shared[0].configuration[0].result_configuration[0].output_location, "/athena-results/shared/")
    error_message = "results must have a place of their own, which the client cannot choose"
  }

  assert {
    condition     = length(aws_iam_role_policy.shared[0].policy) <= 10240
    error_message = "IAM takes inline policies of up to 10,240 characters"
  }

  assert {
    condition     = length(aws_lakeformation_resource.gold_prod) + length(aws_lakeformation_opt_in.shared) == 0 && !strcontains(aws_iam_role_policy.shared[0].policy, "lakeformation")
    error_message = "Lake Formation must be touched only where rows are asked for"
  }
}

run "rows_without_users" {
  command = plan

  variables {
    sharing = { analysts = ["arn:aws:iam::123456789012:role/reader"], rows = true }
  }

  assert {
    condition = [for filter in aws_lakeformation_data_cells_filter.shared : [filter.table_data[0].table_name, filter.table_data[0].row_filter[0].filter_expression]] == [["fct_plays", "source = 'events'"]] && alltrue([
      for filter in aws_lakeformation_data_cells_filter.shared : length(setintersection(filter.table_data[0].column_names, ["user_id", "play_id"])) == 0 && contains(filter.table_data[0].column_names, "track_id")
    ])
    error_message = "plays of events must be seen without users, and nobody's own exports"
  }

  assert {
    condition     = aws_lakeformation_resource.gold_prod[0].hybrid_access_enabled && keys(aws_lakeformation_opt_in.shared) == ["fct_plays"] && toset(keys(aws_lakeformation_permissions.place)) == toset(["forget", "promote", "retention"])
    error_message = "only the role that is shared goes through Lake Formation, and the jobs may go on pointing tables there"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.shared[0].policy, "gold/prod/*/fct_plays/")
    error_message = "the filter must be the only way to those objects"
  }
}

run "refuses_who_sees_names_all_the_same" {
  command = plan

  variables {
    people  = { analysts = ["arn:aws:iam::123456789012:role/reader"] }
    sharing = { analysts = ["arn:aws:iam::123456789012:role/reader"] }
  }

  expect_failures = [var.sharing]
}
