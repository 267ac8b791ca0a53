resource "poolkeeper_resource_pool" "test" {
  name        = "life"
  description = "changed"
  size        = 4

  worker = {
    command = ["sleep", "1000"]
    env     = { COLOR = "green" }
  }

  drain = {
    timeout          = "5s"
    deregister_delay = "0s"
    grace            = "1s"
  }
}
