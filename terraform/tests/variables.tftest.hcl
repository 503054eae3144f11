# Every variable refuses what would fail later or mean something else.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "refuses" {
  command = plan

  variables {
    budget         = { email = "not a mail address" }
    eks            = { namespace = "lake" }
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
    var.budget, var.eks, var.encryption, var.github, var.name, var.people, var.region, var.scan_limit_gib, var.secrets, var.tags,
  ]
}

run "refuses_the_other_rules" {
  command = plan

  variables {
    budget         = { monthly_usd = 0 }
    eks            = { oidc_provider_arn = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE" }
    github         = { repository = "example/listenlake", environment = "*" }
    name           = "double--hyphen"
    people         = { operators = ["*"] }
    scan_limit_gib = { prod = 20000 }
    tags           = { "aws:team" = "mine" }
  }

  expect_failures = [var.budget, var.eks, var.github, var.name, var.people, var.scan_limit_gib, var.tags]
}
