# One page: is there a backup, what did it move, what holds it up.

locals {
  of_environment = ["Environment", var.environment]

  # Title, unit of the axis, and the program's metrics in it.
  own_widgets = [
    { title = "Tables backed up", metrics = ["TablesBackedUp"] },
    { title = "Items", metrics = ["ItemsExported", "ItemsPut"] },
    { title = "Bytes exported", metrics = ["BytesExported"] },
    { title = "Capacity units", metrics = ["ReadUnits", "WriteUnits"] },
    { title = "Throttles and retries", metrics = ["Throttles", "Retries"] },
  ]

  widgets = concat(
    [
      {
        title  = "Hours since the last complete run"
        period = 3600
        stat   = "Minimum"
        metrics = concat(
          [for number, name in keys(var.sources) : ["DynamodbBackup", "AgeOfLastCompleteRun", "Environment", var.environment, "Source", name, { id = "age${number}", visible = false }]],
          [for number, name in keys(var.sources) : [{ expression = "age${number} / 3600", label = name, id = "hours${number}" }]],
        )
      },
      {
        title   = "Runs ended, by outcome"
        period  = 3600
        stat    = "Sum"
        metrics = [[{ expression = "SEARCH('{DynamodbBackup,Environment,Outcome} MetricName=\"RunsEnded\" Environment=\"${var.environment}\"', 'Sum', 3600)", id = "runs" }]]
      },
      {
        title   = "Duration of jobs, by stage and outcome"
        period  = 300
        stat    = "p90"
        metrics = [[{ expression = "SEARCH('{DynamodbBackup,Environment,Stage,Outcome} MetricName=\"JobDuration\" Environment=\"${var.environment}\"', 'p90', 300)", id = "jobs" }]]
      },
    ],
    [for widget in local.own_widgets : {
      title   = widget.title
      period  = 300
      stat    = "Sum"
      metrics = [for metric in widget.metrics : concat(["DynamodbBackup", metric], local.of_environment)]
    }],
    [
      {
        title   = "Messages waiting"
        period  = 60
        stat    = "Maximum"
        metrics = [for stage in local.stages : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.name}-${stage}"]]
      },
      {
        title   = "Messages in work"
        period  = 60
        stat    = "Maximum"
        metrics = [for stage in local.stages : ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", "${local.name}-${stage}"]]
      },
      {
        title   = "Messages given up"
        period  = 300
        stat    = "Maximum"
        metrics = [for stage in local.stages : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", "${local.name}-${stage}-dlq"]]
      },
      {
        title   = "Running tasks"
        period  = 60
        stat    = "Maximum"
        metrics = [["ECS/ContainerInsights", "RunningTaskCount", "ClusterName", local.name, "ServiceName", "worker"]]
      },
    ],
  )
}

resource "aws_cloudwatch_dashboard" "backups" {
  dashboard_name = local.name
  dashboard_body = jsonencode({
    widgets = [for number, widget in local.widgets : {
      type   = "metric"
      x      = number % 3 * 8
      y      = floor(number / 3) * 6
      width  = 8
      height = 6
      properties = {
        title   = widget.title
        region  = local.region
        view    = "timeSeries"
        period  = widget.period
        stat    = widget.stat
        metrics = widget.metrics
      }
    }]
  })
}
