// Package consul stands in for a backend that no test uses.
package consul

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend consul is not in this build") }
