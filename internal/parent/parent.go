// Package parent tells when the process that started this one is gone. A provider whose Terraform was
// killed has nobody left to end it.
package parent

import "context"

// Await returns nil once the process that started this one is gone, or ctx's error before.
func Await(ctx context.Context) error { return await(ctx) }
