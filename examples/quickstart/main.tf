# A pool of HTTP job workers on this machine. `make demo` applies it, changes it and destroys it.

terraform {
  required_providers {
    poolkeeper = {
      source = "registry.terraform.io/poolkeeper/poolkeeper"
    }
  }
}

# Without an endpoint the provider starts a manager of its own on this machine.
provider "poolkeeper" {}

variable "program" {
  description = "Path of the worker program: go build -o worker ./examples/worker"
  type        = string
}

variable "size" {
  description = "Number of workers"
  type        = number
  default     = 4
}

variable "greeting" {
  description = "Part of the workers' environment: a change of it replaces them step by step"
  type        = string
  default     = "hello"
}

variable "drain_timeout" {
  description = "How long a worker may take to finish its jobs: a change of it touches no worker"
  type        = string
  default     = "20s"
}

resource "poolkeeper_resource_pool" "web" {
  name        = "quickstart"
  description = "HTTP job workers"
  size        = var.size

  worker = {
    command = [var.program]
    env     = { GREETING = var.greeting }
    ports   = [{ name = "http" }]
  }

  health = {
    http     = { path = "/healthz" }
    interval = "500ms"
  }

  update = {
    max_surge         = "50%"
    progress_deadline = "30s"
  }

  # The workers finish their jobs on TERM, so the signal begins the drain.
  drain = {
    timeout          = var.drain_timeout
    signal_at        = "start"
    deregister_delay = "1s"
    grace            = "2s"
  }
}

output "state" {
  value = poolkeeper_resource_pool.web.state
}

output "ready_workers" {
  value = poolkeeper_resource_pool.web.ready_workers
}
