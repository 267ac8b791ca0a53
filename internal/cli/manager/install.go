package manager

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/store"
)

// installation is what the command lines of install and uninstall say.
type installation struct {
	options
	run   *pflag.FlagSet // the flags of manager run
	of    kindOf
	name  string
	user  string
	print bool
	force bool
}

func (i *installation) registerPlace(set *pflag.FlagSet) {
	set.StringVar(&i.name, "name", "poolkeeper", "name of the service; each data directory needs one of its own")
	set.BoolVar(&i.of.system, "system", false, "a service of the whole machine, not of the user who asks; needs root")
}

// Install is `manager install`. dataDir is asked when it runs, as that of Command is.
func Install(dataDir func() string) *cobra.Command {
	i := installation{of: kindOf{os: runtime.GOOS}}
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Make the manager a service, which is there again after a log-out and a reboot",
		Long: "Write the file with which systemd (Linux) or launchd (macOS) keeps a manager of the data directory running, and say by which commands that begins. Its flags are those of `manager run`.\n\n" +
			"A user's own service runs a copy of this program in the data directory; one of --system runs this program where it lies. Done again, it replaces the copy, as for an upgrade.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i.dataDir = dataDir()
			return i.install(cmd)
		},
	}
	i.run = pflag.NewFlagSet("run", pflag.ContinueOnError)
	i.run.SortFlags = false
	i.register(i.run)
	cmd.Flags().AddFlagSet(i.run)
	i.registerPlace(cmd.Flags())
	cmd.Flags().StringVar(&i.user, "user", "poolkeeper", "with --system: whom the manager and its workers run as")
	cmd.Flags().BoolVar(&i.print, "print", false, "print the file, and write nothing")
	cmd.Flags().BoolVar(&i.force, "force", false, "replace a file that says something else")
	return cmd
}

// Uninstall is `manager uninstall`.
func Uninstall(dataDir func() string) *cobra.Command {
	i := installation{of: kindOf{os: runtime.GOOS}}
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove what install wrote; records and workers stay",
		Long:  "Remove the file that `manager install` wrote, and the copy of the program that it names. The service has to be stopped first. Records and workers stay, and the next manager of the data directory has them.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			i.dataDir = dataDir()
			return i.uninstall(cmd)
		},
	}
	i.registerPlace(cmd.Flags())
	return cmd
}

// names is what a service may be called wherever it may be.
var names = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// place finds the sort of service, and where its file is or would be.
func (i *installation) place() (k kind, file string, err error) {
	k, known := kinds[i.of]
	switch {
	case !known:
		return k, "", errNoServices
	case !names.MatchString(i.name):
		return k, "", fmt.Errorf("--name is %q; valid: letters, digits, '-' and '_'", i.name)
	}
	if i.dataDir == "" {
		i.dataDir = k.dataDir
	}
	folder, err := k.folder()
	if err != nil {
		return k, "", fmt.Errorf("find the folder for services: %w", err)
	}
	return k, filepath.Join(folder, i.unit(k)+k.suffix), nil
}

func (i *installation) unit(k kind) string { return k.prefix + i.name }

// said is one of the kind's commands, to be typed.
func (i *installation) said(k kind, command, file string) string {
	return strings.NewReplacer("UNIT", i.unit(k), "FILE", shellWord(file)).Replace(command)
}

func shellWord(s string) string {
	if strings.ContainsAny(s, " '\"$\\`&;()*?") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

func (i *installation) install(cmd *cobra.Command) error {
	k, file, err := i.place()
	if err != nil {
		return err
	}
	c, err := i.check()
	if errors.Is(err, errNoToken) {
		return fmt.Errorf("%w; a service has none of your environment, so it takes a --token-file", err)
	} else if err != nil {
		return err
	}
	if err := i.leavesNothingBehind(); err != nil {
		return err
	}
	s, executable, err := i.service(k, c.dir)
	if err != nil {
		return err
	}
	text, err := k.text(s)
	if err != nil {
		return err
	}
	if i.print {
		_, err = fmt.Fprint(cmd.OutOrStdout(), text)
		return err
	}
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for a service of that name: %w", err)
	}
	there := err == nil
	if there && string(old) != text && !i.force {
		return fmt.Errorf("%s says something else; --force replaces it, --name makes a service beside it, --print shows what would be written", file)
	}
	if err := i.prepare(c.dir, executable); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
		return fmt.Errorf("write the service: %w", err)
	}
	i.tell(cmd, k, c.dir, file, there)
	return nil
}

// service is what the command line makes of a kind, and which program that it runs is to be copied.
func (i *installation) service(k kind, dir embedded.DataDir) (s service, executable string, err error) {
	if executable, err = os.Executable(); err != nil {
		return s, "", fmt.Errorf("find the program that the service is to run: %w", err)
	}
	s = service{Unit: i.unit(k), User: i.user, Log: dir.Log()}
	program := executable
	if !i.of.system {
		// Root's service must run nothing that another user can write, and sudo has a PATH of its own; a user's own is
		// to be what the embedded manager was: a program that stays, and the PATH of the shell.
		s.User, s.Path = "", os.Getenv("PATH")
		program = dir.ServiceProgram()
	}
	s.Command = []string{program, "manager", "run", "--data-dir", string(dir), "--take-over"}
	given, err := written(i.run)
	s.Command = append(s.Command, given...)
	return s, executable, err
}

