resource "poolkeeper_resource_pool" "test" {
  name   = "handmade"
  size   = 2
  labels = { team = "a" }

  worker = {
    command = ["sleep", "1000"]
    env     = { A = "1" }
  }

  drain = {
    timeout          = "300s"
    deregister_delay = "0s"
    grace            = "1s"
  }

  timeouts = {
    create = "10m"
  }
}
