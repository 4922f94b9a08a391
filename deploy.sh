#!/usr/bin/env bash
# Deploys the backup account: builds and pushes the image, and applies terraform/.
#
#   ./deploy.sh ENVIRONMENT [--plan] [--no-build] [--var-file FILE]
#
#   ENVIRONMENT      name of the deployment, as in prod: part of every resource's name
#   --plan           shows what would change, and changes nothing
#   --no-build       deploys the image that is already pushed for this commit
#   --var-file FILE  the deployment's variables; terraform/ENVIRONMENT.tfvars where it is not given
#
# Needs aws, terraform and, to build, docker (or what CONTAINER_ENGINE names). Account and region are those of the
# AWS configuration (AWS_PROFILE, AWS_REGION …). Terraform's state is kept in a bucket of its own in that account,
# dynamodb-backup-state-<account>-<region>, which is made at the first deployment; STATE_BUCKET names another one.
set -euo pipefail
cd "$(dirname "$0")"

usage() { sed -n 's/^# \{0,1\}//; 2,/^Needs/{/^Needs/d;p;}' "$0"; }
refuse() { echo "deploy.sh: $1" >&2; exit 64; }
step() { printf '\n== %s\n' "$1"; }

environment="" plan_only=false build=true var_file=""
while [ $# -gt 0 ]; do
  case "$1" in
    --plan) plan_only=true ;;
    --no-build) build=false ;;
    --var-file)
      [ $# -gt 1 ] || refuse "--var-file is given without a file"
      var_file="$2"
      shift
      ;;
    -h | --help) usage; exit 0 ;;
    -*) refuse "$1 is not known: ./deploy.sh ENVIRONMENT [--plan] [--no-build] [--var-file FILE]" ;;
    *)
      [ -z "$environment" ] || refuse "two environments are given, $environment and $1: give one"
      environment="$1"
      ;;
  esac
  shift
done

[ -n "$environment" ] || refuse "which environment? Give its name, for example: ./deploy.sh prod"
[[ "$environment" =~ ^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$ ]] \
  || refuse "environment \"$environment\": give 1 to 16 of a-z, 0-9 and '-', beginning with a letter and not ending in '-'"
var_file="${var_file:-terraform/$environment.tfvars}"
[ -f "$var_file" ] \
  || refuse "$var_file is not there: copy terraform/example.tfvars to it and fill it in, or give --var-file"
var_file="$(cd "$(dirname "$var_file")" && pwd)/$(basename "$var_file")"

# The value of a text variable in the file, if it is there.
variable() { sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*\"\([^\"]*\)\".*/\1/p" "$var_file" | tail -n 1; }

engine="${CONTAINER_ENGINE:-docker}"
# An image that is named is not ours to build.
if [ -n "$(variable image)" ]; then build=false own_image=false; else own_image=true; fi
if $plan_only; then build=false; fi
tools=(aws terraform git)
if $build; then tools+=("$engine"); fi
for tool in "${tools[@]}"; do
  command -v "$tool" >/dev/null || refuse "$tool is not installed"
done

region="${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}"
[ -n "$region" ] || refuse "which region? Set AWS_REGION"
# The second one is what version 1 of the AWS CLI reads.
export AWS_REGION="$region" AWS_DEFAULT_REGION="$region" AWS_PAGER="" TF_INPUT=0 TF_IN_AUTOMATION=1
account="$(aws sts get-caller-identity --query Account --output text)" \
  || refuse "AWS does not know who is calling: set AWS_PROFILE, or log in"
! grep -Eq "account_id[[:space:]]*=[[:space:]]*\"$account\"" "$var_file" \
  || refuse "account $account is one of the sources: use credentials of the backup account"
name="dynamodb-backup-$environment"
echo "deploying $name to account $account, region $region"

state_bucket="${STATE_BUCKET:-dynamodb-backup-state-$account-$region}"
has_state_bucket() { aws s3api head-bucket --bucket "$state_bucket" --expected-bucket-owner "$account" >/dev/null 2>&1; }

make_state_bucket() {
  step "bucket $state_bucket for Terraform's state"
  local place=(--create-bucket-configuration "LocationConstraint=$region")
  # The one region that must not be named (S3 API Reference, "CreateBucket").
  if [ "$region" = us-east-1 ]; then place=(); fi
  aws s3api create-bucket --bucket "$state_bucket" "${place[@]}"
  aws s3api put-bucket-versioning --bucket "$state_bucket" --versioning-configuration Status=Enabled
  aws s3api put-public-access-block --bucket "$state_bucket" --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
}

