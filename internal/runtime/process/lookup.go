//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// rootDir is where a worker starts whose spec names no directory.
const rootDir = "/"

// Check finds a program, a directory or a host that is not here.
func (r *Runtime) Check(_ context.Context, spec pool.Spec) (faults pool.Faults) {
	if host := spec.Runtime.Host(); host != "" && host != r.host {
		faults = append(faults, pool.Fault{Path: "runtime.process.host", Value: strconv.Quote(host),
			Reason: "this manager runs processes of another host", Valid: r.host + ", or left out"})
	}
	dir := spec.Worker.WorkingDir
	if f := directoryFault(dir); f != nil {
		faults = append(faults, *f)
		dir = ""
	}
	path, ok := spec.Worker.Env["PATH"]
	if !ok {
		path = r.base.path
	}
	faults = append(faults, programFaults("worker.command", spec.Worker.Command, path, dir)...)
	for _, errand := range spec.Errands() {
		faults = append(faults, programFaults(errand.Path, errand.Words, path, dir)...)
	}
	return faults
}

// programFaults says why a command could not be found. What a reference stands for is not known yet.
func programFaults(field string, command []string, path, dir string) pool.Faults {
	if len(command) == 0 || strings.Contains(command[0], "${") || strings.Contains(path, "${") {
		return nil
	}
	if _, f := findProgram(field, command[0], path, dir); f != nil {
		return pool.Faults{*f}
	}
	return nil
}

// directoryFault says why a worker could not start in dir; empty is the root directory.
func directoryFault(dir string) *pool.Fault {
	if dir == "" {
		return nil
	}
	fault := func(reason string) *pool.Fault {
		return &pool.Fault{Path: "worker.working_dir", Value: strconv.Quote(dir), Reason: reason, Valid: "an existing directory that the manager's user may enter"}
	}
	stat, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault("does not exist")
	case err != nil:
		return fault("cannot be read: " + errno(err))
	case !stat.IsDir():
		return fault("is not a directory")
	case unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS) != nil:
		return fault("may not be entered")
	}
	return nil
}

// findProgram finds the file that the first word of a command names, as a shell in dir would: a name without
// a slash in the directories of path, any other relative to dir. field is where the spec has the command.
func findProgram(field, name, path, dir string) (string, *pool.Fault) {
	if dir == "" {
		dir = rootDir
	}
	fault := func(reason, valid string) *pool.Fault {
		return &pool.Fault{Path: field + "[0]", Value: strconv.Quote(name), Reason: reason, Valid: valid}
	}
	executable := "the path of an executable file"
	if strings.Contains(name, "/") {
		file := name
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
			executable += ": absolute, or from worker.working_dir on, which is " + dir
		}
		err := executableFile(file)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			return "", fault("does not exist", executable)
		case errors.Is(err, unix.EISDIR):
			return "", fault("is not a file", executable)
		case errors.Is(err, fs.ErrPermission):
			return "", fault("is not executable", executable)
		}
		return "", fault("cannot be read: "+errno(err), executable)
	}
	forbidden := ""
	for _, place := range filepath.SplitList(path) {
		if !filepath.IsAbs(place) {
			place = filepath.Join(dir, place)
		}
		file := filepath.Join(place, name)
		switch err := executableFile(file); {
		case err == nil:
			return file, nil
		case forbidden == "" && errors.Is(err, fs.ErrPermission):
			forbidden = file
		}
	}
	if path == "" {
		return "", fault("is not found, because the worker's PATH is empty", executable)
	}
	valid := "a program in one of " + path + ", or " + executable
	if forbidden != "" {
		return "", fault("is not executable ("+forbidden+")", valid)
	}
	return "", fault("is not in the worker's PATH", valid)
}

// executableFile errs unless the manager's user may execute the file. It asks for access first: that one
// question answers most of a search through PATH.
func executableFile(file string) error {
	if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
		return err
	}
	stat, err := os.Stat(file)
	if err == nil && !stat.Mode().IsRegular() {
		return unix.EISDIR
	}
	return err
}

// startFault explains an error of fork and exec. What the spec or the host must mend first is a
// *runtime.SpecError; the kernel's word alone does not tell a missing program from a missing directory or
// a missing interpreter, so the files are looked at.
func startFault(err error, p program) error {
	fault := func(reason, valid string) error {
		return &runtime.SpecError{Fault: pool.Fault{Path: p.field + "[0]", Value: strconv.Quote(p.argv[0]), Reason: reason, Valid: valid}}
	}
	switch {
	case errors.Is(err, unix.E2BIG):
		return &runtime.SpecError{Fault: pool.Fault{Path: p.field, Reason: "its arguments and environment are longer than the operating system allows", Valid: "shorter arguments and worker.env"}}
	case errors.Is(err, unix.ENOEXEC):
		return fault(p.file+" is not in a format that the operating system can execute", "a binary for this host, or a script that begins with #!")
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.EACCES), errors.Is(err, unix.ELOOP):
		if f := directoryFault(p.dir); f != nil {
			return &runtime.SpecError{Fault: *f}
		}
		if _, f := findProgram(p.field, p.file, "", p.dir); f != nil {
			f.Value = strconv.Quote(p.argv[0])
			return &runtime.SpecError{Fault: *f}
		}
		if errors.Is(err, unix.EACCES) {
			return fault(p.file+" may not be executed (its interpreter or its file system forbids it)", "a program that the manager's user may execute")
		}
		return fault("the interpreter that "+p.file+" names does not exist", "a program whose interpreter is on this host")
	}
	return err
}

// errno is the bare reason in an error of a file operation.
func errno(err error) string {
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		return no.Error()
	}
	return err.Error()
}
