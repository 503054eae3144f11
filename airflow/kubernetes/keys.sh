#!/usr/bin/env bash
# Makes the Secret `airflow-keys` that values.yaml names, and Airflow's own user in the database. Once per cluster; a second run changes nothing.
#
#   airflow/kubernetes/keys.sh <database host> <ARN of the secret with the database's master password>
#
# Needs kubectl (at the cluster), the AWS CLI and Node. Nothing is written to this machine.
set -euo pipefail

[ $# = 2 ] || { echo "usage: keys.sh <database host> <ARN of the master password's secret> (terraform output airflow says both)" >&2; exit 64; }
host=$1
master_secret=$2
# The master password is changed every week, so Airflow gets a user of its own.
image=public.ecr.aws/docker/library/postgres:17-alpine

kubectl create namespace airflow --dry-run=client --output=yaml | kubectl apply --filename=-
if kubectl get secret airflow-keys --namespace airflow >/dev/null 2>&1; then
  echo "airflow-keys is there already: nothing to do"
  exit 0
fi

random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
password=$(random | tr -d =)
master=$(aws secretsmanager get-secret-value --secret-id "$master_secret" --query SecretString --output text |
  node --print 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).password')

# Passwords go in by standard input: the arguments of a pod can be read by others.
{
  printf '%s\n' "$master"
  cat <<SQL
select 'create role airflow login' where not exists (select from pg_roles where rolname = 'airflow') \\gexec
alter role airflow password '$password';
grant all on database airflow to airflow;
grant all on schema public to airflow;
SQL
} | kubectl run airflow-keys --namespace airflow --image "$image" --restart Never --rm --stdin --quiet --command -- \
  sh -c 'IFS= read -r PGPASSWORD; export PGPASSWORD; exec psql --quiet --set ON_ERROR_STOP=1 "host=$0 dbname=airflow user=postgres sslmode=require"' "$host"

# Last, so that whoever finds it knows that the rest is done.
kubectl create secret generic airflow-keys --namespace airflow --from-env-file=/dev/stdin --dry-run=client --output=yaml <<ENV | kubectl apply --filename=-
connection=postgresql+psycopg2://airflow:$password@$host:5432/airflow
fernet-key=$(random)
api-secret-key=$(random)
jwt-secret=$(random)
passwords.json={"admin": "$(random | tr -d =)"}
ENV
echo "airflow-keys made; the password of admin is in it"
