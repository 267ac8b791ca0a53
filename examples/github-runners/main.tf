# Ephemeral GitHub Actions runners on this machine: each takes one job and exits, and the pool starts the next one.
#
# It needs bash, the command gh, and GitHub's runner (actions-runner-linux-x64-….tar.gz) unpacked in var.distribution.
# Jobs run as the manager's user and can read what that can, the token too: only for repositories that you trust.

terraform {
  required_providers {
    poolkeeper = {
      source = "poolkeeper/poolkeeper"
    }
  }
}

variable "repository" {
  description = "Whose jobs they take: OWNER/NAME"
  type        = string
  default     = "example/project"
}

variable "token_file" {
  description = "File with a token that may administer the repository's self-hosted runners"
  type        = string
  default     = "/etc/github-runners/token"
}

variable "distribution" {
  description = "Where GitHub's runner is unpacked; each worker has a copy of its own"
  type        = string
  default     = "/opt/actions-runner"
}

variable "size" {
  description = "Number of runners: as many jobs run at a time"
  type        = number
  default     = 4
}

resource "poolkeeper_resource_pool" "runners" {
  name        = "github-runners"
  description = "Runners of ${var.repository}"
  size        = var.size

  worker = {
    command = ["bash", abspath("${path.module}/runner.sh")]
    env = {
      GITHUB_REPOSITORY   = var.repository
      GH_TOKEN_FILE       = var.token_file
      RUNNER_DISTRIBUTION = var.distribution
      RUNNER_LABELS       = "poolkeeper"
    }

    # A runner that has done its job exits with 0: no crash, and its successor comes at once.
    on_exit_zero = "replace"
  }

  # An idle runner ends on TERM; one with a job refuses new ones and ends after it.
  drain = {
    signal_at        = "start"
    deregister_delay = "0s"
    timeout          = "6h" # the longest that GitHub lets a job run
    grace            = "1m"
  }

  # Runners of the old script go one by one as they are idle, at most one without a successor.
  update = {
    max_surge       = "0"
    max_unavailable = "1"

    progress_deadline = "7h" # longer than the longest job
  }

  restart_triggers = {
    script = filesha256("${path.module}/runner.sh")
  }
}
