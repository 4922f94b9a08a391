# When backups begin. In service mode a trigger is sent to its queue, in scheduled mode a task is started.

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
