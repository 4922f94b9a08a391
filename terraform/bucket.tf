# The bucket of backups. The worker creates objects and never changes or deletes one; its age alone decides what
# becomes of an object.

resource "aws_s3_bucket" "backups" {
  #checkov:skip=CKV_AWS_144:the backup is the second copy; replicate it to a third place with a rule of your own
  #checkov:skip=CKV2_AWS_62:nothing has to be told about new objects
  bucket = coalesce(var.bucket_name, "${local.name}-${local.account_id}-${local.region}")
  # By itself this locks nothing; without it, a retention given later would mean a new bucket.
  object_lock_enabled = true
  tags                = local.tags

  # S3 deletes no bucket that has objects, but a new name in a plan would leave the old backups behind.
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "backups" {
  bucket = aws_s3_bucket.backups.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "backups" {
  count = var.object_lock == null ? 0 : 1

  bucket = aws_s3_bucket.backups.id
  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }
  depends_on = [aws_s3_bucket_versioning.backups]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption == "KMS" ? "aws:kms" : "AES256"
      kms_master_key_id = local.kms_key_arn
    }
    # One call to KMS for many objects.
    bucket_key_enabled = var.encryption == "KMS"
  }
}

resource "aws_s3_bucket_public_access_block" "backups" {
  bucket                  = aws_s3_bucket.backups.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "backups" {
  bucket = aws_s3_bucket.backups.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_logging" "backups" {
  count = var.access_log_bucket == null ? 0 : 1

  bucket        = aws_s3_bucket.backups.id
  target_bucket = var.access_log_bucket
  target_prefix = "${aws_s3_bucket.backups.bucket}/"
}

resource "aws_s3_bucket_lifecycle_configuration" "backups" {
  #checkov:skip=CKV_AWS_300:the first rule aborts failed uploads, of whatever size
  bucket = aws_s3_bucket.backups.id

  rule {
    id     = "gone-with-age"
    status = "Enabled"
    filter {}

    dynamic "expiration" {
      for_each = var.expire_after_days == null ? [] : [var.expire_after_days]
      content {
        days = expiration.value
      }
    }
    # Nothing is overwritten, so an older version is one that somebody deleted or that has expired.
    noncurrent_version_expiration {
      noncurrent_days = var.deleted_kept_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  # Not the reports and records, which `list` and `show` read, nor what is too small to be worth it.
  dynamic "rule" {
    for_each = length(var.transitions) == 0 ? [] : [var.transitions]
    content {
      id     = "parts-colder-with-age"
      status = "Enabled"
      filter {
        object_size_greater_than = 4 * 1024 * 1024
      }
      dynamic "transition" {
        for_each = rule.value
        content {
          days          = transition.value.days
          storage_class = transition.value.storage_class
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = var.expire_after_days == null || var.object_lock == null || coalesce(var.expire_after_days, 0) >= try(var.object_lock.days, 0)
      error_message = "expire_after_days ${jsonencode(var.expire_after_days)} is less than object_lock.days ${jsonencode(try(var.object_lock.days, null))}: backups would vanish from sight and be paid for until the lock ends. Give at least as many."
    }
  }
  depends_on = [aws_s3_bucket_versioning.backups]
}

locals {
  native_export_accounts = distinct([
    for name, source in var.sources : "arn:${local.partition}:iam::${source.account_id}:root" if source.native_export
  ])
  native_export_roles = [for name, source in var.sources : local.source_role_arns[name] if source.native_export]
}

resource "aws_s3_bucket_policy" "backups" {
  bucket = aws_s3_bucket.backups.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.backups.arn, "${aws_s3_bucket.backups.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # Holds whatever else the worker's role is given one day.
        Sid       = "TheWorkerDeletesNothing"
        Effect    = "Deny"
        Principal = "*"
        Action = [
          "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention", "s3:BypassGovernanceRetention",
          "s3:PutLifecycleConfiguration", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketVersioning",
        ]
        Resource  = [aws_s3_bucket.backups.arn, "${aws_s3_bucket.backups.arn}/*"]
        Condition = { ArnEquals = { "aws:PrincipalArn" = aws_iam_role.task.arn } }
      },
      {
        # "Enforce conditional writes on Amazon S3 buckets": a put without If-None-Match is refused.
        Sid       = "TheWorkerOverwritesNothing"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.backups.arn}/*"
        Condition = {
          ArnEquals = { "aws:PrincipalArn" = aws_iam_role.task.arn }
          Null      = { "s3:if-none-match" = "true" }
        }
      },
      ], length(local.native_export_roles) == 0 ? [] : [
      {
        # The account is named and not the role, which need not be there yet.
        Sid       = "NativeExports"
        Effect    = "Allow"
        Principal = { AWS = local.native_export_accounts }
        Action    = ["s3:AbortMultipartUpload", "s3:PutObject", "s3:PutObjectAcl"]
        Resource  = "${aws_s3_bucket.backups.arn}/native-exports/*"
        Condition = { ArnEquals = { "aws:PrincipalArn" = local.native_export_roles } }
      },
    ])
  })
  depends_on = [aws_s3_bucket_public_access_block.backups]
}
