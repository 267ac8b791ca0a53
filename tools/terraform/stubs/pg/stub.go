// Package pg stands in for a backend that no test uses.
package pg

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend pg is not in this build") }
