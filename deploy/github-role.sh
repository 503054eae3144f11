#!/bin/bash
# In a GitHub workflow: takes a role of the account by the job's OIDC token, for an hour, for the steps that follow. No key is stored anywhere.
#   deploy/github-role.sh arn:aws:iam::123456789012:role/listenlake-plan
set -euo pipefail

role=$1
[ -n "${ACTIONS_ID_TOKEN_REQUEST_URL:-}" ] || { echo "no OIDC token here: the job needs permissions: id-token: write" >&2; exit 77; }
answer=$(curl --silent --show-error --fail --retry 3 --header "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com")
token=$(printf '%s' "$answer" | sed -n 's/.*"value" *: *"\([^"]*\)".*/\1/p')
echo "::add-mask::$token"
keys=$(aws sts assume-role-with-web-identity --role-arn "$role" --role-session-name "github-${GITHUB_RUN_ID:-0}" --web-identity-token "$token" \
  --duration-seconds 3600 --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
read -r id secret session <<<"$keys"
for value in "$id" "$secret" "$session"; do echo "::add-mask::$value"; done
{
  echo "AWS_ACCESS_KEY_ID=$id"
  echo "AWS_SECRET_ACCESS_KEY=$secret"
  echo "AWS_SESSION_TOKEN=$session"
} >>"$GITHUB_ENV"
