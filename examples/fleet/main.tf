# A fleet of pools that differ in a few values: consumers of several queues.

terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

variable "command" {
  description = "A consumer, which takes messages from the queue in QUEUE and finishes the one that it has on TERM"
  type        = list(string)
  default     = ["/usr/local/bin/consume"]
}

variable "queues" {
  description = "Consumers by queue"
  type        = map(object({ size = number, timeout = optional(string, "5m") }))
  default = {
    mail    = { size = 1 }
    orders  = { size = 3 }
    reports = { size = 2, timeout = "1h" }
  }
}

resource "poolkeeper_resource_pool" "consumers" {
  for_each = var.queues

  name   = "consumers-${each.key}"
  labels = { queue = each.key }
  size   = each.value.size

  worker = {
    command = var.command
    env     = { QUEUE = each.key }
  }

  drain = {
    signal_at        = "start"
    timeout          = each.value.timeout
    deregister_delay = "0s"
    grace            = "10s"
  }
}

output "ready_workers" {
  value = { for queue, pool in poolkeeper_resource_pool.consumers : queue => pool.ready_workers }
}
