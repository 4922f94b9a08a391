# What must be given: environment, sources, vpc_id, subnet_ids. All else has a default.

variable "environment" {
  description = "Name of this deployment, as in prod. It is part of every resource's name and of every SSM path."
  type        = string
  validation {
    # The bucket's name, the longest made of it, may have 63 characters, none of them upper-case.
    condition     = can(regex("^[a-z]([a-z0-9-]{0,14}[a-z0-9])?$", var.environment))
    error_message = "environment ${jsonencode(var.environment)}: give 1 to 16 of a-z, 0-9 and '-', beginning with a letter and not ending in '-', for example prod."
  }
}

variable "sources" {
  description = <<-TEXT
    The accounts and regions to back up, by name. The role is what the module source-account makes there.

    account_id     of the source
    external_id    that the role's trust policy asks for: a long random text of your choice
    region         of the tables; the backup's region where it is left out
    role_name      of the role to assume, with its path; dynamodb-backup-<environment>-source where it is left out
    include        patterns of the tables to back up, as in orders-*; all where it is left out
    exclude        patterns of the tables to leave out
    target_prefix  put in front of the table names in the backup account; needed where two sources share names
    native_export  lets that role write exports of DynamoDB's own under native-exports/ in the bucket
  TEXT
  type = map(object({
    account_id    = string
    external_id   = string
    region        = optional(string)
    role_name     = optional(string)
    include       = optional(list(string), [])
    exclude       = optional(list(string), [])
    target_prefix = optional(string, "")
    native_export = optional(bool, false)
  }))
  validation {
    condition     = length(var.sources) > 0
    error_message = "sources is empty: give at least one, for example { shop = { account_id = \"111111111111\", external_id = \"…\" } }."
  }
  validation {
    condition     = alltrue([for name in keys(var.sources) : can(regex("^[a-z0-9-]{1,32}$", name))])
    error_message = "sources ${jsonencode(keys(var.sources))}: name each source with 1 to 32 of a-z, 0-9 and '-'."
  }
  validation {
    condition     = alltrue([for source in values(var.sources) : can(regex("^[0-9]{12}$", source.account_id))])
    error_message = "sources: account_id ${jsonencode([for source in values(var.sources) : source.account_id])}: give twelve digits, in quotes."
  }
  validation {
    # STS takes 2 to 1224 characters (STS API Reference, "AssumeRole"); short ones can be guessed.
    condition     = alltrue([for source in values(var.sources) : can(regex("^[A-Za-z0-9_+=,.@:/-]{16,}$", source.external_id)) && length(source.external_id) <= 1224])
    error_message = "sources: an external_id (of ${join(", ", [for name, source in var.sources : name if !can(regex("^[A-Za-z0-9_+=,.@:/-]{16,}$", source.external_id))])}) is too short or has a character that STS does not take: give at least 16 letters, digits and _+=,.@:/-, for example what `openssl rand -hex 16` prints."
  }
  validation {
    condition     = alltrue([for source in values(var.sources) : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", coalesce(source.region, "eu-west-1")))])
    error_message = "sources: region ${jsonencode([for source in values(var.sources) : source.region])}: give for example eu-central-1."
  }
  validation {
    condition     = alltrue([for source in values(var.sources) : can(regex("^[A-Za-z0-9/+=,.@_-]{1,512}$", coalesce(source.role_name, "x")))])
    error_message = "sources: role_name ${jsonencode([for source in values(var.sources) : source.role_name])}: give the role's path and name without the ARN in front of it."
  }
  validation {
    condition     = alltrue([for source in values(var.sources) : can(regex("^[A-Za-z0-9_.-]{0,252}$", source.target_prefix))])
    error_message = "sources: target_prefix ${jsonencode([for source in values(var.sources) : source.target_prefix])}: give at most 252 of a-z, A-Z, 0-9, '-', '_' and '.'."
  }
  validation {
    condition     = length(distinct([for source in values(var.sources) : "${source.account_id} ${coalesce(source.region, "here")}"])) == length(var.sources)
    error_message = "sources: two of them are the same account and region: give one, with the patterns of both."
  }
}

variable "mode" {
  description = "service: workers are always there and the schedule sends a trigger. scheduled: the schedule starts one task that does it all and ends."
  type        = string
  default     = "service"
  validation {
    condition     = contains(["service", "scheduled"], var.mode)
    error_message = "mode ${jsonencode(var.mode)}: give service or scheduled."
  }
}

variable "schedule_expression" {
  description = "When a backup begins: cron(minutes hours day month weekday year), or rate(1 day)."
  type        = string
  default     = "cron(0 2 * * ? *)"
  validation {
    condition     = can(regex("^rate\\([1-9][0-9]* (minute|hour|day)s?\\)$", var.schedule_expression)) || can(regex(local.cron, var.schedule_expression))
    error_message = "schedule_expression ${jsonencode(var.schedule_expression)}: give rate(1 day), or cron(minutes hours day month weekday year) of which day or weekday is '?', for example cron(0 2 * * ? *)."
  }
}

variable "schedule_timezone" {
  description = "Time zone of the schedule, as in Europe/Berlin."
  type        = string
  default     = "UTC"
}

variable "schedule_enabled" {
  description = "Whether the schedule is on. Off, backups begin only by `dynamodb-backup trigger` or by a task that is run by hand."
  type        = bool
  default     = true
}

variable "settings" {
  description = "Other settings of the program by their names, as in { lanes = \"8\", read-budget = \"25%\" }; `dynamodb-backup worker --help` lists them."
  type        = map(string)
  default     = {}
  validation {
    condition     = length(setsubtract(keys(var.settings), local.free_settings)) == 0
    error_message = "settings: ${join(", ", setsubtract(keys(var.settings), local.free_settings))} cannot be set here: give any of ${join(", ", local.free_settings)}. Other variables set the rest."
  }
  validation {
    condition     = alltrue([for value in values(var.settings) : value != ""])
    error_message = "settings: ${join(", ", [for name, value in var.settings : name if value == ""])} is empty: SSM keeps no empty value, so leave it out."
  }
}

# Bucket

variable "bucket_name" {
  description = "Name of the bucket to make; dynamodb-backup-<environment>-<account>-<region> where it is left out."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", coalesce(var.bucket_name, "none")))
    error_message = "bucket_name ${jsonencode(var.bucket_name)}: give 3 to 63 of a-z, 0-9, '-' and '.'."
  }
}

variable "object_lock" {
  description = "How long no object may be deleted: mode GOVERNANCE (who has s3:BypassGovernanceRetention may) or COMPLIANCE (nobody may, not even AWS), and days."
  type        = object({ mode = string, days = number })
  default     = null
  validation {
    condition     = var.object_lock == null || contains(["GOVERNANCE", "COMPLIANCE"], try(var.object_lock.mode, ""))
    error_message = "object_lock.mode ${jsonencode(try(var.object_lock.mode, null))}: give GOVERNANCE or COMPLIANCE."
  }
  validation {
    # "S3 Object Lock limitations": at most 100 years.
    condition     = var.object_lock == null || (try(var.object_lock.days, 0) >= 1 && try(var.object_lock.days, 0) <= 36500 && try(floor(var.object_lock.days) == var.object_lock.days, false))
    error_message = "object_lock.days ${jsonencode(try(var.object_lock.days, null))}: give a whole number from 1 to 36500."
  }
}

variable "transitions" {
  description = "Colder storage, by age in days, for objects above 4 MiB: the small ones are what `list` and `show` read. The default can still be read at once; what lies in GLACIER or DEEP_ARCHIVE must be restored before `verify` and `restore` can read it."
  type        = list(object({ days = number, storage_class = string }))
  default     = [{ days = 30, storage_class = "GLACIER_IR" }]
  validation {
    condition     = alltrue([for it in var.transitions : contains(["STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"], it.storage_class)])
    error_message = "transitions: storage_class ${jsonencode(var.transitions[*].storage_class)}: give STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR, GLACIER or DEEP_ARCHIVE."
  }
  validation {
    # A run reads back what it has archived; it must not have become cold by then.
    condition     = alltrue([for it in var.transitions : it.days >= 7])
    error_message = "transitions: days ${jsonencode(var.transitions[*].days)}: give at least 7, for a run reads back what it has archived."
  }
}

variable "expire_after_days" {
  description = "Age at which backups are deleted, by S3 and not by the worker; never where it is left out. S3 goes by the age of each object, so for the days that a run took its first parts are gone and its report is not."
  type        = number
  default     = null
  validation {
    condition     = var.expire_after_days == null || coalesce(var.expire_after_days, 0) > max(0, [for it in var.transitions : it.days]...)
    error_message = "expire_after_days ${jsonencode(var.expire_after_days)}: give more than the days of every transition (${jsonencode(var.transitions[*].days)}), or leave it out to keep everything."
  }
}

variable "deleted_kept_days" {
  description = "How long S3 keeps what was deleted or has expired, so that it can be brought back."
  type        = number
  default     = 30
  validation {
    condition     = var.deleted_kept_days >= 1
    error_message = "deleted_kept_days ${var.deleted_kept_days}: give at least 1."
  }
}

variable "access_log_bucket" {
  description = "Bucket that takes the server access log of the backups; none is kept where it is left out."
  type        = string
  default     = null
}

# Encryption

variable "encryption" {
  description = "KMS: bucket, queues, parameters, logs and alarms under a key of your own. SSE-S3: under keys that AWS manages, at no cost."
  type        = string
  default     = "KMS"
  validation {
    condition     = contains(["KMS", "SSE-S3"], var.encryption)
    error_message = "encryption ${jsonencode(var.encryption)}: give KMS or SSE-S3."
  }
}

variable "kms_key_arn" {
  description = "Key to use instead of a new one. Its policy must admit what key.tf admits."
  type        = string
  default     = null
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", coalesce(var.kms_key_arn, "arn:aws:kms:eu-west-1:222222222222:key/x")))
    error_message = "kms_key_arn ${jsonencode(var.kms_key_arn)}: give the ARN of a key, not of an alias."
  }
  validation {
    condition     = var.kms_key_arn == null || var.encryption == "KMS"
    error_message = "kms_key_arn is given and encryption is ${jsonencode(var.encryption)}: leave one of them out."
  }
}

