# The tasks call AWS over HTTPS and are called by nobody. The VPC and its subnets are there already.

resource "aws_security_group" "worker" {
  name        = "${local.name}-worker"
  description = "Workers of ${local.name}: HTTPS to AWS"
  vpc_id      = var.vpc_id
  tags        = local.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = { ipv4 = "0.0.0.0/0", ipv6 = "::/0" }

  security_group_id = aws_security_group.worker.id
  description       = "HTTPS to AWS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.key == "ipv4" ? each.value : null
  cidr_ipv6         = each.key == "ipv6" ? each.value : null
  tags              = local.tags
}

locals {
  gateways = length(var.gateway_endpoint_route_table_ids) == 0 ? [] : ["s3", "dynamodb"]
  # All that the worker and ECS call besides those two.
  services   = ["sqs", "ssm", "sts", "logs", "ecr.api", "ecr.dkr", "application-autoscaling"]
  interfaces = var.interface_endpoints ? local.services : []
}

data "aws_vpc" "this" {
  count = var.interface_endpoints ? 1 : 0

  id = var.vpc_id
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(local.gateways)

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.gateway_endpoint_route_table_ids
  tags              = merge(local.tags, { Name = "${local.name}-${each.key}" })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(local.interfaces)

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = merge(local.tags, { Name = "${local.name}-${each.key}" })
}

# With private DNS the services' own names lead to these endpoints for everybody in the VPC ("Access an AWS service
# using an interface VPC endpoint"), so everybody in the VPC has to be let in, or is cut off from the services.
resource "aws_security_group" "endpoints" {
  count = var.interface_endpoints ? 1 : 0

  name        = "${local.name}-endpoints"
  description = "Interface endpoints of ${local.name}: HTTPS from the VPC"
  vpc_id      = var.vpc_id
  tags        = local.tags

  # One rule for all ranges, and not a resource for each: of a VPC that is made in the same apply, nobody knows yet how
  # many there are.
  ingress {
    description = "HTTPS from the VPC"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = data.aws_vpc.this[0].cidr_block_associations[*].cidr_block
  }
}
