terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

resource "poolkeeper_resource_pool" "web" {
  name        = "web"
  description = "Serves the files of one directory"
  labels      = { team = "platform" }
  size        = 6

  worker = {
    command     = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "$${PORT}"]
    env         = { PYTHONUNBUFFERED = "1" }
    working_dir = "/tmp"
    ports       = [{ name = "http" }]
  }

  health = {
    http                = { path = "/" }
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

  # The signal begins the drain: for workers that take no new work on it, and exit when what they have is done.
  drain = {
    timeout   = "10m"
    signal_at = "start"
    grace     = "30s"
  }

  logs = {
    max_size = "50MiB"
    keep     = 3
  }

  # Any values: a change replaces the workers, though their command stays the same. filesha256("…") of their
  # program is one that changes with every build.
  restart_triggers = {
    build = "2026-05-06"
  }

  # While it is true, neither a destroy nor a replacement is let through.
  deletion_protection = false

  timeouts = {
    delete = "15m"
  }
}
