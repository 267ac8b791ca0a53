package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// The variables that stand in for flags.
const (
	envEndpoint = "POOLKEEPER_ENDPOINT"
	envToken    = "POOLKEEPER_TOKEN"
	envDataDir  = "POOLKEEPER_DATA_DIR"
)

// flags are those of every command.
type flags struct {
	endpoint, token, dataDir string
	output                   string
	reason                   string
}

func (f *flags) register(set *pflag.FlagSet) {
	set.StringVar(&f.endpoint, "endpoint", "", `manager to reach, like "unix:///path/manager.sock" or "https://host" (or `+envEndpoint+")")
	set.StringVar(&f.token, "token", "", "token for the endpoint (better in "+envToken+", where other users cannot read it)")
	set.StringVar(&f.dataDir, "data-dir", "", "data directory of the manager on this machine (or "+envDataDir+"; default ~/.local/share/poolkeeper)")
	set.StringVarP(&f.output, "output", "o", formats[0], "what to print: "+strings.Join(formats, ", "))
	set.StringVar(&f.reason, "reason", "", "why the change is made, for the audit log")
}

// settle fills in what the environment says. A flag goes before the environment, also before the other
// way to name a manager.
func (f *flags) settle(set *pflag.FlagSet) error {
	byEndpoint, byDir := set.Changed("endpoint"), set.Changed("data-dir")
	if byEndpoint && byDir {
		return &usageError{errors.New("--endpoint and --data-dir name two managers; give one of them")}
	}
	if !slices.Contains(formats, f.output) {
		return &usageError{fmt.Errorf("--output is %q; valid: %s", f.output, strings.Join(formats, ", "))}
	}
	if !byDir {
		f.endpoint = cmp.Or(f.endpoint, os.Getenv(envEndpoint))
	}
	if !byEndpoint {
		f.dataDir = cmp.Or(f.dataDir, os.Getenv(envDataDir))
	}
	f.token = cmp.Or(f.token, os.Getenv(envToken))
	return nil
}

func (f *flags) dataDirectory() string { return f.dataDir }

func (f *flags) secret() string { return f.token }

// reach is a client of the manager that the flags name; a local one is started when a call needs it.
func (s *session) reach() (client.Manager, error) {
	if s.flags.endpoint != "" {
		return s.direct(s.flags.endpoint, 0)
	}
	return embedded.Connect(embedded.Options{DataDir: s.flags.dataDir, Version: s.version, Program: s.program()})
}

// direct is a client of one endpoint that starts nothing.
func (s *session) direct(endpoint string, patience int) (*client.Client, error) {
	config := client.Config{Endpoint: endpoint, Program: s.program()}
	if s.flags.endpoint != "" {
		config.Token = s.flags.token
	}
	if patience < 0 {
		config.Patience = -1
	}
	return client.New(config)
}

func (s *session) program() string { return "poolkeeper/" + s.version }

func (s *session) change() client.Change { return client.Change{Reason: s.flags.reason} }
