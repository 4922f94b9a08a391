# Both accounts at once, for who may change both. Two teams apply the two modules by themselves instead: first the
# backup account, for the role in the source account names the worker's, which must be there.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  alias   = "backup"
  region  = var.region
  profile = var.backup_profile
}

provider "aws" {
  alias   = "source"
  region  = var.region
  profile = var.source_profile
}

data "aws_caller_identity" "source" {
  provider = aws.source
}

module "backup" {
  source    = "../"
  providers = { aws = aws.backup }

  environment = var.environment
  sources = {
    shop = { account_id = data.aws_caller_identity.source.account_id, external_id = var.external_id }
  }
  vpc_id     = var.vpc_id
  subnet_ids = var.subnet_ids
  image      = var.image
}

module "source" {
  source    = "../source-account"
  providers = { aws = aws.source }

  environment   = var.environment
  task_role_arn = module.backup.task_role_arn
  external_id   = var.external_id
}

output "backup" {
  value = module.backup
}
