resource "poolkeeper_resource_pool" "web" {
  name        = "web"
  description = "HTTP job workers"
  labels      = { team = "platform" }
  size        = 6

  worker = {
    command     = ["/usr/local/bin/web", "--listen", "127.0.0.1:$${PORT}"]
    env         = { LOG_LEVEL = "info" }
    working_dir = "/srv/web"
    ports       = [{ name = "http" }]
  }

  health = {
    http                = { path = "/healthz" }
    interval            = "5s"
    unhealthy_threshold = 3
    start_period        = "10s"
  }

  # A rolling update runs up to 3 workers in addition and never leaves fewer than 6 available.
  update = {
    max_surge         = "50%"
    min_ready         = "5s"
    progress_deadline = "5m"
  }

  # The workers finish their jobs on TERM, so the signal begins the drain.
  drain = {
    timeout   = "10m"
    signal_at = "start"
    grace     = "30s"
  }

  logs = {
    max_size = "50MiB"
    keep     = 3
  }

  # A new build replaces the workers, though their command stays the same.
  restart_triggers = {
    build = filesha256("/usr/local/bin/web")
  }

  deletion_protection = true

  timeouts = {
    delete = "15m"
  }
}
