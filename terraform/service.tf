# Service mode: workers that are always there, or come when there is work (scaling.tf).

resource "aws_ecs_service" "worker" {
  count = var.mode == "service" ? 1 : 0

  name                          = "worker"
  cluster                       = aws_ecs_cluster.backups.id
  task_definition               = aws_ecs_task_definition.worker.arn
  desired_count                 = var.min_tasks
  platform_version              = "LATEST"
  availability_zone_rebalancing = "ENABLED"
  enable_execute_command        = false
  propagate_tags                = "SERVICE"
  tags                          = local.tags

  capacity_provider_strategy {
    capacity_provider = var.spot ? "FARGATE_SPOT" : "FARGATE"
    weight            = 1
  }

  # New tasks beside the old ones, which give their messages back. Tasks that do not start bring the old ones back.
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.worker.id]
    assign_public_ip = var.assign_public_ip
  }

  lifecycle {
    # The autoscaling's.
    ignore_changes = [desired_count]
  }

  # A worker that starts before these would refuse to.
  depends_on = [
    aws_iam_role_policy.task, aws_iam_role_policy.execution, aws_sqs_queue_redrive_policy.work,
    aws_ssm_parameter.setting, aws_ssm_parameter.secret, aws_ecs_cluster_capacity_providers.backups,
  ]
}
