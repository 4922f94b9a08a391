# What is deployed, from one source and the defaults, and with what else can be chosen.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = aws_iam_role.task
  values          = { arn = "arn:aws:iam::222222222222:role/the-task" }
  override_during = plan
}
override_resource {
  target          = aws_sqs_queue.dead_letter["trigger"]
  values          = { arn = "arn:aws:sqs:eu-west-1:222222222222:dead-trigger" }
  override_during = plan
}
override_resource {
  target          = aws_sqs_queue.dead_letter["export"]
  values          = { arn = "arn:aws:sqs:eu-west-1:222222222222:dead-export" }
  override_during = plan
}
override_resource {
  target          = aws_sqs_queue.dead_letter["provision"]
  values          = { arn = "arn:aws:sqs:eu-west-1:222222222222:dead-provision" }
  override_during = plan
}
override_resource {
  target          = aws_sqs_queue.dead_letter["write"]
  values          = { arn = "arn:aws:sqs:eu-west-1:222222222222:dead-write" }
  override_during = plan
}

variables {
  environment = "test"
  sources     = { shop = { account_id = "111111111111", external_id = "a-long-external-id" } }
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-1", "subnet-2"]
  image_tag   = "1"
}

run "the_environment_is_in_every_name" {
  command = plan
  assert {
    condition = alltrue([for name in [
      aws_s3_bucket.backups.bucket, aws_iam_role.task.name, aws_iam_role.execution.name, aws_iam_role.scheduler.name,
      aws_ecs_cluster.backups.name, aws_ecs_task_definition.worker.family, aws_scheduler_schedule.backup.name,
      aws_scheduler_schedule_group.backups.name, aws_sns_topic.alarms[0].name, aws_security_group.worker.name,
      aws_kms_alias.backups[0].name, aws_cloudwatch_dashboard.backups.dashboard_name, aws_ecr_repository.worker[0].name,
      aws_cloudwatch_event_rule.stopped_tasks.name, aws_cloudwatch_log_group.stopped_tasks.name,
    ] : strcontains(name, "dynamodb-backup-test")])
    error_message = "a resource is named without the environment"
  }
  assert {
    condition     = alltrue([for stage, queue in aws_sqs_queue.work : queue.name == "dynamodb-backup-test-${stage}"])
    error_message = "queues must have the names that the program derives"
  }
  assert {
    condition = alltrue([for parameter in concat(values(aws_ssm_parameter.setting), values(aws_ssm_parameter.secret)) :
    startswith(parameter.name, "/dynamodb-backup/test/")])
    error_message = "a parameter is not under the environment's path"
  }
}

run "settings_of_one_source_lie_in_ssm_and_its_external_id_is_a_secret" {
  command = plan
  variables {
    sources = { shop = {
      account_id = "111111111111", external_id = "a-long-external-id", region = "us-east-1",
      include    = ["orders-*", "users"]
    } }
    settings = { lanes = "8" }
  }
  assert {
    condition = { for name, parameter in aws_ssm_parameter.setting : name => nonsensitive(parameter.value) } == {
      "bucket"         = "dynamodb-backup-test-222222222222-eu-west-1"
      "source-name"    = "shop"
      "role-arn"       = "arn:aws:iam::111111111111:role/dynamodb-backup-test-source"
      "source-region"  = "us-east-1"
      "include"        = "orders-*,users"
      "lanes"          = "8"
      "metrics"        = "emf"
      "shutdown-grace" = "105s"
    }
    error_message = "the settings are not these"
  }
  assert {
    condition = ({ for name, parameter in aws_ssm_parameter.secret : name => [parameter.type, nonsensitive(parameter.value), parameter.key_id] } ==
    { "external-id" = ["SecureString", "a-long-external-id", "arn:aws:kms:eu-west-1:222222222222:key/the-key"] })
    error_message = "the external id must be the one SecureString"
  }
}

