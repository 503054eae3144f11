#!/bin/bash
# Brings Airflow up on this host: its disk, its passwords, its images, its containers. Safe to run again; systemd does until it succeeds.
set -euo pipefail

folder=${LISTENLAKE_HOST_DIR:-/etc/listenlake}
data=${LISTENLAKE_DATA_DIR:-/srv/listenlake}
login=${LISTENLAKE_LOGIN_DIR:-/run/listenlake/registry}
# The official image of Docker's command line has `compose`, which Amazon Linux does not package.
compose_image=public.ecr.aws/docker/library/docker:28-cli

set -a
. "$folder/host.env"
set +a

if ! mountpoint -q "$data"; then
  disk=/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${DATA_VOLUME/-/}
  [ -b "$disk" ] || { echo "the disk $DATA_VOLUME is not attached yet" >&2; exit 75; }
  # A disk without a file system is a new one. mkfs itself refuses a disk that has one.
  blkid "$disk" >/dev/null || mkfs.xfs -q "$disk"
  mkdir -p "$data"
  mount "$disk" "$data"
fi

# uid 50000 is Airflow's in its image, 70 is PostgreSQL's in the Alpine one.
install -d -m 0755 -o 50000 -g 0 "$data/logs" "$data/auth"
install -d -m 0700 -o 70 -g 70 "$data/postgres"

# Made once, here, and nowhere else: neither Terraform nor AWS ever sees them.
if [ ! -s "$data/secrets.env" ]; then
  random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_'; }
  umask 077
  {
    echo "POSTGRES_PASSWORD=$(random | tr -d =)"
    echo "FERNET_KEY=$(random)"
    echo "JWT_SECRET=$(random)"
    echo "API_SECRET=$(random)"
  } >"$data/secrets.env.new"
  printf '{"admin": "%s"}\n' "$(random | tr -d =)" >"$data/auth/passwords.json"
  chown 50000:0 "$data/auth/passwords.json"
  mv "$data/secrets.env.new" "$data/secrets.env"
fi

for image in "$JOB_IMAGE" "$AIRFLOW_IMAGE"; do
  docker --config "$login" pull --quiet "$image" || { echo "$image is not there yet: push it (docs/airflow.md)" >&2; exit 75; }
done

docker run --rm --volume /var/run/docker.sock:/var/run/docker.sock --volume "$folder:$folder:ro" --volume "$data:$data:ro" \
  --env DATA_DIR="$data" --env HOST_DIR="$folder" --env DOCKER_GID="$(stat -c %g /var/run/docker.sock)" "$compose_image" \
  docker compose --project-name listenlake --file "$folder/compose.yaml" --env-file "$folder/host.env" --env-file "$data/secrets.env" \
  up --detach --remove-orphans

# What earlier versions left, by name: no rule about age knows which image the next job needs. One that is in use stays, and goes next time.
for image in "$JOB_IMAGE" "$AIRFLOW_IMAGE"; do
  docker image ls --format '{{.Repository}}:{{.Tag}}' "${image%:*}" | grep -vxF -e "$JOB_IMAGE" -e "$AIRFLOW_IMAGE" -e "${image%:*}:<none>" |
    xargs --no-run-if-empty --max-args=1 docker image rm >/dev/null || true
done
docker image prune --force >/dev/null
