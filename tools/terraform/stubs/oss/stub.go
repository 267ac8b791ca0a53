// Package oss stands in for a backend that no test uses.
package oss

import "github.com/hashicorp/terraform/internal/backend"

func New() backend.Backend { panic("backend oss is not in this build") }
