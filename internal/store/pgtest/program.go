//go:build unix

package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// debianPrograms is where Debian's packages have the server's programs, which are not on the PATH.
const debianPrograms = "/usr/lib/postgresql/*/bin/"

// program finds one of the server's programs: on the PATH, or the newest where Debian has them.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob(debianPrograms + name)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("this test needs the programs of a PostgreSQL server, and %s is neither on the PATH nor in %s: install them, for example with `apt-get install postgresql` or `brew install postgresql`", name, debianPrograms)
	}
	return found[len(found)-1], nil
}

// credential is who runs the server, which refuses to run as root; nil stands for whoever runs the test.
func credential() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil //nolint:nilnil // no credential is what "as ourselves" is to os/exec
	}
	var missing error
	for _, name := range []string{superuser, "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			missing = err
			continue
		}
		uid, err := strconv.ParseUint(account.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(account.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no other user for it: %w", missing)
}
