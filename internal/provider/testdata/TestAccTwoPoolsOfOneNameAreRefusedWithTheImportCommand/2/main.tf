resource "poolkeeper_resource_pool" "test" {
  name        = "twice"
  description = "first"
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

resource "poolkeeper_resource_pool" "second" {
  name        = "twice"
  description = "second"
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
