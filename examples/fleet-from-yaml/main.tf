# A fleet of pools that are declared in YAML, one in a file, as `poolkeeper pool apply -f` reads them. Who looks after
# the pools needs to know nothing of Terraform: a new file is a new pool.

terraform {
  required_version = ">= 1.8" # provider functions; OpenTofu has them from 1.7 on

  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

locals {
  pools = {
    for file in fileset(path.module, "pools/*.yaml") :
    trimsuffix(basename(file), ".yaml") => provider::poolkeeper::pool_from_yaml(file("${path.module}/${file}"))
  }
}

resource "poolkeeper_resource_pool" "fleet" {
  for_each = local.pools

  name                = each.value.name
  description         = each.value.description
  labels              = each.value.labels
  worker              = each.value.worker
  worker_limits       = each.value.worker_limits
  leases              = each.value.leases
  size                = each.value.size
  autoscaling         = each.value.autoscaling
  initialization      = each.value.initialization
  health              = each.value.health
  remediation         = each.value.remediation
  update              = each.value.update
  drain               = each.value.drain
  logs                = each.value.logs
  restart_triggers    = each.value.restart_triggers
  deletion_protection = each.value.deletion_protection
}