# Workers

variable "image" {
  description = "Image of the worker, best with its digest; the tag image_tag of the repository made here where it is left out."
  type        = string
  default     = null
}

variable "image_tag" {
  description = "Tag of the image in the repository made here; deploy.sh gives it."
  type        = string
  default     = null
  validation {
    condition     = var.image != null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "image_tag ${jsonencode(var.image_tag)}: give the tag of an image that is in the repository, or give image."
  }
}

variable "architecture" {
  description = "Processor that the image was built for: X86_64 or ARM64."
  type        = string
  default     = "X86_64"
  validation {
    condition     = contains(["X86_64", "ARM64"], var.architecture)
    error_message = "architecture ${jsonencode(var.architecture)}: give X86_64 or ARM64."
  }
}

variable "cpu" {
  description = "CPU units of a task: 1024 are one vCPU, which exports some 100 MB a second."
  type        = number
  default     = 1024
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.cpu)
    error_message = "cpu ${var.cpu}: Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384."
  }
}

variable "memory" {
  description = "MiB of memory of a task."
  type        = number
  default     = 2048
  validation {
    # The default slots take up to 500 MiB, and a GiB where they compare segments of a million items.
    condition     = var.memory >= 1024 && var.memory >= 2 * var.cpu && var.memory <= 8 * var.cpu
    error_message = "memory ${var.memory}: give 1024 or more, and between twice and eight times cpu (${var.cpu})."
  }
}

