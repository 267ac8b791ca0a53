package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tick is the unit of start times in /proc: USER_HZ is 100 on every architecture that Go runs on.
const tick = int64(1e9 / 100)

// clock is the time since boot in the unit of start times.
func clock() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // as if nothing were known: see claim.heldUntil
	}
	return t.Nano() / tick
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}

func processIDs() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	ids := make([]int, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			ids = append(ids, pid)
		}
	}
	return ids, nil
}

// stat is what /proc/<pid>/stat tells, image and status only to those who may trace the process.
type stat struct {
	proc
	memory uint64 // field 23, bytes of address space; 0 for the kernel's own and for the ended
	status int    // field 52, as wait gives it, once the process is a zombie
	image  image
}

// image is the program that a process executes, as far as it tells one from the next.
type image struct {
	name string
	// headless: the first thread has ended, or is about to, and others run on. It is no zombie, though it looks like one.
	// A process is so too for a moment when another thread of it execs.
	headless bool
	// Fields 26, 50 and 51. An exec sets all three to 0, then the bounds of the environment, then code.
	code, envStart, envEnd uint64
}

func look(pid int) (proc, error) {
	s, err := readStat(pid)
	return s.proc, err
}

// readStat errs with fs.ErrNotExist only if there is no such process. When a thread that is not the first
// one execs, the kernel puts it in the place of the first, and what looks at that moment sees nobody.
func readStat(pid int) (stat, error) {
	var buffer [2048]byte
	for {
		line, err := readProcFile(pid, "stat", buffer[:])
		s := stat{}
		if err == nil {
			s, err = parseStat(line)
		}
		switch {
		case err == nil:
			return s, nil
		case errors.Is(err, fs.ErrNotExist) && exists(pid):
			goruntime.Gosched()
		case errors.Is(err, fs.ErrNotExist):
			return stat{}, fs.ErrNotExist
		default:
			return stat{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
	}
}

// exists asks without /proc.
func exists(pid int) bool {
	_, err := unix.Getsid(pid)
	return err != unix.ESRCH
}

// parseStat reads the line of proc_pid_stat(5). The name may hold anything, spaces and parentheses too. A
// process that is being reaped at this moment has no session any more, and does not exist.
func parseStat(line []byte) (stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return stat{}, errors.New("no name in it")
	}
	fields := bytes.Fields(line[end+1:])
	if len(fields) < 50 {
		return stat{}, fmt.Errorf("%d fields after the name", len(fields))
	}
	if string(fields[6-3]) == "-1" {
		return stat{}, fs.ErrNotExist
	}
	s := stat{}
	s.name = string(line[open+1 : end])
	var err error
	number := func(text []byte) uint64 { // tpgid and the like are not read, so no field is negative
		n, e := strconv.ParseUint(string(text), 10, 64)
		err = errors.Join(err, e)
		return n
	}
	field := func(i int) uint64 { return number(fields[i-3]) } // numbered as in the manual: the state is 3
	s.pid = int(number(bytes.TrimSpace(line[:open])))
	s.parent, s.session = int(field(4)), int(field(6))
	s.start = int64(field(22))
	s.memory = field(23)
	s.status = int(field(52))
	ended := bytes.ContainsAny(fields[0], "ZXx")
	s.image = image{s.name, (ended || s.memory == 0) && field(20) > 1, field(26), field(50), field(51)}
	s.zombie = ended && !s.image.headless
	return s, err
}

// readProcFile reads a file of a process into buffer, or as much of it as fits. The kernel gives that at once: there is
// no second read to see the end.
func readProcFile(pid int, file string, buffer []byte) ([]byte, error) {
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/"+file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ESRCH {
		return nil, fs.ErrNotExist // its memory is gone
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, buffer)
		switch {
		case err == unix.EINTR:
		case err == unix.ESRCH:
			return nil, fs.ErrNotExist // it was reaped while the file was open
		case err != nil:
			return nil, err
		default:
			return buffer[:n], nil
		}
	}
}

// surveyor looks at processes one after the other. It is not for concurrent use.
type surveyor struct {
	self   int
	name   string // what the manager's own process is called
	logDir string // where workers' outputs go
	buffer []byte
}

