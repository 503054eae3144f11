# Containers only: a value that Terraform knew would stand in its state. `terraform output next_steps` says how to put one.

locals {
  secrets = {
    for name, what in {
      pseudonym-key = "Key of the hash that replaces ids of people"
      spotify       = "Login at Spotify: listenlake login puts it, extract renews it"
    } : name => what if contains(var.secrets, name)
  }

  # Where jobs are told the names of those that there are, never the values (jobs/base/config.ts).
  secret_names = {
    for secret, variable in {
      pseudonym-key = "LISTENLAKE_PSEUDONYM_SECRET"
      spotify       = "LISTENLAKE_SPOTIFY_TOKEN_SECRET"
    } : variable => "${var.name}/${secret}" if contains(var.secrets, secret)
  }

  # Secrets whose readers put new values, too.
  rotated_secrets = ["spotify"]
}

resource "aws_secretsmanager_secret" "job" {
  #checkov:skip=CKV_AWS_149:AWS's own key is the default because another costs money while idle; encryption = SSE-KMS turns the key on
  #checkov:skip=CKV2_AWS_57:Spotify renews its tokens by a person's consent, and a new pseudonym key would break every join: no Lambda can rotate them
  for_each = local.secrets

  name        = "${var.name}/${each.key}"
  description = each.value
  kms_key_id  = one(local.kms_key_arns)
  # Long enough to take a deletion back; it costs nothing meanwhile, but the name cannot be made again.
  recovery_window_in_days = 7
}
