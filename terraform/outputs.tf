output "task_role_arn" {
  description = "What the source accounts trust: task_role_arn of the module source-account."
  value       = aws_iam_role.task.arn
}

output "source_role_arns" {
  description = "What the module source-account must make in each source account."
  value       = local.source_role_arns
}

output "bucket" {
  description = "Where the backups are."
  value       = aws_s3_bucket.backups.bucket
}

output "kms_key_arn" {
  description = "The key of the backups, where there is one."
  value       = local.kms_key_arn
}

output "image" {
  description = "The image that is deployed."
  value       = local.image
}

output "repository_url" {
  description = "Where deploy.sh pushes images."
  value       = one(aws_ecr_repository.worker[*].repository_url)
}

output "log_group" {
  description = "The workers' log."
  value       = aws_cloudwatch_log_group.worker.name
}

output "alarm_topic_arn" {
  description = "Where alarms go: subscribe to it."
  value       = local.alarm_topic_arn
}

output "dashboard_url" {
  description = "The dashboard in the console."
  value       = "https://${local.region}.console.aws.amazon.com/cloudwatch/home?region=${local.region}#dashboards/dashboard/${local.name}"
}

output "run_task_command" {
  description = "Runs one command of the program as a task, here doctor, with the worker's role and network."
  value = join(" ", [
    "aws ecs run-task --region ${local.region} --cluster ${local.name} --task-definition ${local.name}",
    "--launch-type FARGATE",
    "--network-configuration 'awsvpcConfiguration={subnets=[${join(",", var.subnet_ids)}],securityGroups=[${aws_security_group.worker.id}],assignPublicIp=${var.assign_public_ip ? "ENABLED" : "DISABLED"}}'",
    "--overrides '{\"containerOverrides\":[{\"name\":\"worker\",\"command\":[\"doctor\"]}]}'",
  ])
}

output "restore_role_arn" {
  description = "The role to assume for `restore` into this account, where there is one."
  value       = one(aws_iam_role.restore[*].arn)
}