// leavesNothingBehind refuses what a service would have to have from whoever installs it, and cannot.
func (i *installation) leavesNothingBehind() error {
	if os.Getenv(envStore) != "" && i.store == "" {
		return fmt.Errorf("%s is set, and a service has none of your environment: say where the records are with --store", envStore)
	}
	if os.Getenv(keysVariable) != "" && i.keyFile == "" {
		return fmt.Errorf("%s is set, and a service has none of your environment: name a file of the keys with --secrets-key-file", keysVariable)
	}
	if store.HasPassword(i.store) {
		return fmt.Errorf("--store is %s, and everybody can read the file of a service: leave the password out, and put it into ~/.pgpass of the service's user", store.Redacted(i.store))
	}
	return nil
}

// pathFlags are the flags whose values are files and directories of whoever writes them.
var pathFlags = []string{"token-file", "secrets-key-file", "backup-dir"}

// written are the flags that were given, as they are written again from another directory.
func written(set *pflag.FlagSet) (arguments []string, err error) {
	set.VisitAll(func(f *pflag.Flag) {
		if !f.Changed {
			return
		}
		if f.Value.Type() == "bool" {
			arguments = append(arguments, "--"+f.Name+"="+f.Value.String())
			return
		}
		values := []string{f.Value.String()}
		if several, ok := f.Value.(pflag.SliceValue); ok {
			values = several.GetSlice()
		}
		for _, value := range values {
			if slices.Contains(pathFlags, f.Name) {
				absolute, e := filepath.Abs(value)
				value, err = absolute, errors.Join(err, e)
			}
			arguments = append(arguments, "--"+f.Name, value)
		}
	})
	return arguments, err
}

// prepare makes what the service finds when it starts: its program, or for one of the system its directory.
func (i *installation) prepare(dir embedded.DataDir, executable string) error {
	if !i.of.system {
		return dir.KeepProgram(executable)
	}
	runs, err := user.Lookup(i.user)
	if err != nil {
		return fmt.Errorf("--user: %w; make one, as useradd --system does, or name another", err)
	}
	uid, err1 := strconv.Atoi(runs.Uid)
	gid, err2 := strconv.Atoi(runs.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if _, err := os.Stat(string(dir)); !errors.Is(err, fs.ErrNotExist) {
		return err // whoever made it has said whose it is
	}
	if err := errors.Join(os.MkdirAll(string(dir), 0o700), os.Chown(string(dir), uid, gid)); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	return nil
}

// tell says what was written, and what is to be done.
func (i *installation) tell(cmd *cobra.Command, k kind, dir embedded.DataDir, file string, again bool) {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s is written. It keeps a manager of %s running.\n", file, dir)
	begin := k.start
	if again && i.lives(cmd.Context(), k) {
		begin = k.restart
	} else if pid, running, err := dir.Running(); err == nil && running {
		fmt.Fprintf(out, "The embedded manager that runs there (pid %d) is ended then; its workers run on.\n", pid)
	}
	fmt.Fprintf(out, "\n  %s\n", i.said(k, begin, file))
	if k.caveat != "" {
		fmt.Fprintf(out, "\n%s\n", k.caveat)
	}
}

// lives says whether the system runs the service. Where the system cannot be asked it runs none.
func (i *installation) lives(ctx context.Context, k kind) bool {
	ctx, cancel := context.WithTimeout(ctx, systemctlTimeout)
	defer cancel()
	words := strings.Fields(i.said(k, k.state, ""))
	state, err := exec.CommandContext(ctx, words[0], words[1:]...).Output()
	if err != nil {
		return false
	}
	switch strings.TrimSpace(string(state)) {
	case "inactive", "failed":
		return false
	}
	return true
}

func (i *installation) uninstall(cmd *cobra.Command) error {
	k, file, err := i.place()
	if err != nil {
		return err
	}
	dir, err := embedded.Resolve(i.dataDir)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(cmd.OutOrStdout(), "There is no %s.\n", file)
		return nil
	case err != nil:
		return fmt.Errorf("look for the service: %w", err)
	case !strings.Contains(string(text), marker):
		return fmt.Errorf("%s was not written by manager install, so it is left alone", file)
	case !i.of.system && !strings.Contains(string(text), k.quote["program"](dir.ServiceProgram())):
		return fmt.Errorf("%s is the service of another data directory than %s; name that with --data-dir", file, dir)
	case i.lives(cmd.Context(), k):
		// Without its file systemd would forget that a stop of the service spares the workers.
		return fmt.Errorf("the service %s runs; stop it first, which its workers survive: %s", i.unit(k), i.said(k, k.stop, file))
	}
	removed := []string{file}
	if k.wanted != "" {
		removed = append(removed, filepath.Join(filepath.Dir(file), k.wanted, filepath.Base(file)))
	}
	if !i.of.system {
		removed = append(removed, dir.ServiceProgram())
	}
	for _, path := range removed {
		if err := os.Remove(path); err == nil {
			fmt.Fprintf(cmd.OutOrStdout(), "%s is removed.\n", path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the service: %w", err)
		}
	}
	if k.reload != "" {
		fmt.Fprintf(cmd.OutOrStdout(), "\n  %s\n", k.reload)
	}
	return nil
}
