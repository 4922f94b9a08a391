# Four queues, each with a dead-letter queue, under the names that the program derives from the environment.

locals {
  stages = toset(["trigger", "export", "provision", "write"])

  # Everybody in this account who may use the queue by an identity policy may do so, over TLS.
  tls_only = { for name, arn in merge(
    { for stage in local.stages : stage => aws_sqs_queue.work[stage].arn },
    { for stage in local.stages : "${stage}-dlq" => aws_sqs_queue.dead_letter[stage].arn },
    ) : name => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    })
  }
}

resource "aws_sqs_queue" "work" {
  for_each = local.stages

  name = "${local.name}-${each.key}"
  # The worker extends it while a job runs; this is for what it has received and not yet begun.
  visibility_timeout_seconds        = 120
  message_retention_seconds         = 7 * 86400
  receive_wait_time_seconds         = 20
  sqs_managed_sse_enabled           = local.kms_key_arn == null ? true : null
  kms_master_key_id                 = local.kms_key_arn
  kms_data_key_reuse_period_seconds = local.kms_key_arn == null ? null : 3600
  tags                              = local.tags
}

resource "aws_sqs_queue" "dead_letter" {
  for_each = local.stages

  name = "${local.name}-${each.key}-dlq"
  # Longer than in the queue, for it counts from when the message was first sent ("Dead-letter queues").
  message_retention_seconds         = 14 * 86400
  sqs_managed_sse_enabled           = local.kms_key_arn == null ? true : null
  kms_master_key_id                 = local.kms_key_arn
  kms_data_key_reuse_period_seconds = local.kms_key_arn == null ? null : 3600
  tags                              = local.tags
}

resource "aws_sqs_queue_redrive_policy" "work" {
  for_each = local.stages

  queue_url = aws_sqs_queue.work[each.key].id
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letter[each.key].arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letter" {
  for_each = local.stages

  queue_url = aws_sqs_queue.dead_letter[each.key].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.work[each.key].arn]
  })
}

resource "aws_sqs_queue_policy" "work" {
  for_each = local.stages

  queue_url = aws_sqs_queue.work[each.key].id
  policy    = local.tls_only[each.key]
}

resource "aws_sqs_queue_policy" "dead_letter" {
  for_each = local.stages

  queue_url = aws_sqs_queue.dead_letter[each.key].id
  policy    = local.tls_only["${each.key}-dlq"]
}
