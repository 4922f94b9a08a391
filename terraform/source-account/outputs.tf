output "role_arn" {
  description = "The role that the worker assumes."
  value       = aws_iam_role.source.arn
}
