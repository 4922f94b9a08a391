# The worker's settings, under the names that the program gives them: /dynamodb-backup/<environment>/<setting>.
# Queues have the names that it derives from the environment, so they need no parameter.

locals {
  parameter_path = "/dynamodb-backup/${var.environment}"

  # What var.settings may set; `tests/deployment.rs` compares it with the program's own list.
  free_settings = [
    "consistent-read", "compression", "compression-level", "suspect-above", "adopt-existing", "copy-billing-mode",
    "copy-recovery-days", "copy-warm-write-units", "copy-kms-key", "repair-drift", "lanes", "read-budget", "write-budget",
    "trigger-concurrency", "export-concurrency", "provision-concurrency", "write-concurrency", "stall-after",
    "visibility-timeout", "hand-over-after", "prefix", "log", "log-format",
  ]

  source_role_arns = {
    for name, source in var.sources :
    name => "arn:${local.partition}:iam::${source.account_id}:role/${coalesce(source.role_name, "${local.name}-source")}"
  }

  # One source has plain settings. Several are the text of a TOML file, of which every JSON string is one too.
  only_source = length(var.sources) == 1 ? one([
    for name, source in var.sources : {
      "source-name"   = name
      "role-arn"      = local.source_role_arns[name]
      "source-region" = source.region == null ? "" : source.region
      "include"       = join(",", source.include)
      "exclude"       = join(",", source.exclude)
      "target-prefix" = source.target_prefix
    }
  ]) : {}
  several_sources = join("\n", flatten([
    for name, source in var.sources : concat(
      ["[[source]]", "name = ${jsonencode(name)}", "role-arn = ${jsonencode(local.source_role_arns[name])}"],
      ["external-id = ${jsonencode(source.external_id)}"],
      source.region == null ? [] : ["region = ${jsonencode(source.region)}"],
      length(source.include) == 0 ? [] : ["include = ${jsonencode(source.include)}"],
      length(source.exclude) == 0 ? [] : ["exclude = ${jsonencode(source.exclude)}"],
      source.target_prefix == "" ? [] : ["target-prefix = ${jsonencode(source.target_prefix)}"],
    )
  ]))

  # SSM keeps no empty value: what is empty is left out.
  parameters = { for name, value in merge(var.settings, local.only_source, {
    "bucket" = aws_s3_bucket.backups.bucket
    # Below the container's stop timeout, so that the program is done before it is killed.
    "shutdown-grace" = "${var.stop_timeout_seconds - 15}s"
    # What alarms.tf and dashboard.tf look at.
    "metrics" = "emf"
  }) : name => value if value != "" }

  secrets = length(var.sources) == 1 ? {
    "external-id" = one(values(var.sources)).external_id
    } : {
    "sources" = local.several_sources
  }
}

resource "aws_ssm_parameter" "setting" {
  #checkov:skip=CKV2_AWS_34:none of these is a secret, and they are easier to look at in plain text
  for_each = local.parameters

  name  = "${local.parameter_path}/${each.key}"
  type  = "String"
  value = each.value
  tags  = local.tags
}

# AWS does not call external ids secret, the program does ("Access to AWS accounts owned by third parties").
resource "aws_ssm_parameter" "secret" {
  for_each = toset(nonsensitive(keys(local.secrets)))

  name   = "${local.parameter_path}/${each.key}"
  type   = "SecureString"
  value  = sensitive(local.secrets[each.key])
  key_id = local.kms_key_arn
  # A standard parameter holds 4 KB, an advanced one 8.
  tier = length(local.secrets[each.key]) > 4096 ? "Advanced" : "Standard"
  tags = local.tags

  lifecycle {
    precondition {
      condition     = length(local.secrets[each.key]) <= 8192
      error_message = "The sources come to ${length(local.secrets[each.key])} characters, of which an SSM parameter holds 8192: deploy some of them as an environment of their own."
    }
  }
}