func newSurveyor(logDir string) (*surveyor, error) {
	self, err := readStat(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("look at the own process: %w", err)
	}
	return &surveyor{self.pid, self.name, logDir, make([]byte, 64<<10)}, nil
}

// look also reads marks and origin, of processes whose environment may be read. That a process carries none is
// only believed if it executed one and the same program while it was looked at.
func (s *surveyor) look(pid int) (proc, error) {
	before, err := readStat(pid)
	if err != nil {
		return proc{}, err
	}
	p, headless := before.proc, before.image.headless
	p.settled = true
	if p.zombie || before.memory == 0 && !headless {
		return p, nil
	}
	file := "environ"
	if headless {
		file = livingThread(pid) + file
	}
	environ, err := s.environ(pid, file)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return p, nil
	case errors.Is(err, fs.ErrNotExist) && exists(pid):
		p.settled = false
		return p, nil
	case err != nil:
		return proc{}, err
	}
	p.marks, p.origin = readMarks(environ), originOf(pid, s.logDir)
	if p.marks.worker != "" || len(environ) > 0 && p.name != s.name {
		return p, nil
	}
	p.limbo = len(environ) > 0 && s.aboutToExec(p)
	after, err := readStat(pid)
	if err != nil {
		return proc{}, err
	}
	complete := len(environ) > 0 || after.image.code != 0 && after.image.envStart == after.image.envEnd
	p.settled = before.image == after.image && complete && !headless && !p.limbo
	return p, nil
}

// aboutToExec says that p was forked by a manager that has died since, and has not become a worker yet:
// until exec it shares the dead manager's name and environment, but it holds the worker's log file.
func (s *surveyor) aboutToExec(p proc) bool {
	if p.pid == s.self || p.parent == s.self {
		return false // the own launches know what they do
	}
	dir := "/proc/" + strconv.Itoa(p.pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil { // it may be, unless it is another's or has ended
		return !errors.Is(err, fs.ErrPermission) && exists(p.pid)
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		target, err := os.Readlink(dir + "/" + e.Name())
		return err == nil && strings.HasPrefix(target, s.logDir+"/")
	})
}

// livingThread is the directory of a thread that has not ended, below that of its process; empty if there
// is no telling.
func livingThread(pid int) string {
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil || len(entries) == 0 {
		return ""
	}
	return "task/" + entries[len(entries)-1].Name() + "/"
}

// environ is valid until the next call.
func (s *surveyor) environ(pid int, file string) ([]byte, error) {
	for {
		environ, err := readProcFile(pid, file, s.buffer)
		if err != nil || len(environ) < len(s.buffer) {
			return environ, err
		}
		s.buffer = make([]byte, 2*len(s.buffer))
	}
}

// originOf reads what a process's output tells, where dir holds this manager's logs. A first thread that
// has ended has no open files any more; another one is asked then.
func originOf(pid int, dir string) origin {
	place := "/proc/" + strconv.Itoa(pid)
	o, open := originAt(place+"/fd/", dir)
	if !open {
		o, _ = originAt(place+"/"+livingThread(pid)+"fd/", dir)
	}
	return o
}

// originAt also says whether any output is open.
func originAt(fds, dir string) (o origin, open bool) {
	for _, fd := range []string{"1", "2"} {
		path, err := os.Readlink(fds + fd)
		if err != nil {
			continue
		}
		open = true
		o = readOrigin(path, dir)
		if o.worker == "" {
			continue
		}
		if !o.own { // unless this data directory only has two names, through a mount
			o.own = sameFile(fds+fd, filepath.Join(dir, o.poolUID, o.worker+logSuffix))
		}
		return o, true
	}
	return origin{}, open
}

// hasGivenInput says that a process's standard input is the one that workers are started with.
func hasGivenInput(pid int) bool {
	place := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(place + "/fdinfo/0")
	if errors.Is(err, fs.ErrNotExist) {
		text, err = os.ReadFile(place + "/" + livingThread(pid) + "fdinfo/0")
	}
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if flags, ok := strings.CutPrefix(line, "flags:"); ok {
			n, err := strconv.ParseUint(strings.TrimSpace(flags), 8, 64)
			return err == nil && n&(unix.O_ACCMODE|unix.O_APPEND) == stdinFlags
		}
	}
	return false
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
