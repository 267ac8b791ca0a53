// Package oci stands in for a backend that no test uses.
package oci

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend oci is not in this build") }