variable "spot" {
  description = "Runs the service on Fargate Spot, which costs about a third and may stop a task with two minutes' notice. Its jobs go on elsewhere."
  type        = bool
  default     = false
  validation {
    # Nobody would go on with the run of an interrupted task.
    condition     = !(var.spot && var.mode == "scheduled")
    error_message = "spot is true and mode is scheduled: an interrupted task would leave its run unfinished. Give mode service, or spot false."
  }
}

variable "stop_timeout_seconds" {
  description = "Time a task has to stop in. Its shutdown-grace is 15 s less."
  type        = number
  default     = 120
  validation {
    # "Amazon ECS task definition parameters for Fargate", stopTimeout.
    condition     = var.stop_timeout_seconds >= 30 && var.stop_timeout_seconds <= 120
    error_message = "stop_timeout_seconds ${var.stop_timeout_seconds}: give 30 to 120, which is the most that Fargate allows."
  }
}

variable "min_tasks" {
  description = "Fewest workers of the service. With 0 they are started when a trigger comes, some minutes later."
  type        = number
  default     = 1
  validation {
    condition     = var.min_tasks >= 0 && floor(var.min_tasks) == var.min_tasks
    error_message = "min_tasks ${var.min_tasks}: give 0 or more."
  }
}

variable "max_tasks" {
  description = "Most workers of the service."
  type        = number
  default     = 4
  validation {
    condition     = var.max_tasks >= max(1, var.min_tasks) && floor(var.max_tasks) == var.max_tasks
    error_message = "max_tasks ${var.max_tasks}: give 1 or more, and at least min_tasks (${var.min_tasks})."
  }
}

variable "jobs_per_task" {
  description = "Jobs, waiting and in work, for which there should be one worker. A worker has 16 slots for exports and writes."
  type        = number
  default     = 16
  validation {
    condition     = var.jobs_per_task >= 1
    error_message = "jobs_per_task ${var.jobs_per_task}: give 1 or more."
  }
}

