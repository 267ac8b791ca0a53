terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

resource "poolkeeper_resource_pool" "hello" {
  name = "hello"
  size = 3

  worker = {
    command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "$${PORT}"]
    env     = { GREETING = "hello" }
    ports   = [{ name = "http" }]
  }

  health = {
    http = {}
  }

  drain = {
    deregister_delay = "0s"
    grace            = "2s"
  }
}
