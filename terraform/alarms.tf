# What somebody should look at. README.md, "When something is wrong", says what to do.

locals {
  alarm_topic_arn = var.alarm_topic_arn == null ? aws_sns_topic.alarms[0].arn : var.alarm_topic_arn
}

resource "aws_sns_topic" "alarms" {
  count = var.alarm_topic_arn == null ? 1 : 0

  name              = "${local.name}-alarms"
  kms_master_key_id = local.kms_key_arn
  tags              = local.tags
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = var.alarm_topic_arn == null ? toset(var.alarm_emails) : []

  topic_arn = local.alarm_topic_arn
  protocol  = "email"
  endpoint  = each.key
}

# The age of the last complete run, counted from its trigger, is reported every minute while workers run; where none
# do most of the time, only around a run. So an hour is well in which it was below what a run may take; the hours after
# that, in a row, which were not or in which nothing was reported, say the one thing that matters, whether the schedule,
# the workers or the source is at fault.
resource "aws_cloudwatch_metric_alarm" "no_complete_run" {
  for_each = var.sources

  alarm_name          = "${local.name}-no-complete-run-${each.key}"
  alarm_description   = "The last complete run of source ${each.key} was triggered ${var.complete_run_within_hours} hours ago. `dynamodb-backup list` and `status` show the last ones."
  namespace           = "DynamodbBackup"
  metric_name         = "AgeOfLastCompleteRun"
  dimensions          = { Environment = var.environment, Source = each.key }
  statistic           = "Minimum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.longest_run_hours * 3600
  period              = 3600
  evaluation_periods  = var.complete_run_within_hours - var.longest_run_hours
  datapoints_to_alarm = var.complete_run_within_hours - var.longest_run_hours
  treat_missing_data  = "breaching"
  alarm_actions       = [local.alarm_topic_arn]
  ok_actions          = [local.alarm_topic_arn]
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.stages

  alarm_name          = "${local.name}-dead-letters-${each.key}"
  alarm_description   = "Messages are in ${local.name}-${each.key}-dlq. Their attribute `reason` says why; those without it killed their workers."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letter[each.key].name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.alarm_topic_arn]
  ok_actions          = [local.alarm_topic_arn]
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "oldest_message" {
  for_each = local.stages

  alarm_name          = "${local.name}-oldest-message-${each.key}"
  alarm_description   = "A message is in ${local.name}-${each.key} for more than ${var.oldest_message_hours} hours: workers are missing, or too few."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.work[each.key].name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.oldest_message_hours * 3600
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.alarm_topic_arn]
  ok_actions          = [local.alarm_topic_arn]
  tags                = local.tags
}

# Tasks that ended with another exit code than 0, or never started. ECS has no metric for them, but an event
# ("Amazon ECS task state change events"), and EventBridge counts what its rule has passed on. The log keeps why.
resource "aws_cloudwatch_event_rule" "stopped_tasks" {
  name        = "${local.name}-stopped-tasks"
  description = "Tasks of ${local.name} that ended badly"
  tags        = local.tags
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [aws_ecs_cluster.backups.arn]
      lastStatus = ["STOPPED"]
      "$or" = [
        { containers = { exitCode = [{ anything-but = [0] }] } },
        { stopCode = ["TaskFailedToStart"] },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "stopped_tasks" {
  rule = aws_cloudwatch_event_rule.stopped_tasks.name
  arn  = aws_cloudwatch_log_group.stopped_tasks.arn
}

# Tasks that do not start are tried again at growing intervals, of 27 minutes in the end ("Amazon ECS service throttle
# logic"): by the quarter of an hour they would look well again.
resource "aws_cloudwatch_metric_alarm" "crash_loop" {
  alarm_name = "${local.name}-crash-loop"
  alarm_description = join(" ", [
    var.mode == "service" ? "Two tasks ended badly within an hour." : "A backup task ended badly, or its run is not complete.",
    "The log group ${aws_cloudwatch_log_group.stopped_tasks.name} says with which exit code and why.",
  ])
  namespace           = "AWS/Events"
  metric_name         = "Invocations"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.stopped_tasks.name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.mode == "service" ? 2 : 1
  period              = 3600
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [local.alarm_topic_arn]
  ok_actions          = [local.alarm_topic_arn]
  tags                = local.tags
}

# Where there should always be workers, and are not: an image that is gone, a role that was changed, no capacity.
resource "aws_cloudwatch_metric_alarm" "too_few_tasks" {
  count = var.mode == "service" && var.min_tasks > 0 && var.container_insights ? 1 : 0

  alarm_name          = "${local.name}-too-few-tasks"
  alarm_description   = "Fewer than ${var.min_tasks} workers have been running for 15 minutes. The events of the service say why."
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = aws_ecs_cluster.backups.name, ServiceName = aws_ecs_service.worker[0].name }
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = var.min_tasks
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [local.alarm_topic_arn]
  ok_actions          = [local.alarm_topic_arn]
  tags                = local.tags
}
