// Package manager is the command that runs a manager. It is the only part of the command line that knows
// what a manager is made of: it opens the parts in order, serves, and closes them again.
package manager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
)

// defaultIdleExit is when an embedded manager that nobody needs ends.
const defaultIdleExit = 30 * time.Second

// options are what the command line says.
type options struct {
	version   string
	dataDir   string
	listen    []string
	token     string
	tokenFile string
	keyFile   string
	backups   schedule
	host      string
	embedded  bool
	idleExit  time.Duration
	logLevel  string
	logJSON   bool
}

// Command is `manager run`. dataDir and token are asked when it runs: they say what the flags and the
// environment that all commands share have said.
func Command(version string, dataDir, token func() string) *cobra.Command {
	o := options{version: version}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run a manager in the foreground",
		Long: "Run a manager in the foreground until it is told to end. Its workers go on running when it ends; the next manager of the data directory adopts them.\n\n" +
			"It always answers on the socket in its data directory.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.dataDir, o.token = dataDir(), token()
			if !o.embedded && !cmd.Flags().Changed("idle-exit") {
				o.idleExit = 0
			}
			return o.run(cmd.Context())
		},
	}
	set := cmd.Flags()
	set.StringArrayVar(&o.listen, "listen", nil, `also answer here: "tcp://127.0.0.1:7070" (needs a token) or "unix:///path/to.sock"; may be repeated`)
	set.StringVar(&o.tokenFile, "token-file", "", "file with the token that TCP clients must show")
	set.StringVar(&o.keyFile, "secrets-key-file", "", "file with the key that seals the pools' secrets, and older keys in lines below it (default: secrets.key in the data directory, made when there is none)")
	set.StringVar(&o.backups.dir, "backup-dir", "", "directory to write backups to by itself (default: none are written)")
	set.DurationVar(&o.backups.every, "backup-every", 24*time.Hour, "time between two backups")
	set.IntVar(&o.backups.keep, "backup-keep", 7, "backups that stay; older ones are removed")
	set.StringVar(&o.host, "host", "", "name of this host in specs (default: the host's own)")
	set.BoolVar(&o.embedded, "embedded", false, "be private to the data directory's user, and end when nobody needs it")
	set.DurationVar(&o.idleExit, "idle-exit", defaultIdleExit, "with --embedded, or if given: end after so long without a pool and without a request (0: never)")
	set.StringVar(&o.logLevel, "log-level", "info", "trace, debug, info, warn or error")
	set.BoolVar(&o.logJSON, "log-json", false, "log JSON lines")
	return cmd
}

// run checks everything that can be wrong with the command line before anything is done.
func (o options) run(ctx context.Context) error {
	level := hclog.LevelFromString(o.logLevel)
	if level == hclog.NoLevel {
		return fmt.Errorf("--log-level is %q; valid: trace, debug, info, warn, error", o.logLevel)
	}
	if err := o.backups.check(); err != nil {
		return err
	}
	dir, err := embedded.Resolve(o.dataDir)
	if err != nil {
		return err
	}
	token, err := o.secret()
	if err != nil {
		return err
	}
	addresses, err := addressesOf(dir, o.listen, token != "")
	if err != nil {
		return err
	}
	if o.host == "" {
		if o.host, err = os.Hostname(); err != nil {
			return fmt.Errorf("find the name of this host: %w; give it with --host", err)
		}
	}
	if o.embedded {
		makePrivate()
	}
	m := instance{
		version: o.version, dir: dir, host: o.host, token: token, addresses: addresses, keyFile: o.keyFile, backups: o.backups,
		embedded: o.embedded, idleExit: o.idleExit,
		log: hclog.New(&hclog.LoggerOptions{Name: "poolkeeper", Level: level, JSONFormat: o.logJSON, Output: os.Stderr}),
	}
	warnOfSystemd(ctx, m.log)
	return m.live(ctx)
}

// secret is the token that TCP clients must show; empty if there is none.
func (o options) secret() (string, error) {
	if o.tokenFile == "" {
		return o.token, nil
	}
	data, err := os.ReadFile(o.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("the token file %s is empty", o.tokenFile)
	}
	return token, nil
}

// errNoToken: whoever reaches a TCP port could run programs as the manager's user.
var errNoToken = errors.New("needs a token, because everyone who reaches it could run programs here; give one with --token-file or POOLKEEPER_TOKEN")
