package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// lookEvery is the pause between two looks at a manager that comes or goes, or at a lock.
const lookEvery = 20 * time.Millisecond

// Start makes sure that a manager runs that is no older than this program, as the first change would.
func (l *Local) Start(ctx context.Context) error {
	err := l.replaceOlder(ctx)
	if err == nil && !l.socket.ready(ctx) {
		err = l.start(ctx)
	}
	if err != nil {
		return l.verdict(ctx, err)
	}
	return nil
}

// start returns when a manager is ready. Of many that start one at once, one does and the others find it.
func (l *Local) start(ctx context.Context) error {
	return l.alone(ctx, l.bringUp)
}

// alone runs act as the only one that starts or ends a manager of the data directory, with bounded time.
func (l *Local) alone(ctx context.Context, act func(context.Context) error) error {
	if err := l.dir.create(); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeoutCause(ctx, 2*l.patience, fmt.Errorf("another program holds %s", l.dir.starting()))
	defer cancel()
	lock := flock.New(l.dir.starting(), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(waiting, lookEvery); waiting.Err() != nil {
		return fmt.Errorf("wait to start the manager: %w", context.Cause(waiting))
	} else if err != nil {
		return l.dir.unwritable(err)
	}
	acting, cancel := context.WithTimeout(ctx, l.patience)
	defer cancel()
	return errors.Join(act(acting), lock.Unlock())
}

// sight is what can be seen of the data directory's manager at one moment.
type sight struct {
	ready    bool // it answers and can serve
	locked   bool // one lives, whosever it is
	launched bool // we have started one
	exited   bool // and it has exited
}

// step is what to do about a sight.
type step int

const (
	await  step = iota // look again in a moment
	launch             // start one
	done               // there is one that serves
	failed             // what was started is gone and nobody else is there
)

// next decides. A manager of somebody else that comes up or ends is waited for: only its lock says that it
// is gone, and two managers of one directory must never be.
func (s sight) next() step {
	switch {
	case s.ready:
		return done
	case s.locked, s.launched && !s.exited:
		return await
	case s.launched:
		return failed
	}
	return launch
}

// bringUp looks and steps until a manager serves. To be called alone.
func (l *Local) bringUp(ctx context.Context) error {
	var started *started
	pid, running := 0, false
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		seen := sight{launched: started != nil, exited: started.exited()}
		seen.ready = l.socket.ready(ctx)
		var err error
		if pid, running, err = l.dir.Running(); err != nil {
			return err
		}
		seen.locked = running
		switch seen.next() {
		case done:
			return nil
		case failed:
			return fmt.Errorf("the manager ended at its start: %w", started.failure())
		case launch:
			started, err = l.launch()
			if errors.Is(err, syscall.ETXTBSY) {
				// Another thread of this process forked while the copy was open, and its child has not
				// yet let go of it. The next look tries again.
				started, err = nil, nil
			}
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return l.overdue(ctx, pid, running, started)
		case <-look.C:
		case <-started.done():
		}
	}
}

// overdue says what was waited for in vain.
func (l *Local) overdue(ctx context.Context, pid int, running bool, s *started) error {
	switch {
	case errors.Is(context.Cause(ctx), context.Canceled):
		return fmt.Errorf("wait for the manager: %w", context.Cause(ctx))
	case running && (s == nil || s.exited()):
		return l.unanswering(pid)
	case running:
		return fmt.Errorf("a manager (pid %d) lives in data directory %q, but did not become ready on %s within %s; its log is %s",
			pid, l.dir, l.dir.Socket(), l.patience, l.dir.Log())
	}
	return fmt.Errorf("the manager did not become ready within %s: %w", l.patience, s.failure())
}

// unanswering says why a manager that runs is not reached, and how to have one again.
func (l *Local) unanswering(pid int) error {
	why := "it does not answer on " + l.dir.Socket()
	if _, err := os.Stat(l.dir.Socket()); errors.Is(err, fs.ErrNotExist) {
		why = fmt.Sprintf("its socket %s is not there", l.dir.Socket())
	}
	end := "the process that holds " + l.dir.Lock()
	if pid != 0 { // kill 0 would end its caller
		end = fmt.Sprintf("pid %d (kill %d, or kill -KILL %d if it stays)", pid, pid, pid)
	}
	return fmt.Errorf("%w: %s. End %s: its workers live on, and the next call starts a manager anew. Its log is %s",
		ErrUnanswering, why, end, l.dir.Log())
}

// launch starts a manager out of the data directory's copy of the program.
func (l *Local) launch() (*started, error) {
	program, err := l.install()
	if err != nil {
		return nil, err
	}
	log, written, err := openLog(l.dir.Log())
	if err != nil {
		return nil, l.dir.unwritable(err)
	}
	defer log.Close()
	s := &started{log: l.dir.Log(), from: written, gone: make(chan struct{})}
	arguments := []string{"manager", "run", "--data-dir", string(l.dir), "--embedded"}
	process, err := spawn(program, arguments, inherited(os.Environ()), log)
	if err != nil {
		return nil, fmt.Errorf("start the manager: %w (is %s on a file system that forbids programs?)", err, filepath.Dir(program))
	}
	l.log.Info("started a manager", "pid", process.Pid, "data_dir", string(l.dir), "program", program)
	// The manager usually outlives this process. Should it end before, this keeps it from being a zombie.
	go func() {
		s.state, s.err = process.Wait()
		close(s.gone)
	}()
	return s, nil
}

// maxLog is the size in bytes past which a new manager begins a new log; the one before is kept.
const maxLog = 10 << 20

// openLog opens the log to be written behind what is in it. To be called while no manager runs.
func openLog(path string) (log *os.File, written int64, err error) {
	if found, err := os.Stat(path); err == nil && found.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, err
		}
	}
	if log, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return nil, 0, err
	}
	if written, err = log.Seek(0, io.SeekEnd); err != nil {
		return nil, 0, errors.Join(err, log.Close())
	}
	return log, written, nil
}

// started is a manager that we have started. A nil one has never been.
type started struct {
	log  string
	from int64 // where in the log its own words begin

	gone  chan struct{}
	state *os.ProcessState // valid once gone is closed, like err
	err   error
}

func (s *started) done() <-chan struct{} {
	if s == nil || s.exited() {
		return nil
	}
	return s.gone
}

func (s *started) exited() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.gone:
		return true
	default:
		return false
	}
}

// maxTail bounds what an error shows of the log, in bytes.
const maxTail = 4 << 10

// failure is how it ended and the last lines it wrote.
func (s *started) failure() error {
	if s == nil {
		return errors.New("it could not be started")
	}
	outcome := "it still runs"
	if s.exited() {
		outcome = fmt.Sprint(s.state)
		if s.err != nil {
			outcome = s.err.Error()
		}
	}
	words, err := tail(s.log, s.from)
	switch {
	case err != nil:
		return fmt.Errorf("%s; its log cannot be read: %w", outcome, err)
	case words == "":
		return fmt.Errorf("%s; it wrote nothing to %s", outcome, s.log)
	}
	return fmt.Errorf("%s; the end of %s:\n%s", outcome, s.log, words)
}

// tail is the last whole lines that a file holds behind an offset.
func tail(path string, from int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	begin := max(from, size-maxTail)
	words, err := io.ReadAll(io.NewSectionReader(file, begin, maxTail))
	if err != nil {
		return "", err
	}
	text := string(words)
	if begin > from {
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.TrimSpace(text), nil
}
