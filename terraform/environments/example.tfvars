# One lake among several: make aws ENV=example, and the environment of that name in the workflow deploy.yml. Names must differ within an account.
name = "listenlake-example"

host = "ec2"
airflow = {
  version = "1.0.0" # the tag of both images; a new one for each release
}

# alarms   = { email = "owner@example.com" }
# github   = { repository = "owner/listenlake", environment = "images" }
# delivery = { environment = "example" }
