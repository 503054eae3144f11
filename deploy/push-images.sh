#!/bin/bash
# Both images for one platform, built on a machine of that platform and pushed by digest; then, once all are there, one index over them under
# the version. A tag is never moved: what is there already is left alone.
#   REGISTRY=... NAME=listenlake VERSION=1.2.0 deploy/push-images.sh amd64|arm64|index
set -euo pipefail
cd "$(dirname "$0")/.."

platform=$1
: "${REGISTRY:?}" "${NAME:?}" "${VERSION:?}"
platforms="amd64 arm64"
[[ " $platforms index " == *" $platform "* ]] || { echo "usage: push-images.sh amd64|arm64|index" >&2; exit 64; }

aws ecr get-login-password | docker login --username AWS --password-stdin "$REGISTRY" >/dev/null
# The engine's own builder cannot push by digest.
docker buildx create --driver docker-container --use >/dev/null

metadata=$(mktemp)
is_there() { aws ecr describe-images --repository-name "$1" --image-ids "imageTag=$2" >/dev/null 2>&1; }

for image in "$NAME:." "$NAME-airflow:airflow"; do
  repository=${image%%:*} context=${image#*:}
  if is_there "$repository" "$VERSION"; then
    echo "$repository:$VERSION is there already"
    continue
  fi
  if [ "$platform" = index ]; then
    sources=()
    for each in $platforms; do sources+=("$REGISTRY/$repository:$VERSION-$each"); done
    docker buildx imagetools create --tag "$REGISTRY/$repository:$VERSION" "${sources[@]}"
    continue
  fi
  is_there "$repository" "$VERSION-$platform" && continue
  docker buildx build --platform "linux/$platform" --provenance=false --build-arg VERSION="$VERSION" --metadata-file "$metadata" \
    --output "type=image,name=$REGISTRY/$repository,push-by-digest=true,name-canonical=true,push=true" "$context"
  digest=$(sed -n 's/.*"containerimage.digest" *: *"\(sha256:[0-9a-f]*\)".*/\1/p' "$metadata")
  docker buildx imagetools create --tag "$REGISTRY/$repository:$VERSION-$platform" "$REGISTRY/$repository@$digest"
done
