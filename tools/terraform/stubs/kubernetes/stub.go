// Package kubernetes stands in for a backend that no test uses.
package kubernetes

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend kubernetes is not in this build") }
