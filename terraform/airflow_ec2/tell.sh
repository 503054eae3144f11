#!/bin/bash
# Writes one line of the host's own into its log group: terraform/alarms.tf counts them. What containers print comes there by itself.
set -euo pipefail

folder=${LISTENLAKE_HOST_DIR:-/etc/listenlake}
set -a
. "$folder/host.env"
set +a

# There already, most times. Where it is not and cannot be made, the next call says so.
aws logs create-log-stream --log-group-name "$LOG_GROUP" --log-stream-name host 2>/dev/null || true
aws logs put-log-events --log-group-name "$LOG_GROUP" --log-stream-name host \
  --log-events "timestamp=$(date +%s%3N),message=\"$*\"" >/dev/null
