package process

import "github.com/hashicorp/go-hclog"

// Config says for which manager a Runtime works.
type Config struct {
	// DataDir is where logs are kept, DataDir/logs/<pool uid>/<worker id>.log, and notes of what was started.
	DataDir string
	// Identity is "<manager id>/<incarnation>"; workers carry it.
	Identity string
	// ManagerID is the part of Identity that instances are found by, whatever their incarnation.
	ManagerID string
	// Host is the name that a spec's runtime.process.host is compared with; empty means the host's own.
	Host string
	// Logger may be nil.
	Logger hclog.Logger
}
