#!/bin/bash
# What the workflow needs to know of an environment before anything else: name=... and version=..., from its file of variables.
#   deploy/lake-of.sh prod
set -euo pipefail

environment=$1
[[ $environment =~ ^[A-Za-z0-9_-]+$ ]] || { echo "no environment: $environment" >&2; exit 64; }
file=$(dirname "$0")/../terraform/environments/$environment.tfvars
[ -f "$file" ] || { echo "terraform/environments/$environment.tfvars is not there: make aws ENV=$environment writes a first one" >&2; exit 66; }
name=$(sed -n 's/^name *= *"\([a-z0-9-]*\)".*/\1/p' "$file")
version=$(sed -n 's/^ *version *= *"\([A-Za-z0-9_.-]*\)".*/\1/p' "$file" | head -n 1)
[ -n "$version" ] || { echo "terraform/environments/$environment.tfvars names no airflow.version" >&2; exit 65; }
echo "name=${name:-listenlake-$environment}"
echo "version=$version"
