# The key that everything is encrypted with. Who deletes it deletes every backup: it cannot be destroyed from here,
# and KMS waits 30 days.

locals {
  new_key     = var.encryption == "KMS" && var.kms_key_arn == null
  kms_key_arn = local.new_key ? aws_kms_key.backups[0].arn : var.kms_key_arn
}

resource "aws_kms_key" "backups" {
  count = local.new_key ? 1 : 0

  description             = "${local.name}: backups of DynamoDB tables"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        # Identity policies of this account decide who may use the key ("Default key policy").
        Sid       = "AccountDecides"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { ArnLike = {
          "kms:EncryptionContext:aws:logs:arn" = [
            "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/dynamodb-backup/${var.environment}",
            "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/events/${local.name}",
          ]
        } }
      },
      {
        # Alarms are published to an encrypted topic.
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      ], length(local.native_export_roles) == 0 ? [] : [
      {
        Sid       = "NativeExports"
        Effect    = "Allow"
        Principal = { AWS = local.native_export_accounts }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
        Condition = {
          ArnEquals    = { "aws:PrincipalArn" = local.native_export_roles }
          StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" }
        }
      },
    ])
  })

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "backups" {
  count = local.new_key ? 1 : 0

  name          = "alias/${local.name}"
  target_key_id = aws_kms_key.backups[0].key_id
}
