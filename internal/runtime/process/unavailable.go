//go:build !linux && !darwin

package process

import (
	"fmt"
	goruntime "runtime"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// Runtime is never opened on this operating system.
type Runtime struct{ runtime.Runtime }

// Open always errs: workers need sessions and handles on processes that only Linux and macOS give.
func Open(Config) (*Runtime, error) {
	system := goruntime.GOOS
	if system == "windows" {
		system = "Windows"
	}
	return nil, fmt.Errorf("the process runtime is not available on %s; point the provider at a manager with endpoint", system)
}
