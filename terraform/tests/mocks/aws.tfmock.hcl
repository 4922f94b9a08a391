# What AWS would answer: identities, and ARNs of the form that the provider checks.

mock_data "aws_caller_identity" {
  defaults = { account_id = "222222222222" }
}
mock_data "aws_partition" {
  defaults = { partition = "aws" }
}
mock_data "aws_region" {
  defaults = { name = "eu-west-1" }
}

mock_data "aws_vpc" {
  defaults = { cidr_block_associations = [{ association_id = "a", cidr_block = "10.0.0.0/16", state = "associated" }] }
}

mock_resource "aws_s3_bucket" {
  defaults = { id = "the-bucket", arn = "arn:aws:s3:::the-bucket" }
}
mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:222222222222:key/the-key", key_id = "the-key" }
}
mock_resource "aws_sqs_queue" {
  defaults = { id = "https://sqs.eu-west-1.amazonaws.com/222222222222/a-queue", arn = "arn:aws:sqs:eu-west-1:222222222222:a-queue" }
}
mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::222222222222:role/a-role", id = "a-role" }
}
mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:222222222222:log-group:a-group" }
}
mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-1:222222222222:repository/the-repository"
    repository_url = "222222222222.dkr.ecr.eu-west-1.amazonaws.com/the-repository"
  }
}
mock_resource "aws_ecs_cluster" {
  defaults = { id = "the-cluster", arn = "arn:aws:ecs:eu-west-1:222222222222:cluster/the-cluster" }
}
mock_resource "aws_ecs_task_definition" {
  defaults = {
    arn                  = "arn:aws:ecs:eu-west-1:222222222222:task-definition/the-task:7"
    arn_without_revision = "arn:aws:ecs:eu-west-1:222222222222:task-definition/the-task"
  }
}
mock_resource "aws_scheduler_schedule_group" {
  defaults = { arn = "arn:aws:scheduler:eu-west-1:222222222222:schedule-group/the-group" }
}
mock_resource "aws_sns_topic" {
  defaults = { arn = "arn:aws:sns:eu-west-1:222222222222:the-topic" }
}
mock_resource "aws_appautoscaling_policy" {
  defaults = { arn = "arn:aws:autoscaling:eu-west-1:222222222222:scalingPolicy:1:resource/ecs/a:policyName/b" }
}
