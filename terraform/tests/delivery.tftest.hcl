# Delivery by GitHub's workflow: one role that plans, one that applies, both of this lake alone, neither of themselves.

mock_provider "aws" {
  source          = "./tests"
  override_during = plan
}

run "nobody_asked" {
  command = plan

  variables {
    github = { repository = "example/listenlake" }
  }

  assert {
    condition     = length(aws_iam_role.delivery) == 0
    error_message = "pushing images must not bring a role that applies"
  }
}

run "two_roles" {
  command = plan

  variables {
    host                     = "ec2"
    airflow                  = { version = "1.2.0" }
    alarms                   = { email = "owner@example.com" }
    delivery                 = {}
    encryption               = "SSE-KMS"
    github                   = { repository = "example/listenlake", environment = "images" }
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/company-boundary"
  }

  assert {
    condition = { for name, role in aws_iam_role.delivery : name => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals } == {
      deploy = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:example/listenlake:environment:prod" }
      plan   = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = "repo:example/listenlake:environment:plan" }
    }
    error_message = "each role must trust one environment of one repository"
  }

  assert {
    condition     = alltrue([for action in flatten([for statement in jsondecode(aws_iam_role_policy.delivery["plan"].policy).Statement : statement.Action]) : can(regex(":(Describe|Get|List|View)", action))])
    error_message = "who plans only looks"
  }

  assert {
    condition     = toset([for statement in jsondecode(aws_iam_role_policy.delivery["plan"].policy).Statement : statement.Sid if contains(statement.Action, "s3:GetObject")]) == toset(["ReadState"]) && !anytrue([for role in aws_iam_role_policy.delivery : strcontains(role.policy, "secretsmanager:GetSecretValue") || strcontains(role.policy, "s3:DeleteBucket")])
    error_message = "no object of the lake and no secret's value may be read, and the bucket never deleted"
  }

  assert {
    condition     = alltrue([for role in aws_iam_role_policy.delivery : length(role.policy) <= 10240])
    error_message = "IAM takes inline policies of up to 10,240 characters"
  }

  assert {
    condition = toset([for statement in jsondecode(aws_iam_role_policy.delivery["deploy"].policy).Statement : statement.Sid if contains(statement.Resource, "*")]) == toset(["LookAtNames"]) && alltrue(flatten([
      for statement in jsondecode(aws_iam_role_policy.delivery["deploy"].policy).Statement : [for action in statement.Action : can(regex(":(Describe|Get|List)", action))] if contains(statement.Resource, "*")
    ]))
    error_message = "only looking may be about everything"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.delivery["deploy"].policy).Statement : statement.Resource if statement.Effect == "Deny"] == [["arn:aws:iam::123456789012:role/listenlake-deploy", "arn:aws:iam::123456789012:role/listenlake-image", "arn:aws:iam::123456789012:role/listenlake-plan"]]
    error_message = "delivering must not widen what delivers"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.delivery["deploy"].policy).Statement : statement.Condition.StringEquals["iam:PermissionsBoundary"] if statement.Sid == "MakeRoles"] == ["arn:aws:iam::123456789012:policy/company-boundary"]
    error_message = "roles must be made under the boundary"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.delivery["deploy"].policy).Statement : strcontains(jsonencode(statement.Condition), "\"listenlake\"") if contains(["ChangeTaggedOfEc2", "MakeTaggedOfEc2"], statement.Sid)])
    error_message = "networks and hosts are bounded by the tag of the project"
  }
}

run "refuses_what_would_not_hold" {
  command = plan

  variables {
    delivery = { environment = "plan" }
    github   = { repository = "example/listenlake" }
  }

  expect_failures = [var.delivery]
}

run "refuses_delivery_without_a_repository" {
  command = plan

  variables {
    delivery = {}
  }

  expect_failures = [var.delivery]
}
