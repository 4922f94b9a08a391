# When backups begin. In service mode a trigger is sent to its queue, in scheduled mode a task is started.

locals {
  # What each field of cron() counts ("Schedule types in EventBridge Scheduler"), and the patterns made of it.
  cron_counts = {
    minute  = "[0-5]?[0-9]"
    hour    = "[01]?[0-9]|2[0-3]"
    day     = "0?[1-9]|[12][0-9]|3[01]"
    month   = "0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
    weekday = "[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT"
    year    = "19[7-9][0-9]|2[01][0-9][0-9]"
  }
  # Such as *, 5, 5-10, */15, and lists of these.
  cron_part  = { for name, counts in local.cron_counts : name => "(\\*|(${counts})(-(${counts}))?)(/[0-9]+)?" }
  cron_field = { for name, part in local.cron_part : name => "${part}(,${part})*" }
  # The last day or the weekday nearest to one; the last or the third Friday of a month. One of the two is "?".
  cron_days = join("|", [
    "(${local.cron_field.day}|LW?|(${local.cron_counts.day})W) ${local.cron_field.month} \\?",
    "\\? ${local.cron_field.month} (${local.cron_field.weekday}|(${local.cron_counts.weekday})?L|(${local.cron_counts.weekday})#[1-5])",
  ])
  cron = "^(?i)cron\\(${local.cron_field.minute} ${local.cron_field.hour} (${local.cron_days}) ${local.cron_field.year}\\)$"
}

resource "aws_scheduler_schedule_group" "backups" {
  name = local.name
  tags = local.tags
}

resource "aws_scheduler_schedule" "backup" {
  #checkov:skip=CKV_AWS_297:what it says is "{}"
  name                         = local.name
  group_name                   = aws_scheduler_schedule_group.backups.name
  description                  = "Begins a backup of every source"
  state                        = var.schedule_enabled ? "ENABLED" : "DISABLED"
  schedule_expression          = var.schedule_expression
  schedule_expression_timezone = var.schedule_timezone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = var.mode == "service" ? aws_sqs_queue.work["trigger"].arn : aws_ecs_cluster.backups.arn
    role_arn = aws_iam_role.scheduler.arn
    # The trigger "{}" backs up every source. A task needs no input: its command is `run`.
    input = var.mode == "service" ? "{}" : null

    # What comes an hour late would run into the next day.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 60
    }

    dynamic "ecs_parameters" {
      for_each = var.mode == "scheduled" ? [true] : []
      content {
        task_definition_arn = aws_ecs_task_definition.worker.arn
        launch_type         = "FARGATE"
        network_configuration {
          subnets          = var.subnet_ids
          security_groups  = [aws_security_group.worker.id]
          assign_public_ip = var.assign_public_ip
        }
      }
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}