run "several_sources_are_one_secret_text" {
  command = plan
  variables {
    sources = {
      crm  = { account_id = "333333333333", external_id = "another-external-id", region = "us-east-1", target_prefix = "crm-", exclude = ["*-tmp"] }
      shop = { account_id = "111111111111", external_id = "a-long-external-id", role_name = "path/reader" }
    }
  }
  assert {
    condition     = keys(aws_ssm_parameter.setting) == ["bucket", "metrics", "shutdown-grace"]
    error_message = "settings of one source are given beside several"
  }
  assert {
    condition     = keys(aws_ssm_parameter.secret) == ["sources"]
    error_message = "the sources must be one parameter"
  }
  assert {
    condition = split("\n", nonsensitive(aws_ssm_parameter.secret["sources"].value)) == tolist([
      "[[source]]",
      "name = \"crm\"",
      "role-arn = \"arn:aws:iam::333333333333:role/dynamodb-backup-test-source\"",
      "external-id = \"another-external-id\"",
      "region = \"us-east-1\"",
      "exclude = [\"*-tmp\"]",
      "target-prefix = \"crm-\"",
      "[[source]]",
      "name = \"shop\"",
      "role-arn = \"arn:aws:iam::111111111111:role/path/reader\"",
      "external-id = \"a-long-external-id\"",
    ])
    error_message = "the text is: ${nonsensitive(aws_ssm_parameter.secret["sources"].value)}"
  }
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.no_complete_run) == ["crm", "shop"]
    error_message = "each source needs its own alarm"
  }
}

run "every_queue_has_a_dead_letter_queue_of_its_own" {
  command = plan
  assert {
    condition     = keys(aws_sqs_queue_redrive_policy.work) == ["export", "provision", "trigger", "write"]
    error_message = "a queue has no redrive policy"
  }
  assert {
    condition = alltrue([for stage, policy in aws_sqs_queue_redrive_policy.work :
    jsondecode(policy.redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:eu-west-1:222222222222:dead-${stage}", maxReceiveCount = 6 }])
    error_message = "a queue is redriven elsewhere"
  }
  assert {
    condition     = alltrue([for stage, queue in aws_sqs_queue.dead_letter : queue.message_retention_seconds > aws_sqs_queue.work[stage].message_retention_seconds])
    error_message = "messages must be kept longer in the dead-letter queue"
  }
  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.work), values(aws_sqs_queue.dead_letter)) : queue.kms_master_key_id == aws_kms_key.backups[0].arn])
    error_message = "a queue is not under the key"
  }
}

run "the_bucket_is_private_versioned_encrypted_and_append_only" {
  command = plan
  variables {
    object_lock = { mode = "COMPLIANCE", days = 35 }
  }
  assert {
    condition     = aws_s3_bucket_versioning.backups.versioning_configuration[0].status == "Enabled"
    error_message = "versioning is off"
  }
  assert {
    condition     = aws_s3_bucket_object_lock_configuration.backups[0].rule[0].default_retention[0].mode == "COMPLIANCE" && aws_s3_bucket_object_lock_configuration.backups[0].rule[0].default_retention[0].days == 35
    error_message = "the lock is not as asked for"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.backups.block_public_acls, aws_s3_bucket_public_access_block.backups.block_public_policy,
      aws_s3_bucket_public_access_block.backups.ignore_public_acls, aws_s3_bucket_public_access_block.backups.restrict_public_buckets,
    ])
    error_message = "public access is not blocked"
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.backups.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.backups[0].arn
    error_message = "the bucket is not under the key"
  }
  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.backups.policy).Statement : [statement.Sid, statement.Effect]] == [
      ["TlsOnly", "Deny"], ["TheWorkerDeletesNothing", "Deny"], ["TheWorkerOverwritesNothing", "Deny"],
    ]
    error_message = "the bucket policy says something else"
  }
  assert {
    condition = alltrue([for statement in slice(jsondecode(aws_s3_bucket_policy.backups.policy).Statement, 1, 3) :
    statement.Condition.ArnEquals["aws:PrincipalArn"] == "arn:aws:iam::222222222222:role/the-task"])
    error_message = "the denials are not about the worker"
  }
  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.backups.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "incomplete uploads stay for ever"
  }
  assert {
    condition = (
      length(aws_s3_bucket_lifecycle_configuration.backups.rule[0].transition) == 0 &&
      aws_s3_bucket_lifecycle_configuration.backups.rule[1].filter[0].object_size_greater_than == 4194304
    )
    error_message = "reports become cold, and no list can be made of the runs"
  }
}

