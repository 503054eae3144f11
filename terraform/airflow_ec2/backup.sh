#!/bin/bash
# Airflow's database to the lake's bucket and back: the timer runs it every night, a person after a loss (docs/airflow.md).
#   listenlake-backup                      a dump, under the name of its time
#   listenlake-backup restore [<name>]     the newest one or that one; what was there is kept as database airflow_before_<time>
set -euo pipefail

folder=${LISTENLAKE_HOST_DIR:-/etc/listenlake}
data=${LISTENLAKE_DATA_DIR:-/srv/listenlake}
set -a
. "$folder/host.env"
set +a
umask 077
now=$(date -u +%Y%m%dt%H%M%S)
file=$data/airflow.dump
postgres() { docker exec --interactive listenlake-postgres-1 "$@"; }
sql() {
  postgres psql --username airflow --dbname postgres --quiet --set ON_ERROR_STOP=1 --command "set client_min_messages = warning" --command "$1"
}

if [ "${1:-dump}" = dump ]; then
  # To a file first: what breaks off half-way is no backup.
  postgres pg_dump --username airflow --format custom airflow >"$file"
  postgres pg_restore --list <"$file" >/dev/null
  aws s3 cp --only-show-errors "$file" "$BACKUPS/$now.dump"
  rm "$file"
  listenlake-tell backup of the database of Airflow written
  exit 0
fi

name=${2:-$(aws s3 ls "$BACKUPS/" | awk '{ print $4 }' | sort | tail -n 1)}
[ -n "$name" ] || { echo "there is no backup in $BACKUPS/" >&2; exit 66; }
aws s3 cp --only-show-errors "$BACKUPS/$name" "$file"
# Beside the one that is there: nothing is lost before all of it is back.
sql "drop database if exists airflow_restored"
sql "create database airflow_restored"
postgres pg_restore --username airflow --dbname airflow_restored --no-owner --exit-on-error <"$file"
# To the millisecond: two in one second would want one name.
former=airflow_before_$(date -u +%Y%m%dt%H%M%S%3N)
# Whatever fails from here on, Airflow comes up again. It also brings a dump of an older version of Airflow up to date.
trap 'systemctl start listenlake-airflow' EXIT
systemctl stop listenlake-airflow
docker stop listenlake-scheduler-1 listenlake-api-server-1 listenlake-dag-processor-1 listenlake-triggerer-1 >/dev/null
sql "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'airflow'" >/dev/null
# In one transaction: there is always a database of that name.
sql "alter database airflow rename to $former; alter database airflow_restored rename to airflow"
rm "$file"
echo "restored $name; the former database is $former"
