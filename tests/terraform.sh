#!/usr/bin/env bash
# Checks terraform/ without AWS: formatting, validity, its tests against mocked providers, and checkov.
#
#   tests/terraform.sh [--apply]
#
# --apply also applies both accounts on ministack, an AWS stand-in, and plans a second time: what differs then must
# be what is listed below. Works on a copy and leaves nothing behind but what it has installed, in the user's cache
# directory. What is missing here is reported as skipped.
#
# The AWS provider is taken from TF_PLUGIN_DIR (the directory that holds registry.terraform.io), or from where it is
# usually mirrored, or else from Terraform's registry.
set -euo pipefail

readonly CHECKOV=3.3.30 MINISTACK=1.5.33 BOTO3=1.43.106

root="$(cd "$(dirname "$0")/.." && pwd)"
cache="${XDG_CACHE_HOME:-$HOME/.cache}/dynamodb-backup-ci"
apply=false
case "${1:-}" in
  "") ;;
  --apply) apply=true ;;
  *) echo "usage: tests/terraform.sh [--apply]" >&2; exit 64 ;;
esac

work="$(mktemp -d)"
server=""
clean_up() {
  if [ -n "$server" ]; then
    kill -- "-$server" 2>/dev/null || true
    for _ in {1..100}; do kill -0 -- "-$server" 2>/dev/null || break; sleep 0.1; done
    kill -KILL -- "-$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

failed=0
fail() { echo "FAILED: $1"; failed=1; }
# Runs a command, whose output is shown only when it fails.
check() {
  local name="$1" begun=$SECONDS
  shift
  if "$@" >"$work/output" 2>&1; then
    echo "ok: $name ($((SECONDS - begun))s)$(tail -n 1 "$work/output" | sed -n 's/^Success! /: /p')"
  else
    tail -n 60 "$work/output"
    fail "$name"
  fi
}

# A tool of PyPI in a place of its own: installed PACKAGE VERSION [PACKAGE==VERSION …] prints where, or nothing.
installed() {
  local home="$cache/$1-$2"
  if [ ! -e "$home/installed" ]; then
    rm -rf "$home" && mkdir -p "$home"
    python3 -m venv "$home/venv" >"$work/install.log" 2>&1 \
      && "$home/venv/bin/pip" install --quiet --disable-pip-version-check "$1==$2" "${@:3}" >>"$work/install.log" 2>&1 \
      && touch "$home/installed" || return 0
  fi
  echo "$home/venv/bin"
}

plugin_directory() {
  local place found
  if [ -n "${TF_PLUGIN_DIR:-}" ]; then echo "$TF_PLUGIN_DIR"; return; fi
  for place in "$HOME/.terraform.d" "${XDG_DATA_HOME:-$HOME/.local/share}/terraform" /usr/local/share/terraform /usr/share/terraform /opt; do
    found="$(find "$place" -maxdepth 8 -path '*/registry.terraform.io/hashicorp/aws/*' -name 'terraform-provider-aws*' 2>/dev/null | head -n 1)"
    if [ -n "$found" ]; then echo "${found%%/registry.terraform.io/*}"; return; fi
  done
}

# The caller's own Terraform and AWS settings are nobody's business here.
unset TF_CLI_ARGS TF_DATA_DIR TF_WORKSPACE "${!TF_VAR_@}" "${!AWS_@}"
export TF_IN_AUTOMATION=1 TF_INPUT=0 TF_CLI_CONFIG_FILE="$work/terraform.rc" CHECKPOINT_DISABLE=1 AWS_EC2_METADATA_DISABLED=true
touch "$TF_CLI_CONFIG_FILE"
export PIP_DISABLE_PIP_VERSION_CHECK=1

cp -R "$root/terraform" "$work/terraform"
find "$work/terraform" \( -name '.terraform*' -o -name '*.tfstate*' -o -name 'backend.tf' -o -name '*.auto.tfvars' \) -prune -exec rm -rf {} +

with_terraform() {
  local plugins
  plugins="$(plugin_directory)"
  initialise=(terraform init -backend=false -no-color ${plugins:+-plugin-dir="$plugins"})
  cd "$work/terraform"
  check "terraform fmt" terraform fmt -check -diff -recursive
  if ! "${initialise[@]}" >"$work/init.log" 2>&1; then
    if [ -n "$plugins" ]; then cat "$work/init.log"; fail "terraform init"; return; fi
    echo "skipped: terraform validate and test: the AWS provider cannot be had: $(grep -m 1 Error "$work/init.log")"
    return
  fi
  check "terraform validate" terraform validate -no-color
  check "terraform test" terraform test -no-color
  cd "$work/terraform/example"
  check "terraform init of the example" "${initialise[@]}"
  check "terraform validate of the example" terraform validate -no-color
  if $apply; then apply_on_stand_in; fi
}

# Both accounts with everything that can be asked for, but for what ministack does not have: application
# autoscaling, and condition keys that it does not know.
apply_on_stand_in() {
  local bin port
  bin="$(installed ministack "$MINISTACK" "boto3==$BOTO3")"
  if [ -z "$bin" ]; then echo "skipped: apply: ministack cannot be installed here: $(tail -n 1 "$work/install.log")"; return; fi
  port="$(python3 -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')"
  set -m # the stand-in leads a process group
  GATEWAY_PORT=$port BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 IOT_MTLS_ENABLED=0 LOG_LEVEL=WARNING \
    "$bin/ministack" >"$work/server.log" 2>&1 &
  server=$!
  set +m
  for _ in {1..300}; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
    sleep 0.1
  done

  mkdir "$work/apply" && cd "$work/apply"
  cat >main.tf <<TERRAFORM
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  alias             = "backup"
  access_key        = "222222222222"
  secret_key        = "stand-in"
  s3_use_path_style = true
}
provider "aws" {
  alias             = "source"
  access_key        = "111111111111"
  secret_key        = "stand-in"
  s3_use_path_style = true
}
resource "aws_vpc" "main" {
  provider   = aws.backup
  cidr_block = "10.0.0.0/16"
}
resource "aws_subnet" "main" {
  provider   = aws.backup
  vpc_id     = aws_vpc.main.id
  cidr_block = "10.0.0.0/24"
}
resource "aws_route_table" "main" {
  provider = aws.backup
  vpc_id   = aws_vpc.main.id
}
module "backup" {
  source                           = "../terraform"
  providers                        = { aws = aws.backup }
  environment                      = "test"
  sources                          = { shop = { account_id = "111111111111", external_id = "a-long-external-id", native_export = true } }
  vpc_id                           = aws_vpc.main.id
  subnet_ids                       = [aws_subnet.main.id]
  image_tag                        = "1"
  autoscaling                      = false
  object_lock                      = { mode = "GOVERNANCE", days = 30 }
  interface_endpoints              = true
  gateway_endpoint_route_table_ids = [aws_route_table.main.id]
  alarm_emails                     = ["backups@example.com"]
  restore_principal_arns           = ["arn:aws:iam::222222222222:role/admin"]
}
module "source" {
  source                = "../terraform/source-account"
  providers             = { aws = aws.source }
  environment           = "test"
  task_role_arn         = module.backup.task_role_arn
  external_id           = "a-long-external-id"
  table_key_arns        = ["arn:aws:kms:eu-west-1:111111111111:key/of-a-table"]
  native_export_bucket  = module.backup.bucket
  native_export_key_arn = module.backup.kms_key_arn
}
output "run_task_command" {
  value = module.backup.run_task_command
}
TERRAFORM
  export AWS_ENDPOINT_URL="http://127.0.0.1:$port" AWS_REGION=eu-west-1
  check "terraform init of both accounts" "${initialise[@]}"
  local before=$failed
  check "terraform apply on ministack" timeout 900 terraform apply -no-color -auto-approve
  if [ "$failed" != "$before" ]; then return; fi
  check "second plan" terraform plan -no-color -out=second.tfplan
  terraform show -json second.tfplan | python3 -c 'import json, sys
for resource in json.load(sys.stdin)["resource_changes"]:
    change, address = resource["change"], resource["address"].split("[")[0]
    if change["actions"] not in (["no-op"], ["read"]):
        before, after = change["before"] or {}, change["after"] or {}
        names = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
        print(address, *change["actions"], ",".join(names))' | sort -u >differences
  if diff <(expected_differences | sort) differences >"$work/output"; then
    echo "ok: the second plan differs in what ministack is known to forget ($(wc -l <differences) resources)"
  else
    cat "$work/output"
    fail "the second plan differs otherwise than expected (<: expected, >: found)"
  fi
}