run "the_key_of_copies_may_be_used_by_dynamodb_for_the_worker" {
  command = plan
  variables {
    settings = { copy-kms-key = "arn:aws:kms:eu-west-1:222222222222:key/of-copies" }
  }
  assert {
    condition = one([for statement in jsondecode(aws_iam_role_policy.task.policy).Statement :
    [statement.Resource, statement.Condition.StringEquals["kms:ViaService"]] if try(statement.Sid, "") == "KeyOfCopies"]) == ["arn:aws:kms:eu-west-1:222222222222:key/of-copies", "dynamodb.eu-west-1.amazonaws.com"]
    error_message = "no copy can be created under its key"
  }
}

run "nothing_is_locked_unless_it_is_asked_for_and_aws_keys_will_do" {
  command = plan
  variables {
    encryption = "SSE-S3"
  }
  assert {
    condition     = length(aws_s3_bucket_object_lock_configuration.backups) == 0 && length(aws_kms_key.backups) == 0
    error_message = "a lock or a key that nobody asked for"
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.backups.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "the bucket is not encrypted"
  }
  assert {
    condition     = alltrue([for queue in values(aws_sqs_queue.work) : queue.sqs_managed_sse_enabled])
    error_message = "a queue is not encrypted"
  }
}

run "the_worker_deletes_nothing_and_no_policy_is_wider_than_it_must_be" {
  command = plan
  variables {
    restore_principal_arns = ["arn:aws:iam::222222222222:role/admin"]
  }
  assert {
    condition = length([for action in flatten(jsondecode(aws_iam_role_policy.task.policy).Statement[*].Action) : action
    if strcontains(action, "Delete") && action != "sqs:DeleteMessage"]) == 0
    error_message = "the worker may delete"
  }
  assert {
    condition = alltrue([for action in flatten([for policy in [
      aws_iam_role_policy.task, aws_iam_role_policy.doctor, aws_iam_role_policy.execution, aws_iam_role_policy.scheduler,
      aws_iam_role_policy.restore[0],
    ] : jsondecode(policy.policy).Statement[*].Action]) : !strcontains(action, "*")])
    error_message = "an action is a pattern"
  }
  assert {
    # ecr:GetAuthorizationToken has no resource.
    condition = flatten([for policy in [
      aws_iam_role_policy.task, aws_iam_role_policy.doctor, aws_iam_role_policy.execution, aws_iam_role_policy.scheduler,
      aws_iam_role_policy.restore[0],
    ] : [for statement in jsondecode(policy.policy).Statement : statement.Action if contains(flatten([statement.Resource]), "*")]]) == ["ecr:GetAuthorizationToken"]
    error_message = "a statement is about every resource"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.task.policy).Statement[0].Resource == ["arn:aws:iam::111111111111:role/dynamodb-backup-test-source"]
    error_message = "the worker may assume another role than the source's"
  }
  assert {
    condition = alltrue([for role in [aws_iam_role.task, aws_iam_role.execution, aws_iam_role.scheduler] :
    jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "222222222222"])
    error_message = "a role trusts a service on behalf of every account"
  }
}

run "what_eventbridge_scheduler_takes_is_a_schedule" {
  command = plan
  assert {
    # Most of these are examples of AWS's ("Schedule types in EventBridge Scheduler").
    condition = alltrue([for expression in [
      "cron(0 2 * * ? *)", "cron(15 10 ? * 6L 2022-2023)", "cron(15 12 * * ? *)", "cron(0 18 ? * MON-FRI *)",
      "cron(0 8 1 * ? *)", "cron(0/15 * * * ? *)", "cron(0/10 * ? * MON-FRI *)", "cron(0/5 8-17 ? * MON-FRI *)",
      "cron(5,35 14 * * ? *)", "cron(0 0 3W * ? *)", "cron(0 0 L * ? *)", "cron(0 0 ? JAN,jul 3#2 *)",
    ] : can(regex(local.cron, expression))])
    error_message = "a schedule is refused that is one"
  }
}

run "nobody_restores_unless_named" {
  command = plan
  assert {
    condition     = length(aws_iam_role.restore) == 0
    error_message = "there is a restore role for nobody"
  }
}