# Which backend there is depends on who deploys, so it is no part of the module. One that was written by hand stays.
readonly MARK="# Written by deploy.sh."
write_backend() {
  if [ -f terraform/backend.tf ] && [ "$(head -n 1 terraform/backend.tf)" != "$MARK" ]; then return; fi
  printf '%s\nterraform {\n  backend "%s" {}\n}\n' "$MARK" "$1" >terraform/backend.tf
}

initialise() {
  step "terraform init"
  if has_state_bucket; then
    write_backend s3
    terraform -chdir=terraform init -reconfigure -backend-config="bucket=$state_bucket" \
      -backend-config="key=$name.tfstate" -backend-config="region=$region" -backend-config=use_lockfile=true \
      -backend-config=encrypt=true
  else
    # Only with --plan: nothing is deployed, so there is no state to look at.
    write_backend local
    terraform -chdir=terraform init -reconfigure -backend-config="path=$(mktemp -d)/none.tfstate"
  fi
}

# The image of a commit is built once. What is not committed has no name of its own, so it gets one from its content.
image_tag() {
  local tag
  tag="$(git rev-parse --short=12 HEAD)"
  if [ -n "$(git status --porcelain -- Cargo.toml Cargo.lock Dockerfile src)" ]; then
    tag="$tag-$( (git diff HEAD -- Cargo.toml Cargo.lock Dockerfile src; git ls-files --others --exclude-standard src | xargs -r cat) | git hash-object --stdin | cut -c 1-8)"
  fi
  echo "$tag"
}

is_pushed() { aws ecr describe-images --repository-name "$name" --image-ids "imageTag=$1" >/dev/null 2>&1; }

push_image() {
  local registry platform=linux/amd64
  if [ "$(variable architecture)" = ARM64 ]; then platform=linux/arm64; fi
  if ! aws ecr describe-repositories --repository-names "$name" >/dev/null 2>&1; then
    step "the image's repository"
    terraform -chdir=terraform apply -auto-approve "${variables[@]}" \
      -target=aws_ecr_repository.worker -target=aws_ecr_lifecycle_policy.worker
  fi
  step "image $name:$tag for $platform"
  registry="$(aws ecr describe-repositories --repository-names "$name" --query 'repositories[0].repositoryUri' --output text)"
  aws ecr get-login-password | "$engine" login --username AWS --password-stdin "${registry%%/*}"
  "$engine" build --platform "$platform" --tag "$registry:$tag" .
  "$engine" push "$registry:$tag"
}

if ! $plan_only && ! has_state_bucket; then make_state_bucket; fi
initialise

variables=(-var-file="$var_file" -var="environment=$environment")
if $own_image; then
  tag="$(image_tag)"
  variables+=(-var="image_tag=$tag")
  if ! $plan_only && ! is_pushed "$tag"; then
    $build || refuse "image $name:$tag is not in the repository: leave out --no-build, or name an image in $var_file"
    push_image
  fi
fi

step "terraform plan"
plan="$(mktemp)"
trap 'rm -f "$plan"' EXIT
terraform -chdir=terraform plan -out="$plan" "${variables[@]}"
if $plan_only; then
  echo
  echo "Nothing was changed. Without --plan this is applied."
  exit 0
fi

step "terraform apply"
terraform -chdir=terraform apply "$plan"

cat <<NEXT

== deployed: what to check

1. The source accounts must have the role: apply terraform/source-account there with
     task_role_arn = "$(terraform -chdir=terraform output -raw task_role_arn)"
   and the external id of $var_file.
2. Whether everything is in place, asked from inside (its answer is in the log):
     $(terraform -chdir=terraform output -raw run_task_command)
     aws logs tail $(terraform -chdir=terraform output -raw log_group) --since 10m --follow
3. A first backup, of one table, without waiting for the schedule:
     aws sqs send-message --message-body '{"tables": ["NAME"]}' --queue-url "\$(aws sqs get-queue-url \\
       --queue-name $name-trigger --query QueueUrl --output text)"
     BACKUP_ENVIRONMENT=$environment dynamodb-backup status
4. Alarms go to $(terraform -chdir=terraform output -raw alarm_topic_arn)
   and the dashboard is $(terraform -chdir=terraform output -raw dashboard_url)
NEXT
