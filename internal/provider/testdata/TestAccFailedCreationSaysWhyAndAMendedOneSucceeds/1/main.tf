# The worker listens on no port, so it is never found ready.
resource "poolkeeper_resource_pool" "test" {
  name = "stuck"
  size = 1

  worker = {
    command = ["sh", "-c", "echo going to sleep; exec sleep 1000"]
    ports   = [{ name = "http" }]
  }

  health = { tcp = {} }
  update = { progress_deadline = "2s" }

  drain = {
    timeout          = "5s"
    deregister_delay = "0s"
    grace            = "1s"
  }
}
