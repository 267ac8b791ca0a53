resource "poolkeeper_resource_pool" "test" {
  name        = "treasure"
  description = "kept"
  size        = 1

  worker = {
    command = ["sleep", "1000"]
    env     = { COLOR = "gold" }
  }

  drain = {
    timeout          = "5s"
    deregister_delay = "0s"
    grace            = "1s"
  }

  deletion_protection = true
}
