variable "environment" {
  description = "Name of the deployment in the backup account."
  type        = string
  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.environment))
    error_message = "environment ${jsonencode(var.environment)}: give the name that the backup account's deployment has, for example prod."
  }
}

variable "task_role_arn" {
  description = "The worker's role in the backup account, its output task_role_arn. It must be there already."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9/+=,.@_-]+$", var.task_role_arn))
    error_message = "task_role_arn ${jsonencode(var.task_role_arn)}: give the ARN of the worker's role, for example arn:aws:iam::222222222222:role/dynamodb-backup-prod-task."
  }
}

variable "external_id" {
  description = "What the worker must name: the source's external_id in the backup account's sources."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@:/-]{16,}$", var.external_id)) && length(var.external_id) <= 1224
    error_message = "external_id is too short or has a character that STS does not take: give at least 16 letters, digits and _+=,.@:/-, for example what `openssl rand -hex 16` prints."
  }
}

variable "role_name" {
  description = "Name of the role; dynamodb-backup-<environment>-source where it is left out."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[A-Za-z0-9+=,.@_-]{1,64}$", coalesce(var.role_name, "x")))
    error_message = "role_name ${jsonencode(var.role_name)}: give 1 to 64 of a-z, A-Z, 0-9 and +=,.@_-, without a path."
  }
}

variable "regions" {
  description = "Regions whose tables may be read; the provider's where it is empty."
  type        = list(string)
  default     = []
}

variable "table_key_arns" {
  description = "Customer managed KMS keys of the tables. The keys' policies must let this account's identity policies decide, as they do by default."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.table_key_arns : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[^*]+$", arn))])
    error_message = "table_key_arns ${jsonencode(var.table_key_arns)}: give ARNs of keys, without wildcards."
  }
}

variable "native_export_bucket" {
  description = "Bucket of the backup account that the role may have DynamoDB write exports to, under native-exports/. The worker does not need it."
  type        = string
  default     = null
}

variable "native_export_key_arn" {
  description = "Key of that bucket, the backup account's output kms_key_arn; none where the bucket has none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags for the role."
  type        = map(string)
  default     = {}
}
