# Every variable refuses what would fail later or mean something else.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "refuses" {
  command = plan

  variables {
    host           = "mwaa"
    budget         = { email = "not a mail address" }
    encryption     = "none"
    github         = { repository = "example/*" }
    name           = "Listen_Lake"
    people         = { analysts = ["arn:aws:iam::123456789012:role/*"] }
    region         = "Frankfurt"
    scan_limit_gib = { dev = 0.001 }
    secrets        = ["password"]
    tags           = { project = "mine" }
  }

  expect_failures = [
    var.budget, var.encryption, var.github, var.host, var.name, var.people, var.region, var.scan_limit_gib, var.secrets, var.tags,
  ]
}

run "refuses_the_other_rules" {
  command = plan

  variables {
    host           = "ec2"
    airflow        = { ec2 = { data_gib = 2, instance_type = "p3.large", hours = { start = "at three", stop = "rate(1 day)" } } }
    budget         = { monthly_usd = 0 }
    github         = { repository = "example/listenlake", environment = "*", jobs = ["everything"] }
    name           = "double--hyphen"
    people         = { operators = ["*"] }
    scan_limit_gib = { prod = 20000 }
    tags           = { "aws:team" = "mine" }
  }

  expect_failures = [var.airflow, var.budget, var.github, var.name, var.people, var.scan_limit_gib, var.tags]
}

run "refuses_a_cluster_open_to_all" {
  command = plan

  variables {
    host    = "none"
    airflow = { eks = { api_cidrs = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.airflow]
}

# `eks` looks at `airflow` too, so its faults show where that one is right.
run "refuses_a_cluster_of_no_kind" {
  command = plan

  variables {
    eks = { namespace = "lake" }
  }

  expect_failures = [var.eks]
}

run "refuses_an_issuer_for_an_arn" {
  command = plan

  variables {
    eks = { oidc_provider_arn = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE" }
  }

  expect_failures = [var.eks]
}

run "refuses_two_clusters" {
  command = plan

  variables {
    host    = "eks"
    airflow = { version = "1.2.0" }
    eks     = { cluster_name = "lab" }
  }

  expect_failures = [var.eks]
}

run "refuses_a_host_without_a_version" {
  command = plan

  variables {
    host    = "eks"
    airflow = { log_days = 31, eks = { kubernetes_version = "v1.34", nodes_max = 0 } }
  }

  expect_failures = [var.airflow]
}

run "refuses_functions_that_lambda_has_not" {
  command = plan

  variables {
    host       = "lambda"
    serverless = { architecture = "riscv", daily = "at four", log_days = 31, memory_mb = 20000, version = "a b" }
  }

  expect_failures = [var.serverless]
}

# A setting that Terraform would drop in silence, and the host with it.
run "refuses_the_host_where_it_was" {
  command = plan

  variables {
    airflow = { host = "ec2", version = "1.2.0" }
  }

  expect_failures = [var.airflow]
}
