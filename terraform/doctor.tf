# What `doctor` looks at besides what the worker uses. Without these permissions it says that it could not look.

resource "aws_iam_role_policy" "doctor" {
  name = "doctor"
  role = aws_iam_role.task.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = [
        "s3:GetBucketObjectLockConfiguration", "s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
      ]
      Resource = aws_s3_bucket.backups.arn
    }]
  })
}
