# What only some deployments need: the keys of encrypted tables, and exports that DynamoDB makes itself.

resource "aws_iam_role_policy" "table_keys" {
  count = length(var.table_key_arns) == 0 ? 0 : 1

  name = "table-keys"
  role = aws_iam_role.source.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # DynamoDB decrypts for whoever reads ("DynamoDB encryption at rest: usage notes").
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:DescribeKey"]
      Resource  = var.table_key_arns
      Condition = { StringLike = { "kms:ViaService" = "dynamodb.*.amazonaws.com" } }
    }]
  })
}

resource "aws_iam_role_policy" "native_export" {
  count = var.native_export_bucket == null ? 0 : 1

  name = "native-export"
  role = aws_iam_role.source.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Effect   = "Allow"
        Action   = ["dynamodb:ExportTableToPointInTime", "dynamodb:DescribeExport"]
        Resource = concat(local.table_arns, [for arn in local.table_arns : "${arn}/export/*"])
      },
      {
        # "Requesting a table export in DynamoDB": the caller's permissions write the objects.
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::${var.native_export_bucket}/native-exports/*"
      },
      ], var.native_export_key_arn == null ? [] : [
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = var.native_export_key_arn
        Condition = { StringLike = { "kms:ViaService" = "s3.*.amazonaws.com" } }
      },
    ])
  })
}
