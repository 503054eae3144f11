#!/bin/bash
# Writes short-lived credentials, new every 20 minutes. For each job role $roles/<job>/credentials, valid for an hour: a job's container gets
# the folder of its own role and cannot reach the host's (IMDSv2 with one hop), so it can do what its row of terraform/jobs.tf says. And the
# login at the registry of the images, $login/config.json, valid for 12 hours: the host and Airflow's scheduler pull with it.
set -euo pipefail

folder=${LISTENLAKE_HOST_DIR:-/etc/listenlake}
roles=${LISTENLAKE_ROLES_DIR:-/run/listenlake/roles}
login=${LISTENLAKE_LOGIN_DIR:-/run/listenlake/registry}
owner=${LISTENLAKE_JOB_UID:-65532}
# Airflow's user in its image.
airflow=50000
set -a
. "$folder/host.env"
set +a

umask 077
install -d -m 0711 "$roles"
failed=0
for job in $JOB_ROLES; do
  install -d -m 0555 "$roles/$job"
  if ! keys=$(aws sts assume-role --role-arn "$JOB_ROLE_PREFIX$job" --role-session-name host --duration-seconds 3600 \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text); then
    echo "no credentials for $job" >&2
    failed=1
    continue
  fi
  read -r id secret token <<<"$keys"
  printf '[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = %s\n' "$id" "$secret" "$token" >"$roles/$job/.new"
  chmod 0400 "$roles/$job/.new"
  chown "$owner" "$roles/$job/.new"
  # Whole or not at all, for whoever reads it just now.
  mv "$roles/$job/.new" "$roles/$job/credentials"
done

install -d -m 0755 "$login"
if password=$(aws ecr get-login-password); then
  printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$REGISTRY" "$(printf 'AWS:%s' "$password" | base64 --wrap=0)" >"$login/.new"
  chmod 0400 "$login/.new"
  chown "$airflow" "$login/.new"
  mv "$login/.new" "$login/config.json"
else
  echo "no login at $REGISTRY" >&2
  failed=1
fi
exit $failed
