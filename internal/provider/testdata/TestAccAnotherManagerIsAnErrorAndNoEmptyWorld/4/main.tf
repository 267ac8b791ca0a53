resource "poolkeeper_resource_pool" "test" {
  name        = "elsewhere"
  description = "ours"
  size        = 1

  worker = {
    command = ["sleep", "1000"]
    env     = { COLOR = "blue" }
  }

  drain = {
    timeout          = "5s"
    deregister_delay = "0s"
    grace            = "1s"
  }
}
