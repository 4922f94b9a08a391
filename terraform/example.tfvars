# ./deploy.sh prod reads terraform/prod.tfvars: copy this file there. variables.tf has everything that can be set.

sources = {
  shop = {
    account_id  = "111111111111"
    external_id = "what-openssl-rand-hex-16-prints"
  }
}
vpc_id     = "vpc-0123456789abcdef0"
subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]

# assign_public_ip = true                             # public subnets without NAT
# mode             = "scheduled"                      # one task a day instead of a service
# object_lock      = { mode = "GOVERNANCE", days = 30 }
# alarm_emails     = ["backups@example.com"]
# settings         = { read-budget = "25%" }
