variable "environment" {
  type    = string
  default = "prod"
}

variable "region" {
  type    = string
  default = "eu-west-1"
}

variable "backup_profile" {
  description = "Profile of the AWS configuration for the backup account."
  type        = string
}

variable "source_profile" {
  description = "Profile of the AWS configuration for the source account."
  type        = string
}

variable "external_id" {
  description = "At least 16 characters, for example what `openssl rand -hex 16` prints."
  type        = string
}

variable "image" {
  description = "Image of the worker."
  type        = string
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type = list(string)
}
