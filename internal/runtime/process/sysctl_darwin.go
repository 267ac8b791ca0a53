package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// clock knows no moment: start times are of the wall clock here, which may be set back, so they prove
// nothing about the order of processes.
func clock() int64 { return 0 }

func bootID() (string, error) {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "", fmt.Errorf("read the boot session: %w", err)
	}
	return id, nil
}

func processIDs() ([]int, error) {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, err
	}
	ids := make([]int, len(all))
	for i := range all {
		ids[i] = int(all[i].Proc.P_pid)
	}
	return ids, nil
}

const stateZombie = 5 // SZOMB of sys/proc.h

func look(pid int) (proc, error) {
	k, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ESRCH) { // EIO: the answer was empty
		return proc{}, fs.ErrNotExist
	}
	if err != nil {
		return proc{}, err
	}
	p := proc{
		pid: pid, parent: int(k.Eproc.Ppid), settled: true,
		start:  k.Proc.P_starttime.Nano() / 1000,
		zombie: k.Proc.P_stat == stateZombie,
		name:   unix.ByteSliceToString(k.Proc.P_comm[:]),
	}
	if p.zombie {
		return p, nil // its session cannot be asked for
	}
	if p.session, err = unix.Getsid(pid); errors.Is(err, unix.ESRCH) {
		return proc{}, fs.ErrNotExist
	}
	return p, err
}

// surveyor looks at processes one after the other.
type surveyor struct{}

func newSurveyor(string) (*surveyor, error) { return &surveyor{}, nil }

// look also reads the marks, of processes whose arguments may be read. A child that its manager's death
// overtook between fork and exec is not recognized here: its open files cannot be listed.
func (*surveyor) look(pid int) (proc, error) {
	p, err := look(pid)
	if err != nil || p.zombie || pid <= 0 {
		return p, err
	}
	raw, err := unix.SysctlRaw("kern.procargs2", pid)
	if err == nil {
		p.marks = readMarks(procArgsEnviron(raw))
	}
	return p, nil // an error means another user's process, or that it is ending
}

// originOf cannot be told without libproc.
func originOf(int, string) origin { return origin{} }

// hasGivenInput cannot be told either; it is believed.
func hasGivenInput(int) bool { return true }

// handle is a pid with a start time to compare. Between the comparison and the act the pid could only be
// another's if all others were used in between.
type handle struct {
	pid   int
	start int64
}

func checkHandles() error { _, err := look(os.Getpid()); return err }
