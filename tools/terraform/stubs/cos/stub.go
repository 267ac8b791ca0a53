// Package cos stands in for a backend that no test uses.
package cos

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend cos is not in this build") }
