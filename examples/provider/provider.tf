terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

# A manager of its own on this machine, started when it is first needed.
provider "poolkeeper" {}

variable "poolkeeper_token" {
  type      = string
  sensitive = true
}

# A shared manager.
provider "poolkeeper" {
  alias         = "shared"
  endpoint      = "https://pools.example.com"
  token         = var.poolkeeper_token
  change_reason = "infrastructure repository, main branch"
}
