# A source account: the one role that the worker assumes there. Often another team's; it needs nothing else.
terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  # The region is a pattern only where one role is for several.
  table_arns = [
    for region in(length(var.regions) == 0 ? [data.aws_region.current.name] : var.regions) :
    "arn:${data.aws_partition.current.partition}:dynamodb:${region}:${data.aws_caller_identity.current.account_id}:table/*"
  ]
}