# What ministack forgets: of alarms almost everything, of endpoints their security groups and private names, and how
# a service spreads its tasks. On AWS there is no reason for any of it.
expected_differences() {
  local of_alarms=actions_enabled,alarm_actions,alarm_description,dimensions,ok_actions,period,statistic,treat_missing_data
  cat <<DIFFERENCES
module.backup.aws_cloudwatch_metric_alarm.crash_loop update $of_alarms
module.backup.aws_cloudwatch_metric_alarm.dead_letters update $of_alarms
module.backup.aws_cloudwatch_metric_alarm.no_complete_run update $of_alarms
module.backup.aws_cloudwatch_metric_alarm.oldest_message update $of_alarms
module.backup.aws_cloudwatch_metric_alarm.too_few_tasks update $of_alarms
module.backup.aws_ecs_service.worker update availability_zone_rebalancing
module.backup.aws_vpc_endpoint.interface update private_dns_enabled,security_group_ids
DIFFERENCES
}

with_checkov() {
  local bin
  bin="$(installed checkov "$CHECKOV")"
  if [ -z "$bin" ]; then echo "skipped: checkov cannot be installed here: $(tail -n 1 "$work/install.log")"; return; fi
  cd "$work/terraform"
  check "checkov" "$bin/checkov" --directory . --framework terraform --compact --quiet --skip-download
}

if command -v terraform >/dev/null; then
  with_terraform
else
  echo "skipped: terraform fmt, validate and test: terraform is not installed"
fi
with_checkov
exit "$failed"
