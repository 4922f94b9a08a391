# The image's repository, unless the image comes from elsewhere (var.image).

locals {
  # An image of ECR anywhere is pulled with the execution role; others must be public.
  ecr_image = try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[a-z.]+/([^:@]+)", coalesce(var.image, "none")), null)
  repository_arn = (
    var.image == null ? aws_ecr_repository.worker[0].arn :
    local.ecr_image == null ? null :
    "arn:${local.partition}:ecr:${local.ecr_image[1]}:${local.ecr_image[0]}:repository/${local.ecr_image[2]}"
  )
  image = var.image == null ? "${aws_ecr_repository.worker[0].repository_url}:${var.image_tag}" : var.image
}

resource "aws_ecr_repository" "worker" {
  count = var.image == null ? 1 : 0

  name = local.name
  # A tag that was deployed stays what it was.
  image_tag_mutability = "IMMUTABLE"
  tags                 = local.tags

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "worker" {
  count = var.image == null ? 1 : 0

  repository = aws_ecr_repository.worker[0].name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "the last 20 images"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 20 }
      action       = { type = "expire" }
    }]
  })
}
