# What the worker may do here: read. `tests/deployment.rs` compares these actions with those of the README.

resource "aws_iam_role_policy" "read" {
  name = "read"
  role = aws_iam_role.source.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Has no resource ("Actions, resources, and condition keys for Amazon DynamoDB").
        Sid      = "List"
        Effect   = "Allow"
        Action   = ["dynamodb:ListTables"]
        Resource = "*"
      },
      {
        Sid    = "Read"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeTable", "dynamodb:Scan",
          # Settings that are archived beside the items; a backup works without these.
          "dynamodb:DescribeTimeToLive", "dynamodb:DescribeContinuousBackups", "dynamodb:ListTagsOfResource",
          "dynamodb:GetResourcePolicy", "dynamodb:DescribeContributorInsights",
          "dynamodb:DescribeKinesisStreamingDestination",
        ]
        Resource = local.table_arns
      },
      {
        # Have no resource ("Actions, resources, and condition keys for AWS Application Auto Scaling").
        Sid    = "Scaling"
        Effect = "Allow"
        Action = [
          "application-autoscaling:DescribeScalableTargets", "application-autoscaling:DescribeScalingPolicies",
          "application-autoscaling:DescribeScheduledActions",
        ]
        Resource = "*"
      },
    ]
  })
}