run "the_task_is_confined_and_has_time_to_stop" {
  command = plan
  assert {
    condition = alltrue([for container in jsondecode(aws_ecs_task_definition.worker.container_definitions) :
      container.readonlyRootFilesystem && container.user == "65532:65532" && container.linuxParameters.capabilities.drop == ["ALL"] &&
    container.stopTimeout == 120 && container.healthCheck.command == ["CMD", "/dynamodb-backup", "--version"]])
    error_message = "the container is not confined"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].command == ["worker"]
    error_message = "the service does not work"
  }
  assert {
    condition     = { for pair in jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].environment : pair.name => pair.value } == { AWS_REGION = "eu-west-1", BACKUP_ENVIRONMENT = "test" }
    error_message = "the program's environment is another"
  }
  assert {
    condition     = tonumber(trimsuffix(nonsensitive(aws_ssm_parameter.setting["shutdown-grace"].value), "s")) < jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].stopTimeout
    error_message = "the program is killed before it is done"
  }
}

run "the_service_scales_by_the_jobs_per_task" {
  command = plan
  variables {
    spot = true
  }
  assert {
    condition     = one(aws_ecs_service.worker[0].capacity_provider_strategy).capacity_provider == "FARGATE_SPOT"
    error_message = "spot was asked for"
  }
  assert {
    condition     = aws_appautoscaling_policy.jobs_per_task[0].target_tracking_scaling_policy_configuration[0].target_value == 16 && length(aws_appautoscaling_policy.work) == 0
    error_message = "the service does not scale by target tracking"
  }
  assert {
    # CloudWatch takes ten metrics at most.
    condition     = length(aws_appautoscaling_policy.jobs_per_task[0].target_tracking_scaling_policy_configuration[0].customized_metric_specification[0].metrics) == 10
    error_message = "four queues twice, the tasks, and the expression"
  }
  assert {
    condition     = aws_scheduler_schedule.backup.target[0].input == "{}" && jsondecode(aws_iam_role_policy.scheduler.policy).Statement[0].Action == ["sqs:SendMessage"]
    error_message = "the schedule does not send a trigger"
  }
}

run "a_service_that_may_be_empty_scales_by_steps" {
  command = plan
  variables {
    min_tasks = 0
    max_tasks = 3
  }
  assert {
    condition = [for step in aws_appautoscaling_policy.work[0].step_scaling_policy_configuration[0].step_adjustment :
      "${step.scaling_adjustment} from ${step.metric_interval_lower_bound} to ${coalesce(step.metric_interval_upper_bound, "any")}"] == [
      "1 from 0 to 16", "2 from 16 to 32", "3 from 32 to any",
    ]
    error_message = "the steps are ${jsonencode(aws_appautoscaling_policy.work[0].step_scaling_policy_configuration[0].step_adjustment)}"
  }
  assert {
    condition     = one(aws_appautoscaling_policy.nothing[0].step_scaling_policy_configuration[0].step_adjustment).scaling_adjustment == 0 && aws_cloudwatch_metric_alarm.work["nothing"].treat_missing_data == "breaching"
    error_message = "it never becomes empty"
  }
  assert {
    condition     = length(aws_appautoscaling_policy.jobs_per_task) == 0
    error_message = "by no task nothing can be divided"
  }
}

run "a_service_of_many_tasks_has_no_more_steps_than_an_alarm_takes" {
  command = plan
  variables {
    min_tasks = 0
    max_tasks = 50
  }
  assert {
    condition     = length(aws_appautoscaling_policy.work[0].step_scaling_policy_configuration[0].step_adjustment) == 20 && max([for step in aws_appautoscaling_policy.work[0].step_scaling_policy_configuration[0].step_adjustment : step.scaling_adjustment]...) == 50
    error_message = "more than 20 steps, or not up to the most tasks"
  }
}

run "scheduled_mode_runs_one_task_and_has_no_service" {
  command = plan
  variables {
    mode = "scheduled"
  }
  assert {
    condition     = length(aws_ecs_service.worker) == 0 && length(aws_appautoscaling_target.worker) == 0
    error_message = "there is a service"
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.worker.container_definitions)[0].command == ["run"] && aws_scheduler_schedule.backup.target[0].ecs_parameters[0].task_definition_arn == aws_ecs_task_definition.worker.arn
    error_message = "the schedule does not start a run"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.scheduler.policy).Statement[1].Condition.StringEquals["iam:PassedToService"] == "ecs-tasks.amazonaws.com"
    error_message = "the scheduler may pass the roles to other services"
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.crash_loop.threshold == 1
    error_message = "a single failed run must raise the alarm"
  }
}

