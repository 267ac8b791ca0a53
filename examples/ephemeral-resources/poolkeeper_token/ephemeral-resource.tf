terraform {
  required_providers {
    poolkeeper = { source = "poolkeeper/poolkeeper" }
  }
}

provider "poolkeeper" {
  endpoint = "https://pools.example.com"
}

# A test that runs during the apply may look at one team's pools, and no more.
ephemeral "poolkeeper_token" "smoke_test" {
  name   = "smoke-test"
  role   = "viewer"
  labels = { team = "core" }
  ttl    = "30m"
}

resource "terraform_data" "smoke_test" {
  triggers_replace = [var.release]

  provisioner "local-exec" {
    command = "./smoke-test.sh"
    environment = {
      POOLKEEPER_ENDPOINT = "https://pools.example.com"
      POOLKEEPER_TOKEN    = ephemeral.poolkeeper_token.smoke_test.token
    }
  }
}

variable "release" {
  type = string
}
