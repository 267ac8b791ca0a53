terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

data "poolkeeper_resource_pool" "web" {
  name = "web"
}

output "web" {
  value = {
    state     = data.poolkeeper_resource_pool.web.state
    available = data.poolkeeper_resource_pool.web.status.available
  }
}
