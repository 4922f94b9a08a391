#!/usr/bin/env bash
# Makes what Terraform would make in the backup account (AWS_ACCESS_KEY_ID) and in the source account, and fills three
# tables there. To LocalStack an access key of twelve digits is that account. What is there already stays.
set -euo pipefail

readonly ENVIRONMENT="${BACKUP_ENVIRONMENT:?}" BACKUP_ACCOUNT="$AWS_ACCESS_KEY_ID" SOURCE_ACCOUNT=111111111111
readonly NAME="dynamodb-backup-$ENVIRONMENT" EXTERNAL_ID=a-local-external-id
readonly ROLE="$NAME-source" BUCKET="$NAME-backups"
export AWS_DEFAULT_REGION="$AWS_REGION" AWS_PAGER="" AWS_DEFAULT_OUTPUT=text

# By the option and not only by the variable, which version 1 of the AWS CLI overlooks for SQS.
aws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }
in_source() { AWS_ACCESS_KEY_ID=$SOURCE_ACCOUNT aws "$@"; }

queue() {
  local dead arn
  dead="$(aws sqs create-queue --queue-name "$1-dlq" --query QueueUrl)"
  arn="$(aws sqs get-queue-attributes --queue-url "$dead" --attribute-names QueueArn --query Attributes.QueueArn)"
  aws sqs create-queue --queue-name "$1" --attributes \
    "{\"RedrivePolicy\": \"{\\\"deadLetterTargetArn\\\": \\\"$arn\\\", \\\"maxReceiveCount\\\": 6}\"}" >/dev/null
}

parameter() {
  aws ssm put-parameter --overwrite --name "/dynamodb-backup/$ENVIRONMENT/$1" --value "$2" --type "${3:-String}" >/dev/null
}

trust() {
  cat <<POLICY
{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
  "Principal": {"AWS": "arn:aws:iam::$BACKUP_ACCOUNT:root"},
  "Condition": {"StringEquals": {"sts:ExternalId": "$EXTERNAL_ID"}}}]}
POLICY
}

has_table() { in_source dynamodb describe-table --table-name "$1" >/dev/null 2>&1; }

# table NAME ATTRIBUTE:TYPE [ATTRIBUTE:TYPE], the partition key and the sort key
table() {
  local name="$1" role=HASH attributes=() keys=() key
  for key in "${@:2}"; do
    attributes+=("AttributeName=${key%:*},AttributeType=${key#*:}")
    keys+=("AttributeName=${key%:*},KeyType=$role")
    role=RANGE
  done
  in_source dynamodb create-table --table-name "$name" --billing-mode PAY_PER_REQUEST \
    --attribute-definitions "${attributes[@]}" --key-schema "${keys[@]}" >/dev/null
  in_source dynamodb wait table-exists --table-name "$name"
}

# items TABLE COUNT FUNCTION puts FUNCTION's items 1 to COUNT, 25 at a time
items() {
  local first number requests
  for ((first = 1; first <= $2; first += 25)); do
    requests=""
    for ((number = first; number < first + 25 && number <= $2; number++)); do
      requests+="${requests:+,}{\"PutRequest\": {\"Item\": $("$3" "$number")}}"
    done
    in_source dynamodb batch-write-item --request-items "{\"$1\": [$requests]}" >/dev/null
  done
  echo "table $1: $2 items"
}

order() {
  echo "{\"customer\": {\"S\": \"customer-$(($1 % 7))\"}, \"placed\": {\"N\": \"$1\"}, \"total\": {\"N\": \"$1.50\"},
    \"lines\": {\"L\": [{\"M\": {\"sku\": {\"S\": \"sku-$1\"}, \"count\": {\"N\": \"1\"}}}]}, \"gift\": {\"BOOL\": false}}"
}
customer() { echo "{\"id\": {\"S\": \"customer-$1\"}, \"name\": {\"S\": \"Zoë №$1\"}, \"tags\": {\"SS\": [\"a\", \"b$1\"]}}"; }

for stage in trigger export provision write; do queue "$NAME-$stage"; done
aws s3api head-bucket --bucket "$BUCKET" >/dev/null 2>&1 \
  || aws s3api create-bucket --bucket "$BUCKET" --create-bucket-configuration "LocationConstraint=$AWS_REGION" >/dev/null
aws s3api put-bucket-versioning --bucket "$BUCKET" --versioning-configuration Status=Enabled
in_source iam get-role --role-name "$ROLE" >/dev/null 2>&1 \
  || in_source iam create-role --role-name "$ROLE" --assume-role-policy-document "$(trust)" >/dev/null
parameter bucket "$BUCKET"
parameter role-arn "arn:aws:iam::$SOURCE_ACCOUNT:role/$ROLE"
parameter external-id "$EXTERNAL_ID" SecureString
echo "account $BACKUP_ACCOUNT: bucket $BUCKET, four queues and the settings of environment $ENVIRONMENT"

has_table orders || { table orders customer:S placed:N; items orders 120 order; }
has_table customers || { table customers id:S; items customers 40 customer; }
has_table coupons || { table coupons code:S; echo "table coupons: empty"; }
echo "account $SOURCE_ACCOUNT: three tables to back up"
