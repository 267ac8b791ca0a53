//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// parts are the programs and files that the demo is made of.
type parts struct {
	poolkeeper, worker, terraform, quickstart string
}

// stage is the temporary directory in which everything happens, and the two programs that a user types.
type stage struct {
	dir        string
	terraform  string
	poolkeeper string
	env        []string
	out        io.Writer

	variables []variable // of terraform.tfvars, in order
	gone      bool       // the pool was destroyed and the manager ended
}

type variable struct{ name, value string }

// mirrored is the version under which the provider lies in the mirror; Terraform asks only that it is one.
const mirrored = "0.1.0"

// raise lays out the temporary directory: a mirror to install the provider from, as `terraform init` wants it,
// the configuration, the worker, and the command line under its short name.
func raise(p parts, out io.Writer) (_ *stage, err error) {
	dir, err := os.MkdirTemp("", "poolkeeper-demo-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	// Programs are recognized by their path, so it must not lead over a link.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	s := &stage{dir: dir, out: out, poolkeeper: filepath.Join(dir, "bin", "poolkeeper")}
	if s.terraform, err = filepath.Abs(p.terraform); err != nil {
		return nil, err
	}

	mirror := filepath.Join(dir, "mirror")
	plugin := filepath.Join(mirror, "registry.terraform.io", "poolkeeper", "poolkeeper", mirrored,
		runtime.GOOS+"_"+runtime.GOARCH, "terraform-provider-poolkeeper_v"+mirrored)
	copies := map[string]string{
		plugin:                     p.poolkeeper,
		s.poolkeeper:               p.poolkeeper,
		s.at("bin", "worker"):      p.worker,
		s.at("quickstart/main.tf"): filepath.Join(p.quickstart, "main.tf"),
	}
	for to, from := range copies {
		if err := copyFile(from, to); err != nil {
			return nil, err
		}
	}
	cliConfig := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n", mirror)
	if err := os.WriteFile(s.at("terraform.rc"), []byte(cliConfig), 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(s.at("home"), 0o700); err != nil {
		return nil, err
	}
	s.env = []string{
		"PATH=" + filepath.Dir(s.poolkeeper) + ":" + os.Getenv("PATH"),
		"HOME=" + s.at("home"),
		"TMPDIR=" + os.TempDir(),
		"TF_CLI_CONFIG_FILE=" + s.at("terraform.rc"),
		"TF_IN_AUTOMATION=1", // no advice on what to type next
		"TF_CLI_ARGS=-no-color",
		"CHECKPOINT_DISABLE=1",
		"POOLKEEPER_DATA_DIR=" + s.dataDir(),
	}
	err = s.set("program", s.at("bin", "worker"))
	return s, err
}

func (s *stage) at(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

func (s *stage) dataDir() string { return s.at("data") }
func (s *stage) socket() string  { return s.at("data", "manager.sock") }

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	about, err := source.Stat()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, about.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// set writes a variable into terraform.tfvars, as a user would with an editor.
func (s *stage) set(name, value string) error {
	s.variables = slices.DeleteFunc(s.variables, func(v variable) bool { return v.name == name })
	s.variables = append(s.variables, variable{name, value})
	var text strings.Builder
	for _, v := range s.variables {
		fmt.Fprintf(&text, "%s = %q\n", v.name, v.value)
	}
	return os.WriteFile(s.at("quickstart", "terraform.tfvars"), []byte(text.String()), 0o600)
}

func (s *stage) heading(number int, title string) {
	fmt.Fprintf(s.out, "\n== %d. %s ==\n", number, title)
}

func (s *stage) say(format string, values ...any) {
	fmt.Fprintf(s.out, "  "+format+"\n", values...)
}

// edit sets a variable and shows it.
func (s *stage) edit(name, value string) error {
	s.say("terraform.tfvars: %s = %q", name, value)
	return s.set(name, value)
}

// shown decides which lines of a command's output are printed.
type shown func(line string) bool

func everything(string) bool { return true }
func nothing(string) bool    { return false }

// idle are the lines of Terraform's output that say nothing of the pool at hand: its legend, and what can be known
// only afterwards.
var idle = regexp.MustCompile(`known after apply|operation +=|^Terraform (used|will|detected)|^plan\. |^last "|^  [+~-] (create|update|destroy)|` +
	`Refreshing state|^Note:|^Unless you|^relevant|^actions|^─|^Changes to Outputs|^ +# \(\d+ unchanged`)

func telling(line string) bool { return !idle.MatchString(line) }

func starting(prefixes ...string) shown {
	return func(line string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) })
	}
}

// tf runs terraform in the configuration's directory.
func (s *stage) tf(ctx context.Context, show shown, args ...string) error {
	_, err := s.run(ctx, show, s.terraform, args...)
	return err
}

// run prints the command line as a user would type it, and what is shown of its output. What is not shown is
// part of the error, should there be one.
func (s *stage) run(ctx context.Context, show shown, program string, args ...string) ([]byte, error) {
	s.say("$ %s %s", filepath.Base(program), typed(args))
	return s.quiet(ctx, show, program, args...)
}

// typed is arguments as a user types them.
func typed(args []string) string {
	words := slices.Clone(args)
	for i, w := range words {
		if strings.Contains(w, " ") {
			words[i] = strconv.Quote(w)
		}
	}
	return strings.Join(words, " ")
}

// quiet is run without the command line.
func (s *stage) quiet(ctx context.Context, show shown, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = s.at("quickstart")
	cmd.Env = s.env
	// A group of its own: a Ctrl-C comes to us alone, and goes to the command once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var stdout, stderr bytes.Buffer
	lines := &lineWriter{show: show, out: s.out}
	cmd.Stdout = io.MultiWriter(&stdout, lines)
	cmd.Stderr = &stderr
	err := cmd.Run()
	lines.flush()
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			said = strings.TrimSpace(stdout.String())
		}
		return stdout.Bytes(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(program), strings.Join(args, " "), err, said)
	}
	return stdout.Bytes(), nil
}

// lineWriter prints whole lines, indented, as they come.
type lineWriter struct {
	show    shown
	out     io.Writer
	partial []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	w.partial = append(w.partial, data...)
	for {
		line, rest, whole := bytes.Cut(w.partial, []byte("\n"))
		if !whole {
			return len(data), nil
		}
		w.print(string(line))
		w.partial = rest
	}
}

func (w *lineWriter) print(line string) {
	if line = strings.TrimRight(line, " \r"); line != "" && w.show(line) {
		fmt.Fprintf(w.out, "    %s\n", line)
	}
}

func (w *lineWriter) flush() {
	w.print(string(w.partial))
	w.partial = nil
}
