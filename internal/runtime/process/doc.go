// Package process runs workers as processes of this host. It owns how a process is started, recognized,
// watched, signaled and removed, the ports it is given and the file its output goes to. It knows no pools'
// sizes, no health and no store.
//
// # What a worker is
//
// A worker is the leader of a session of its own, with standard input from /dev/null and both outputs
// appended to DataDir/logs/<pool uid>/<worker id>.log. Nothing ties it to the manager: no pipe, no
// terminal, no inherited descriptor, no signal at the manager's death. Its environment is what its spec
// says, PATH, HOME, and PORT and POOLKEEPER_*; the user, the umask and the limits are the manager's.
//
// # How it is recognized
//
// By boot id, pid and start time together. Whatever is done to a process is done through a handle (a pidfd
// on Linux) that was opened before its start time was compared, so a pid that belongs to somebody else by
// now is never touched. On macOS, which has no such handle, the comparison comes right before the act.
// After a crash between fork and record a worker is found by the variables in its environment, or, if it
// has overwritten them, by the log file its output goes to; a note of its pid, made at its start, tells it
// from what it has started.
//
// The log file counts for more than the variables. What writes to a log of this data directory is found
// whatever manager it names, because the store may have been lost and begun anew; what writes to that of
// another is never touched, because that is a copy with a manager of its own. Where a worker has redirected
// its output, and on macOS, there are only the variables.
//
// # What belongs to a worker
//
// The processes of its session, and those that carry its id and its manager's id in their environment. A
// session is only believed to be the worker's while something proves it: the living leader, a member that
// carries the id or writes to the worker's log, or a member older than the last moment at which the leader
// was known to hold its pid.
// A process that has left the session and dropped the variables is out of reach; so is, as far as signals
// go, one that has become another user's.
//
// # What runs beside a worker
//
// A command that Exec runs is a session of its own with the worker's environment, and POOLKEEPER_ERRAND
// beside it. By that mark it is never listed or adopted as a worker; by the worker's id it ends with the
// worker at the latest. The manager kills its process group when its first process has ended, and looks for
// what has left the group if it had to be cut short or somebody holds its output. What a killed manager
// left is ended by the next one.
//
// # What it costs
//
// One descriptor per living worker (two per command beside one, while it runs), one goroutine for all workers
// together, and no thread. A limit of N
// open files (the hard one: Go raises the soft one at start and gives workers back the original) is
// enough for about N − 100 workers. A walk of the process table, which List, Kill and Sweep need, is shared
// by all that ask for one at the same time.
//
// A manager that is process 1 of a container inherits the orphans of its workers and reaps none of them:
// it should run under an init.
package process
