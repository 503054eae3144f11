# Where each lake's state lies.

mock_provider "aws" {
  source          = "../tests"
  override_during = plan
}

run "one_lake" {
  command = plan

  assert {
    condition     = strcontains(output.backend, "key    = \"listenlake/terraform.tfstate\"\n")
    error_message = "the state must lie under the name of its lake"
  }
}

run "another_lake" {
  command = plan

  variables {
    name = "second-lake"
  }

  assert {
    condition     = strcontains(output.backend, "key    = \"second-lake/terraform.tfstate\"\n")
    error_message = "a second lake must not take over the state of the first, and plan to replace it"
  }
}
