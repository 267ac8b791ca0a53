resource "poolkeeper_resource_pool" "test" {
  name = "written"
  size = 1

  worker = {
    command = ["sleep", "1000"]
  }

  update = { max_surge = "25%" }

  drain = {
    timeout          = "5m"
    deregister_delay = "0s"
    grace            = "1s"
  }

  logs = { max_size = "1Mi" }
}
