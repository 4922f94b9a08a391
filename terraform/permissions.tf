# What the worker may do: the calls that it makes, and no other. It cannot delete an object or a table.
# `tests/deployment.rs` compares these actions with those of the README.

resource "aws_iam_role_policy" "task" {
  name = "backup"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Sources"
        Effect   = "Allow"
        Action   = ["sts:AssumeRole"]
        Resource = values(local.source_role_arns)
      },
      {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = aws_s3_bucket.backups.arn
      },
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "${aws_s3_bucket.backups.arn}/*"
      },
      {
        # BatchWriteItem puts and deletes items; IAM does not tell the two apart. UpdateTable adds indexes that a copy
        # lacks. The continuous backups are for copy-recovery-days.
        Sid    = "Copies"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchWriteItem", "dynamodb:CreateTable", "dynamodb:DescribeContinuousBackups",
          "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive", "dynamodb:ListTagsOfResource", "dynamodb:Scan",
          "dynamodb:TagResource", "dynamodb:UpdateContinuousBackups", "dynamodb:UpdateTable",
        ]
        Resource = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/*"
      },
      {
        Sid    = "Queues"
        Effect = "Allow"
        Action = [
          "sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl",
          "sqs:ReceiveMessage", "sqs:SendMessage",
        ]
        Resource = concat(
          [for stage in local.stages : aws_sqs_queue.work[stage].arn],
          [for stage in local.stages : aws_sqs_queue.dead_letter[stage].arn],
        )
      },
      {
        Sid    = "Settings"
        Effect = "Allow"
        Action = ["ssm:GetParametersByPath"]
        Resource = [
          "arn:${local.partition}:ssm:${local.region}:${local.account_id}:parameter${local.parameter_path}",
          "arn:${local.partition}:ssm:${local.region}:${local.account_id}:parameter${local.parameter_path}/*",
        ]
      },
      ], var.encryption == "SSE-S3" ? [] : [
      {
        # Not called by the worker, but for it, by S3, SQS and SSM.
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = local.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = [for it in ["s3", "sqs", "ssm"] : "${it}.${local.region}.amazonaws.com"] } }
      },
      ], !startswith(lookup(var.settings, "copy-kms-key", ""), "arn:") ? [] : [
      {
        # For DynamoDB, which encrypts with it ("DynamoDB encryption at rest usage notes"). The key's own policy has to
        # admit the task role as well.
        Sid    = "KeyOfCopies"
        Effect = "Allow"
        Action = [
          "kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*",
        ]
        Resource  = var.settings["copy-kms-key"]
        Condition = { StringEquals = { "kms:ViaService" = "dynamodb.${local.region}.amazonaws.com" } }
      },
    ])
  })
}
