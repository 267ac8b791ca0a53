// Package azure stands in for a backend that no test uses.
package azure

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend azure is not in this build") }
