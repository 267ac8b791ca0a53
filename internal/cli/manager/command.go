// Package manager is the command that runs a manager. It is the only part of the command line that knows
// what a manager is made of: it opens the parts in order, serves, and closes them again.
package manager

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// envStore stands in for --store.
const envStore = "POOLKEEPER_STORE"

// defaultIdleExit is when an embedded manager that nobody needs ends.
const defaultIdleExit = 30 * time.Second

const defaultLogLevel = "info"

// options are what the command line says.
type options struct {
	version   string
	dataDir   string
	store     string
	listen    []string
	token     string
	tokenFile string
	keyFile   string
	backups   schedule
	host      string
	embedded  bool
	idleExit  time.Duration
	takeOver  bool
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
	o.register(cmd.Flags())
	set := cmd.Flags()
	set.BoolVar(&o.embedded, "embedded", false, "be private to the data directory's user, and end when nobody needs it")
	set.DurationVar(&o.idleExit, "idle-exit", defaultIdleExit, "with --embedded, or if given: end after so long without a pool and without a request (0: never)")
	set.BoolVar(&o.takeOver, "take-over", false, "end an embedded manager that runs in the data directory, and take its place")
	return cmd
}

// register adds the flags of every manager that does not end by itself.
func (o *options) register(set *pflag.FlagSet) {
	set.StringVar(&o.store, "store", "", `where the records are: "sqlite:///path/to/file" or "postgres://user@host/database" (or `+envStore+`, where other users cannot read a password; default: a SQLite file in the data directory)`)
	set.StringArrayVar(&o.listen, "listen", nil, `also answer here: "tcp://127.0.0.1:7070" (needs a token) or "unix:///path/to.sock"; may be repeated`)
	set.StringVar(&o.tokenFile, "token-file", "", "file with the token that TCP clients must show")
	set.StringVar(&o.keyFile, "secrets-key-file", "", "file with the key that seals the pools' secrets, and older keys in lines below it (default: secrets.key in the data directory, made when there is none)")
	set.StringVar(&o.backups.dir, "backup-dir", "", "directory to write backups to by itself (default: none are written)")
	set.DurationVar(&o.backups.every, "backup-every", defaultBackupEvery, "time between two backups")
	set.IntVar(&o.backups.keep, "backup-keep", defaultBackupKeep, "backups that stay; older ones are removed")
	set.StringVar(&o.host, "host", "", "name of this host in specs (default: the host's own)")
	set.StringVar(&o.logLevel, "log-level", defaultLogLevel, "trace, debug, info, warn or error")
	set.BoolVar(&o.logJSON, "log-json", false, "log JSON lines")
}

// checked is what the command line comes to.
type checked struct {
	level     hclog.Level
	dir       embedded.DataDir
	store     string
	token     string
	addresses []address
}

// check finds what can be wrong with the command line before anything is done.
func (o options) check() (c checked, err error) {
	if c.level = hclog.LevelFromString(o.logLevel); c.level == hclog.NoLevel {
		return c, fmt.Errorf("--log-level is %q; valid: trace, debug, info, warn, error", o.logLevel)
	}
	if c.dir, err = embedded.Resolve(o.dataDir); err != nil {
		return c, err
	}
	c.store = cmp.Or(o.store, os.Getenv(envStore), store.SQLiteURL(c.dir.Store()))
	if err := store.Check(c.store); err != nil {
		return c, err
	}
	if c.token, err = o.secret(); err != nil {
		return c, err
	}
	if err := o.backups.check(); err != nil {
		return c, err
	}
	c.addresses, err = addressesOf(c.dir, o.listen, c.token != "")
	return c, err
}

func (o options) run(ctx context.Context) error {
	c, err := o.check()
	if err != nil {
		return err
	}
	if err := o.backups.prepare(); err != nil {
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
		version: o.version, dir: c.dir, store: c.store, host: o.host, token: c.token, addresses: c.addresses, keyFile: o.keyFile, backups: o.backups,
		embedded: o.embedded, idleExit: o.idleExit, takeOver: o.takeOver,
		log: hclog.New(&hclog.LoggerOptions{Name: "poolkeeper", Level: c.level, JSONFormat: o.logJSON, Output: os.Stderr}),
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