run "alarms_are_raised_when_something_is_wrong_or_nothing_is_heard" {
  command = plan
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.no_complete_run["shop"].treat_missing_data == "breaching" &&
      aws_cloudwatch_metric_alarm.no_complete_run["shop"].evaluation_periods == 28 &&
      aws_cloudwatch_metric_alarm.no_complete_run["shop"].datapoints_to_alarm == 28 &&
      aws_cloudwatch_metric_alarm.no_complete_run["shop"].threshold == 8 * 3600 &&
      aws_cloudwatch_metric_alarm.no_complete_run["shop"].dimensions == tomap({ Environment = "test", Source = "shop" })
    )
    error_message = "nobody is told that there is no backup"
  }
  assert {
    condition = (
      keys(aws_cloudwatch_metric_alarm.dead_letters) == keys(aws_sqs_queue.dead_letter) && keys(aws_cloudwatch_metric_alarm.oldest_message) == keys(aws_sqs_queue.work) &&
      alltrue([for stage, alarm in aws_cloudwatch_metric_alarm.dead_letters : alarm.dimensions.QueueName == "dynamodb-backup-test-${stage}-dlq" && alarm.threshold == 0])
    )
    error_message = "a queue has no alarms"
  }
  assert {
    condition = alltrue([for alarm in concat(
      values(aws_cloudwatch_metric_alarm.no_complete_run), values(aws_cloudwatch_metric_alarm.dead_letters),
      values(aws_cloudwatch_metric_alarm.oldest_message), [aws_cloudwatch_metric_alarm.crash_loop],
      aws_cloudwatch_metric_alarm.too_few_tasks,
    ) : alarm.alarm_actions == toset([aws_sns_topic.alarms[0].arn])])
    error_message = "an alarm goes nowhere"
  }
}

run "a_native_export_needs_to_be_asked_for_and_is_let_in_by_role" {
  command = plan
  variables {
    sources = { shop = { account_id = "111111111111", external_id = "a-long-external-id", native_export = true } }
  }
  assert {
    condition = (
      jsondecode(aws_s3_bucket_policy.backups.policy).Statement[3].Condition.ArnEquals["aws:PrincipalArn"] == ["arn:aws:iam::111111111111:role/dynamodb-backup-test-source"] &&
      jsondecode(aws_s3_bucket_policy.backups.policy).Statement[3].Resource == "arn:aws:s3:::the-bucket/native-exports/*"
    )
    error_message = "more than the source's role may write, or elsewhere"
  }
  assert {
    condition = (
      jsondecode(aws_kms_key.backups[0].policy).Statement[3].Condition.ArnEquals["aws:PrincipalArn"] == ["arn:aws:iam::111111111111:role/dynamodb-backup-test-source"] &&
      jsondecode(aws_kms_key.backups[0].policy).Statement[3].Principal.AWS == ["arn:aws:iam::111111111111:root"]
    )
    error_message = "more than the source's role may use the key"
  }
}

run "an_image_from_elsewhere_needs_no_repository" {
  command = plan
  variables {
    image     = "333333333333.dkr.ecr.us-east-1.amazonaws.com/tools/backup@sha256:00"
    image_tag = null
  }
  assert {
    condition     = length(aws_ecr_repository.worker) == 0 && jsondecode(aws_iam_role_policy.execution.policy).Statement[1].Resource == "arn:aws:ecr:us-east-1:333333333333:repository/tools/backup"
    error_message = "the image is not pulled from where it is"
  }
}

run "endpoints_are_made_where_they_are_asked_for" {
  command = plan
  variables {
    interface_endpoints              = true
    gateway_endpoint_route_table_ids = ["rtb-1"]
  }
  assert {
    condition     = keys(aws_vpc_endpoint.gateway) == ["dynamodb", "s3"] && keys(aws_vpc_endpoint.interface) == ["application-autoscaling", "ecr.api", "ecr.dkr", "logs", "sqs", "ssm", "sts"]
    error_message = "an endpoint is missing"
  }
  assert {
    # With private DNS the whole VPC comes here.
    condition     = one(aws_security_group.endpoints[0].ingress).cidr_blocks == tolist(["10.0.0.0/16"])
    error_message = "others in the VPC are cut off from the services"
  }
}
