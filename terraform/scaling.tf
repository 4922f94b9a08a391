# As many workers as there is work for. Work is what waits in the four queues and what is in flight: the lanes keep
# most of a table's jobs out of the queues until it is their turn, so by what waits alone a busy worker looks idle.
#
# With min_tasks of 1 or more, target tracking keeps the jobs per running task at jobs_per_task ("Create a target
# tracking scaling policy for Application Auto Scaling using metric math"). With 0 there may be no task to divide
# by, and steps of the work as a whole say how many there should be. SQS reports nothing about a queue that was idle
# for six hours, and takes up to 15 minutes to begin again ("Monitoring Amazon SQS queues using CloudWatch"), so the
# first task may come as late.

locals {
  scaled   = var.mode == "service" && var.autoscaling
  tracking = local.scaled && var.min_tasks > 0
  stepping = local.scaled && var.min_tasks == 0

  # m1 … m8: visible and in flight, of each queue.
  work_metrics = { for number, pair in setproduct(sort(local.stages), ["ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible"]) :
    "m${number + 1}" => { queue = "${local.name}-${pair[0]}", metric = pair[1] }
  }
  work = join(" + ", [for id in keys(local.work_metrics) : "FILL(${id}, 0)"])

  # An alarm takes at most 20 steps; with more tasks than that a step is more than one.
  steps      = min(var.max_tasks, 20)
  step_tasks = [for number in range(1, local.steps + 1) : ceil(number * var.max_tasks / local.steps)]
}

resource "aws_appautoscaling_target" "worker" {
  count = local.scaled ? 1 : 0

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.backups.name}/${aws_ecs_service.worker[0].name}"
  min_capacity       = var.min_tasks
  max_capacity       = var.max_tasks
  tags               = local.tags
}

resource "aws_appautoscaling_policy" "jobs_per_task" {
  count = local.tracking ? 1 : 0

  name               = "${local.name}-jobs-per-task"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.worker[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.worker[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.worker[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value = var.jobs_per_task
    # A task that is stopped gives its jobs back, and they begin their page again: not too often.
    scale_in_cooldown  = 600
    scale_out_cooldown = 60

    customized_metric_specification {
      dynamic "metrics" {
        for_each = local.work_metrics
        content {
          id          = metrics.key
          return_data = false
          metric_stat {
            stat = "Average"
            metric {
              namespace   = "AWS/SQS"
              metric_name = metrics.value.metric
              dimensions {
                name  = "QueueName"
                value = metrics.value.queue
              }
            }
          }
        }
      }
      metrics {
        id          = "running"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"
            dimensions {
              name  = "ClusterName"
              value = aws_ecs_cluster.backups.name
            }
            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.worker[0].name
            }
          }
        }
      }
      metrics {
        id          = "jobs_per_task"
        expression  = "(${local.work}) / IF(FILL(running, 1) > 0, FILL(running, 1), 1)"
        return_data = true
      }
    }
  }
}

resource "aws_appautoscaling_policy" "work" {
  count = local.stepping ? 1 : 0

  name               = "${local.name}-work"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.worker[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.worker[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.worker[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Average"
    cooldown                = 120

    # Bounds count from the alarm's threshold, one job.
    dynamic "step_adjustment" {
      for_each = local.step_tasks
      content {
        scaling_adjustment          = step_adjustment.value
        metric_interval_lower_bound = step_adjustment.key == 0 ? 0 : local.step_tasks[step_adjustment.key - 1] * var.jobs_per_task
        metric_interval_upper_bound = step_adjustment.value == var.max_tasks ? null : step_adjustment.value * var.jobs_per_task
      }
    }
  }
}

resource "aws_appautoscaling_policy" "nothing" {
  count = local.stepping ? 1 : 0

  name               = "${local.name}-nothing"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.worker[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.worker[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.worker[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ExactCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = 300
    step_adjustment {
      scaling_adjustment          = 0
      metric_interval_upper_bound = 0
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "work" {
  for_each = local.stepping ? {
    work    = { comparison = "GreaterThanOrEqualToThreshold", minutes = 1, policy = aws_appautoscaling_policy.work[0].arn }
    nothing = { comparison = "LessThanThreshold", minutes = 15, policy = aws_appautoscaling_policy.nothing[0].arn }
  } : {}

  alarm_name          = "${local.name}-scaling-${each.key}"
  alarm_description   = "Scales the workers; no cause for alarm."
  comparison_operator = each.value.comparison
  threshold           = 1
  evaluation_periods  = each.value.minutes
  # Of a queue that was idle for six hours there are no data.
  treat_missing_data = each.key == "work" ? "notBreaching" : "breaching"
  alarm_actions      = [each.value.policy]
  tags               = local.tags

  metric_query {
    id          = "work"
    label       = "jobs"
    expression  = local.work
    return_data = true
  }
  dynamic "metric_query" {
    for_each = local.work_metrics
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value.metric
        dimensions  = { QueueName = metric_query.value.queue }
        period      = 60
        stat        = "Maximum"
      }
    }
  }
}
