# Who may become what: the task (permissions.tf says what it may do), ECS itself, and the scheduler.

locals {
  # "Cross-service confused deputy prevention" of ECS: only tasks of this account and region.
  ecs_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${local.region}:${local.account_id}:*" }
      }
    }]
  })
}

# The source accounts trust this role. Deleted and made again it is another one to them, whatever its name.
resource "aws_iam_role" "task" {
  name               = "${local.name}-task"
  description        = "The worker of ${local.name}"
  assume_role_policy = local.ecs_tasks
  tags               = local.tags

  lifecycle {
    precondition {
      condition     = !contains([for source in values(var.sources) : source.account_id], local.account_id)
      error_message = "The credentials are those of account ${local.account_id}, which is also one of the sources: a backup beside its source is lost with it. Use those of the backup account."
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  description        = "Starts the tasks of ${local.name}: pulls the image and writes the log"
  assume_role_policy = local.ecs_tasks
  tags               = local.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.worker.arn}:*"
      },
      ], local.repository_arn == null ? [] : [
      {
        Sid      = "Image"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = local.repository_arn
      },
      {
        # Has no resource ("Actions, resources, and condition keys for Amazon ECR").
        Sid      = "Registry"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*"
      },
    ])
  })
}

resource "aws_iam_role" "scheduler" {
  name        = "${local.name}-scheduler"
  description = "Starts the backups of ${local.name}"
  tags        = local.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account_id
        "aws:SourceArn"     = aws_scheduler_schedule_group.backups.arn
      } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "begin"
  role = aws_iam_role.scheduler.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = { service = concat([
      {
        Sid      = "Trigger"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = aws_sqs_queue.work["trigger"].arn
      },
      ], var.encryption == "SSE-S3" ? [] : [
      {
        # "Encryption at rest in EventBridge Scheduler": to send to an encrypted queue.
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = local.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = ["sqs.${local.region}.amazonaws.com"] } }
      },
      ]), scheduled = [
      {
        Sid       = "Task"
        Effect    = "Allow"
        Action    = ["ecs:RunTask"]
        Resource  = "${aws_ecs_task_definition.worker.arn_without_revision}:*"
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.backups.arn } }
      },
      {
        Sid       = "RolesOfTheTask"
        Effect    = "Allow"
        Action    = ["iam:PassRole"]
        Resource  = [aws_iam_role.task.arn, aws_iam_role.execution.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
    ] }[var.mode]
  })
}
