# The workers' log lines and metrics, and a record of every task that ended badly.

resource "aws_cloudwatch_log_group" "worker" {
  name              = "/dynamodb-backup/${var.environment}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}

resource "aws_cloudwatch_log_group" "stopped_tasks" {
  name              = "/aws/events/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}

# "Amazon CloudWatch Logs permissions" of EventBridge.
resource "aws_cloudwatch_log_resource_policy" "stopped_tasks" {
  policy_name = "${local.name}-stopped-tasks"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
      Action    = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.stopped_tasks.arn}:*"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}
