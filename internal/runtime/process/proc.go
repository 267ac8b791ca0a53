//go:build linux || darwin

package process

// proc is one process of this host as it was at one moment.
type proc struct {
	pid, parent, session int
	// start is the start time in the unit of clock, comparable within one boot.
	start  int64
	zombie bool
	name   string
	marks  marks
	origin origin
	// settled is false while the process is becoming another program, so that its environment is not yet
	// the one that it will have.
	settled bool
	// limbo: it is about to become a worker, and no manager knows.
	limbo bool
}

// is says that p is the process that was once seen as pid and start.
func (p proc) is(pid int, start int64) bool { return p.pid == pid && p.start == start }

// leads says that p is the leader of its session, as every worker is.
func (p proc) leads() bool { return p.pid == p.session }

// The rest of what this package asks of an operating system, in files of its own:
//
//	type handle                                 one process, never another that has its pid later
//	openHandle(pid) (handle, error)             runtime.ErrGone if there is none
//	handle.signal(os signal) error              runtime.ErrGone if it has ended
//	handle.close()
//	reserveHandles(n)                           makes room for n, if it can
//	handle.exit(pid, start) ending              its status, reaping it if it is our child
//	startProcess(file, argv, attr) (pid, handle, error)
//	newWatcher() (*watcher, error)              tells when handles end; add, close
//	processIDs() ([]int, error)
//	look(pid) (proc, error)                     fs.ErrNotExist if there is none; all but marks, origin and settled
//	surveyor                                    look with marks, origin and settled
//	clock() int64                               now, in the unit of start times
//	bootID() (string, error)
//	originOf(pid, logs) origin                  what its standard output or error tells
//	hasGivenInput(pid) bool                     whether its standard input is what workers are given
//	tcpSocket() (int, error)
//	ephemeralPorts() (first, last int)          which ports outgoing connections are given
//	setLock                                     how to lock a part of a file
//	detach() (inheritance, error)               keeps what the manager inherited from the workers