variable "autoscaling" {
  description = "Whether the number of workers follows the work. Off, the service begins with min_tasks and keeps what `aws ecs update-service --desired-count` makes of that; emulators of AWS need that."
  type        = bool
  default     = true
  validation {
    condition     = var.autoscaling || var.mode == "scheduled" || var.min_tasks > 0
    error_message = "autoscaling is false and min_tasks is 0: there would never be a worker. Give min_tasks 1 or more."
  }
}

variable "max_receive_count" {
  description = "How often a message is received: one time more than its job is tried, for the last receive gives it up."
  type        = number
  default     = 6
  validation {
    condition     = var.max_receive_count >= 3 && var.max_receive_count <= 1000
    error_message = "max_receive_count ${var.max_receive_count}: give 3 to 1000: with fewer, a worker that stops gives up its trigger."
  }
}

# Network

variable "vpc_id" {
  description = "VPC that the tasks run in."
  type        = string
  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id ${jsonencode(var.vpc_id)}: give the id of a VPC, as in vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = "Subnets that the tasks run in, with a way to AWS: NAT, the endpoints of network.tf, or public addresses."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids ${jsonencode(var.subnet_ids)}: give ids of subnets, as in subnet-0123456789abcdef0."
  }
}

variable "assign_public_ip" {
  description = "Gives tasks public addresses, for public subnets without NAT. Nothing is let in either way."
  type        = bool
  default     = false
}

variable "gateway_endpoint_route_table_ids" {
  description = "Route tables that get gateway endpoints for S3 and DynamoDB, which cost nothing; none where it is empty."
  type        = list(string)
  default     = []
}

variable "interface_endpoints" {
  description = "Makes interface endpoints for the other services, for subnets without NAT: one subnet of each zone at most. They serve the whole VPC, which must have none of them yet. A source in another region needs NAT all the same."
  type        = bool
  default     = false
}

# Logs and alarms

variable "log_retention_days" {
  description = "How long log lines are kept."
  type        = number
  default     = 365
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days ${var.log_retention_days}: CloudWatch has 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 and 3653."
  }
}

variable "container_insights" {
  description = "Whether ECS measures its tasks; the number of running ones is what the autoscaling divides by."
  type        = bool
  default     = true
  validation {
    condition     = var.container_insights || !var.autoscaling || var.mode == "scheduled" || var.min_tasks == 0
    error_message = "container_insights is false and the service scales by the backlog of each task: give autoscaling false, or min_tasks 0."
  }
}

variable "alarm_topic_arn" {
  description = "SNS topic that alarms go to; a new one where it is left out."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Addresses to subscribe to the new topic. Each gets a mail that asks to confirm."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "alarm_emails ${jsonencode(var.alarm_emails)}: give addresses, as in backups@example.com."
  }
}

variable "complete_run_within_hours" {
  description = "An alarm is raised for each source whose last complete run was triggered so long ago: an interval of the schedule, what a run may take (longest_run_hours), and some hours more. A new deployment has the alarm until its first run is complete."
  type        = number
  default     = 36
  validation {
    # "PutMetricAlarm": an alarm with a period of an hour looks back seven days at most.
    condition     = var.complete_run_within_hours >= 2 && var.complete_run_within_hours <= 168 && floor(var.complete_run_within_hours) == var.complete_run_within_hours
    error_message = "complete_run_within_hours ${var.complete_run_within_hours}: give a whole number from 2 to 168, the most that CloudWatch looks back."
  }
  validation {
    condition     = var.complete_run_within_hours > var.longest_run_hours
    error_message = "complete_run_within_hours ${var.complete_run_within_hours} is no more than longest_run_hours ${var.longest_run_hours}: every run would be late. Give more."
  }
}

variable "longest_run_hours" {
  description = "What a run may take. One that takes longer does not end the alarm."
  type        = number
  default     = 8
  validation {
    condition     = var.longest_run_hours >= 1 && floor(var.longest_run_hours) == var.longest_run_hours
    error_message = "longest_run_hours ${var.longest_run_hours}: give a whole number, 1 or more."
  }
}

variable "oldest_message_hours" {
  description = "An alarm is raised when a message is in a queue for this long: workers are missing, or too few."
  type        = number
  default     = 6
  validation {
    condition     = var.oldest_message_hours > 0
    error_message = "oldest_message_hours ${var.oldest_message_hours}: give more than 0."
  }
}

# Restoring

variable "restore_principal_arns" {
  description = "Roles or users of this account that may assume a role with which `restore` writes tables into this account; the role is not made where it is empty."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.restore_principal_arns : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*]+$", arn))])
    error_message = "restore_principal_arns ${jsonencode(var.restore_principal_arns)}: give ARNs of roles or users, without wildcards."
  }
}

variable "tags" {
  description = "Tags for every resource, besides Application and Environment."
  type        = map(string)
  default     = {}
}
