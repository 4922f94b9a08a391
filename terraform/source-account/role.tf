resource "aws_iam_role" "source" {
  name        = coalesce(var.role_name, "dynamodb-backup-${var.environment}-source")
  description = "Lets dynamodb-backup read tables from the backup account"
  tags        = merge(var.tags, { Application = "dynamodb-backup", Environment = var.environment })
  # The worker asks for an hour and assumes the role again in time.
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = var.task_role_arn }
      Condition = { StringEquals = { "sts:ExternalId" = var.external_id } }
    }]
  })

  lifecycle {
    precondition {
      condition     = split(":", var.task_role_arn)[4] != data.aws_caller_identity.current.account_id
      error_message = "The credentials are those of account ${data.aws_caller_identity.current.account_id}, which is also that of ${var.task_role_arn}: use those of the source account."
    }
  }
}
