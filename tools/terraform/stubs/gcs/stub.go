// Package gcs stands in for a backend that no test uses.
package gcs

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend gcs is not in this build") }
