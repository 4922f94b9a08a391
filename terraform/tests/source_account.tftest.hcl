# The role in the source account.

mock_provider "aws" {
  override_during = plan
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111111111111" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111111111111:role/the-role", id = "the-role" }
  }
}

variables {
  environment   = "test"
  task_role_arn = "arn:aws:iam::222222222222:role/dynamodb-backup-test-task"
  external_id   = "a-long-external-id"
}

run "only_the_worker_is_trusted_and_only_with_the_external_id" {
  command = plan
  module { source = "./source-account" }
  assert {
    condition = jsondecode(aws_iam_role.source.assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = "arn:aws:iam::222222222222:role/dynamodb-backup-test-task" }
      Condition = { StringEquals = { "sts:ExternalId" = "a-long-external-id" } }
    }]
    error_message = "somebody else is trusted, or without the external id"
  }
  assert {
    condition     = aws_iam_role.source.name == "dynamodb-backup-test-source"
    error_message = "the backup account expects another name"
  }
}

run "it_reads_and_nothing_else" {
  command = plan
  module { source = "./source-account" }
  assert {
    condition = alltrue([for action in flatten(jsondecode(aws_iam_role_policy.read.policy).Statement[*].Action) :
    can(regex("^(dynamodb|application-autoscaling):(Describe[A-Za-z]+|Get[A-Za-z]+|List[A-Za-z]+|Scan)$", action))])
    error_message = "an action does more than read"
  }
  assert {
    condition = (
      [for statement in jsondecode(aws_iam_role_policy.read.policy).Statement : statement.Sid if statement.Resource == "*"] == ["List", "Scaling"] &&
      jsondecode(aws_iam_role_policy.read.policy).Statement[1].Resource == ["arn:aws:dynamodb:eu-west-1:111111111111:table/*"]
    )
    error_message = "the role reads more than the tables of its account and region"
  }
  assert {
    condition     = length(aws_iam_role_policy.native_export) == 0 && length(aws_iam_role_policy.table_keys) == 0
    error_message = "the role has permissions that nobody asked for"
  }
}

run "what_is_asked_for_besides_stays_within_its_bounds" {
  command = plan
  module { source = "./source-account" }
  variables {
    table_key_arns        = ["arn:aws:kms:eu-west-1:111111111111:key/of-a-table"]
    native_export_bucket  = "the-bucket"
    native_export_key_arn = "arn:aws:kms:eu-west-1:222222222222:key/the-key"
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.native_export[0].policy).Statement : statement.Resource] == [
      ["arn:aws:dynamodb:eu-west-1:111111111111:table/*", "arn:aws:dynamodb:eu-west-1:111111111111:table/*/export/*"],
      "arn:aws:s3:::the-bucket/native-exports/*",
      "arn:aws:kms:eu-west-1:222222222222:key/the-key",
    ]
    error_message = "an export may be written elsewhere"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.table_keys[0].policy).Statement[0].Condition.StringLike["kms:ViaService"] == "dynamodb.*.amazonaws.com"
    error_message = "the role may use the key without DynamoDB"
  }
}

run "an_account_that_is_the_backups" {
  command         = plan
  expect_failures = [aws_iam_role.source]
  module { source = "./source-account" }
  variables { task_role_arn = "arn:aws:iam::111111111111:role/dynamodb-backup-test-task" }
}

run "a_trust_in_everybody" {
  command         = plan
  expect_failures = [var.task_role_arn]
  module { source = "./source-account" }
  variables { task_role_arn = "*" }
}

run "an_external_id_that_is_short" {
  command         = plan
  expect_failures = [var.external_id]
  module { source = "./source-account" }
  variables { external_id = "short" }
}
