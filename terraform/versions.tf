# The backup account. Region and credentials are the provider's: AWS_REGION, AWS_PROFILE and so on where this is
# applied by itself, an alias where it is a module (example/).
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
  name       = "dynamodb-backup-${var.environment}"
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  tags       = merge(var.tags, { Application = "dynamodb-backup", Environment = var.environment })
}
