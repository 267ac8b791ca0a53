# Inference servers on this machine: llama.cpp's, as any that answers /health with 200 once its model is loaded.
# A gateway has their addresses from `poolkeeper registry`, or from /v1/registry:watch of the manager.

terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

variable "program" {
  description = "The server's program"
  type        = string
  default     = "/usr/local/bin/llama-server"
}

variable "model" {
  description = "The model's file: another one goes to a canary first"
  type        = string
  default     = "/var/lib/models/model.gguf"
}

variable "size" {
  description = "Number of servers"
  type        = number
  default     = 2
}

variable "min_ready" {
  description = "How long a new server has to be healthy before it counts"
  type        = string
  default     = "30s"
}

variable "bake" {
  description = "How long the canary has to be good before the rest follows"
  type        = string
  default     = "15m"
}

variable "answer" {
  description = "How long the longest answer takes"
  type        = string
  default     = "2m"
}

resource "poolkeeper_resource_pool" "inference" {
  name   = "inference"
  labels = { model = trimsuffix(basename(var.model), ".gguf") }
  size   = var.size

  worker = {
    command = [var.program, "--host", "127.0.0.1", "--port", "$${PORT}", "--model", var.model, "--parallel", "4"]
    ports   = [{ name = "http" }]
  }

  health = {
    http         = { path = "/health" }
    interval     = "5s"
    timeout      = "2s"
    start_period = "10m" # a model is loaded; the server serves as soon as the check passes
  }

  # Memory for one server more than the size is there, and one of the new ones goes first.
  update = {
    max_surge         = "1"
    min_ready         = var.min_ready
    progress_deadline = "15m" # longer than a model is loaded
    canary            = { count = 1, bake = var.bake }
  }

  # The gateway sends nothing more to a server that has left the registry; what it has been sent is answered by then.
  drain = {
    deregister_delay = var.answer
    timeout          = "5m"
    grace            = "10s"
  }
}
