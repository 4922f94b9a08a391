# A role for restoring into this account. It writes tables, so it is not the worker's, and is there only for whom
# it is asked. Another account that is restored into needs a role of its own: `--target-role-arn`.

resource "aws_iam_role" "restore" {
  count = length(var.restore_principal_arns) == 0 ? 0 : 1

  name                 = "${local.name}-restore"
  description          = "Restores backups of ${local.name} into tables of this account"
  max_session_duration = 43200
  tags                 = local.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.restore_principal_arns }
    }]
  })
}

resource "aws_iam_role_policy" "restore" {
  count = length(var.restore_principal_arns) == 0 ? 0 : 1

  name = "restore"
  role = aws_iam_role.restore[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Bucket"
        Effect   = "Allow"
        Action   = ["s3:ListBucket"]
        Resource = aws_s3_bucket.backups.arn
      },
      {
        Sid      = "Objects"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = "${aws_s3_bucket.backups.arn}/*"
      },
      {
        Sid    = "Tables"
        Effect = "Allow"
        Action = [
          "dynamodb:BatchWriteItem", "dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:ListTagsOfResource",
          "dynamodb:Scan", "dynamodb:TagResource", "dynamodb:UpdateContinuousBackups",
          "dynamodb:UpdateContributorInsights", "dynamodb:UpdateTable", "dynamodb:UpdateTimeToLive",
        ]
        Resource = "arn:${local.partition}:dynamodb:${local.region}:${local.account_id}:table/*"
      },
      {
        # The first time in an account ("Using IAM with CloudWatch Contributor Insights for DynamoDB"). Kinesis
        # destinations are of a source's account, so a table here gets none.
        Sid       = "ContributorInsights"
        Effect    = "Allow"
        Action    = ["iam:CreateServiceLinkedRole"]
        Resource  = "arn:${local.partition}:iam::${local.account_id}:role/aws-service-role/contributorinsights.dynamodb.amazonaws.com/*"
        Condition = { StringEquals = { "iam:AWSServiceName" = "contributorinsights.dynamodb.amazonaws.com" } }
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
        Sid       = "Key"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = local.kms_key_arn
        Condition = { StringEquals = { "kms:ViaService" = [for it in ["s3", "ssm"] : "${it}.${local.region}.amazonaws.com"] } }
      },
    ])
  })
}
