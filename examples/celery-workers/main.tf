# Celery workers on this machine. On TERM a Celery worker shuts down warm: it takes no new task, finishes those that it
# has begun, and exits. So the signal begins the drain, and a rollout loses no task.

terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

variable "broker" {
  description = "URL of the broker"
  type        = string
  default     = "redis://127.0.0.1:6379/0"
}

variable "directory" {
  description = "Where the module of the tasks is"
  type        = string
  default     = "/srv/tasks"
}

variable "celery" {
  description = "The program, and the application that it runs"
  type        = list(string)
  default     = ["/srv/tasks/venv/bin/celery", "--app", "tasks"]
}

variable "size" {
  description = "Number of workers"
  type        = number
  default     = 4
}

variable "release" {
  description = "What of the tasks is installed: another one replaces the workers step by step"
  type        = string
  default     = "2026-05-06"
}

resource "poolkeeper_resource_pool" "celery" {
  name = "celery"
  size = var.size

  worker = {
    command     = concat(var.celery, ["worker", "--loglevel", "INFO", "--concurrency", "4", "--hostname", "$${POOLKEEPER_WORKER_ID}@celery"])
    working_dir = var.directory
    env = {
      CELERY_BROKER_URL = var.broker
    }
  }

  # The worker answers over the broker, so this finds one that is stuck, and one that has lost the broker.
  health = {
    exec         = { command = concat(var.celery, ["inspect", "--timeout", "5", "--destination", "$${POOLKEEPER_WORKER_ID}@celery", "ping"]) }
    interval     = "1m"
    timeout      = "20s"
    start_period = "1m"
  }

  # If the broker is gone all are unhealthy, and to replace them would not help.
  remediation = {
    max_unhealthy = "25%"
  }

  drain = {
    signal_at        = "start"
    deregister_delay = "0s"  # nobody looks for a worker of a queue
    timeout          = "30m" # the longest task
    grace            = "10s"
  }

  # One worker more while it lasts, so that the queue is worked off as fast as before.
  update = {
    max_surge         = "1"
    progress_deadline = "40m" # longer than a drain
  }

  restart_triggers = {
    release = var.release
  }
}
