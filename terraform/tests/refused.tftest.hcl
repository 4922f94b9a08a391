# What is refused in the plan, before anything is made.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  environment = "test"
  sources     = { shop = { account_id = "111111111111", external_id = "a-long-external-id" } }
  vpc_id      = "vpc-1"
  subnet_ids  = ["subnet-1"]
  image_tag   = "1"
}

run "an_environment_with_capitals" {
  command         = plan
  expect_failures = [var.environment]
  variables { environment = "Prod" }
}

run "an_environment_too_long_for_the_bucket" {
  command         = plan
  expect_failures = [var.environment]
  variables { environment = "production-europe" }
}

run "no_environment" {
  command         = plan
  expect_failures = [var.environment]
  variables { environment = "" }
}

run "no_source" {
  command         = plan
  expect_failures = [var.sources]
  variables { sources = {} }
}

run "a_source_that_is_the_backup_account" {
  command         = plan
  expect_failures = [aws_iam_role.task]
  variables { sources = { shop = { account_id = "222222222222", external_id = "a-long-external-id" } } }
}

run "an_account_that_is_none" {
  command         = plan
  expect_failures = [var.sources]
  variables { sources = { shop = { account_id = "1111", external_id = "a-long-external-id" } } }
}

run "an_external_id_that_is_short" {
  command         = plan
  expect_failures = [var.sources]
  variables { sources = { shop = { account_id = "111111111111", external_id = "short" } } }
}

run "an_external_id_that_sts_does_not_take" {
  command         = plan
  expect_failures = [var.sources]
  variables { sources = { shop = { account_id = "111111111111", external_id = "a long external id" } } }
}

run "a_source_named_as_the_program_does_not_take_it" {
  command         = plan
  expect_failures = [var.sources]
  variables { sources = { Shop = { account_id = "111111111111", external_id = "a-long-external-id" } } }
}

run "two_sources_that_are_one" {
  command         = plan
  expect_failures = [var.sources]
  variables {
    sources = {
      one = { account_id = "111111111111", external_id = "a-long-external-id" }
      two = { account_id = "111111111111", external_id = "a-long-external-id" }
    }
  }
}

run "a_region_that_is_none" {
  command         = plan
  expect_failures = [var.sources]
  variables { sources = { shop = { account_id = "111111111111", external_id = "a-long-external-id", region = "Frankfurt" } } }
}

run "a_cron_with_five_fields" {
  command         = plan
  expect_failures = [var.schedule_expression]
  variables { schedule_expression = "cron(0 2 * * *)" }
}

run "a_cron_with_both_days" {
  command         = plan
  expect_failures = [var.schedule_expression]
  variables { schedule_expression = "cron(0 2 * * * *)" }
}

run "a_schedule_without_cron" {
  command         = plan
  expect_failures = [var.schedule_expression]
  variables { schedule_expression = "0 2 * * ? *" }
}

run "a_cron_of_hours_that_no_day_has" {
  command         = plan
  expect_failures = [var.schedule_expression]
  variables { schedule_expression = "cron(0 24 * * ? *)" }
}

run "a_cron_of_words" {
  command         = plan
  expect_failures = [var.schedule_expression]
  variables { schedule_expression = "cron(every night at two ? please)" }
}

run "a_rate_of_nothing" {
  command         = plan
  expect_failures = [var.schedule_expression]
  variables { schedule_expression = "rate(0 days)" }
}

run "a_setting_that_nothing_reads" {
  command         = plan
  expect_failures = [var.settings]
  variables { settings = { lanse = "4" } }
}

run "a_setting_that_another_variable_sets" {
  command         = plan
  expect_failures = [var.settings]
  variables { settings = { bucket = "mine" } }
}

run "a_lock_of_no_mode" {
  command         = plan
  expect_failures = [var.object_lock]
  variables { object_lock = { mode = "SOFT", days = 1 } }
}

run "a_lock_longer_than_the_backups_are_kept" {
  command         = plan
  expect_failures = [aws_s3_bucket_lifecycle_configuration.backups]
  variables {
    object_lock       = { mode = "GOVERNANCE", days = 365 }
    expire_after_days = 90
  }
}

run "an_expiry_before_the_transition" {
  command         = plan
  expect_failures = [var.expire_after_days]
  variables { expire_after_days = 14 }
}

run "an_encryption_that_is_none" {
  command         = plan
  expect_failures = [var.encryption]
  variables { encryption = "none" }
}

run "a_key_that_would_not_be_used" {
  command         = plan
  expect_failures = [var.kms_key_arn]
  variables {
    encryption  = "SSE-S3"
    kms_key_arn = "arn:aws:kms:eu-west-1:222222222222:key/1"
  }
}

run "no_image" {
  command         = plan
  expect_failures = [var.image_tag]
  variables { image_tag = null }
}

run "a_stop_timeout_that_fargate_does_not_allow" {
  command         = plan
  expect_failures = [var.stop_timeout_seconds]
  variables { stop_timeout_seconds = 300 }
}

run "a_memory_that_fargate_does_not_have" {
  command         = plan
  expect_failures = [var.memory]
  variables { memory = 16384 }
}

run "a_spot_task_that_nobody_would_go_on_with" {
  command         = plan
  expect_failures = [var.spot]
  variables {
    mode = "scheduled"
    spot = true
  }
}

run "a_mode_that_is_none" {
  command         = plan
  expect_failures = [var.mode]
  variables { mode = "lambda" }
}

run "more_tasks_than_the_most" {
  command         = plan
  expect_failures = [var.max_tasks]
  variables { min_tasks = 5 }
}

run "no_task_for_ever" {
  command         = plan
  expect_failures = [var.autoscaling]
  variables {
    min_tasks   = 0
    autoscaling = false
  }
}

run "one_receive" {
  command         = plan
  expect_failures = [var.max_receive_count]
  variables { max_receive_count = 1 }
}

run "an_alarm_that_looks_further_back_than_cloudwatch" {
  command         = plan
  expect_failures = [var.complete_run_within_hours]
  variables { complete_run_within_hours = 200 }
}

run "an_alarm_that_every_run_would_raise" {
  command         = plan
  expect_failures = [var.complete_run_within_hours]
  variables { complete_run_within_hours = 8 }
}

run "anybody_who_restores" {
  command         = plan
  expect_failures = [var.restore_principal_arns]
  variables { restore_principal_arns = ["arn:aws:iam::222222222222:role/*"] }
}

run "no_network" {
  command         = plan
  expect_failures = [var.subnet_ids, var.vpc_id]
  variables {
    vpc_id     = "default"
    subnet_ids = []
  }
}
