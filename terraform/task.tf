# The worker as an ECS task.

resource "aws_ecs_cluster" "backups" {
  name = local.name
  tags = local.tags

  setting {
    name  = "containerInsights"
    value = var.container_insights ? "enabled" : "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "backups" {
  cluster_name       = aws_ecs_cluster.backups.name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_ecs_task_definition" "worker" {
  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  tags                     = local.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  container_definitions = jsonencode([{
    name      = "worker"
    image     = local.image
    essential = true
    # `run` triggers a backup, works until its report is there, and ends.
    command = [var.mode == "service" ? "worker" : "run"]
    environment = [
      { name = "AWS_REGION", value = local.region },
      { name = "BACKUP_ENVIRONMENT", value = var.environment },
    ]
    # The settings are read once, at the start: another value here makes a new revision, and that new tasks.
    dockerLabels = { settings = nonsensitive(sha256(jsonencode([local.parameters, local.secrets]))) }

    # It writes no file, and needs neither a name nor a shell. It stops on SIGTERM as PID 1, so no init process.
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = false, capabilities = { drop = ["ALL"] } }
    stopTimeout            = var.stop_timeout_seconds

    # The image has no shell and the worker no port, so all that is asked is whether the program still starts in
    # this container. A worker that is stuck shows by the age of messages and of the last complete run (alarms.tf).
    healthCheck = {
      command     = ["CMD", "/dynamodb-backup", "--version"]
      interval    = 60
      timeout     = 15
      retries     = 3
      startPeriod = 30
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.worker.name
        awslogs-region        = local.region
        awslogs-stream-prefix = var.mode
        # A log that cannot be delivered must not hold a backup up.
        mode            = "non-blocking"
        max-buffer-size = "10m"
      }
    }
  }])
}
