package pool

import (
	"regexp"
	"slices"
	"strings"
)

// Change says how a change of a field reaches the workers, from the mildest to the hardest.
type Change string

const (
	ChangeNone     Change = "none"     // nothing differs
	ChangeCreation Change = "creation" // read at creation only; later changes are recorded
	ChangeHot      Change = "hot"      // the manager acts on it; no worker is touched
	ChangeContract Change = "contract" // how workers are treated; living workers follow
	ChangeRolling  Change = "rolling"  // workers are replaced step by step within the budgets
	ChangeReplace  Change = "replace"  // only another pool can have it
)

var changeOrder = []Change{ChangeNone, ChangeCreation, ChangeHot, ChangeContract, ChangeRolling, ChangeReplace}

// Harder returns the harder of two changes.
func Harder(a, b Change) Change {
	if slices.Index(changeOrder, b) > slices.Index(changeOrder, a) {
		return b
	}
	return a
}

// Kind is the type of a leaf field's value as a user writes it.
type Kind string

const (
	KindString   Kind = "string"
	KindInt      Kind = "whole number"
	KindBool     Kind = "true or false"
	KindDuration Kind = "duration"
	KindBytes    Kind = "size in bytes"
	KindAmount   Kind = "number or percentage"
	KindList     Kind = "list of strings"
	KindMap      Kind = "map of strings"
	KindPorts    Kind = "list of ports"
	KindWindows  Kind = "list of windows"
)

// Field describes one leaf of Spec: everything that decoding, defaults, validation, change planning,
// schemas and docs need to know of it.
type Field struct {
	Path     string // dotted, from the spec's root
	Kind     Kind
	Default  string // as a user would write it; empty means none
	Change   Change
	Runtimes []string // that enforce it; nil means all
	Required bool     // a leaf in a member of a one-of object: where that member is there
	OneOf    bool     // a leaf in a member of a one-of object: never filled in, empty has a meaning of its own
	Secret   bool     // only ever on its way in: no record has it, nobody is answered it, and it is no difference between specs
	Enum     []string // the only valid values
	Min, Max string   // bounds, written like the value
	Pattern  string   // an anchored regular expression
	Valid    string   // what Pattern admits, in words
	Doc      string   // one sentence
}

const (
	dnsLabel = `^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`
	inDNS    = "a DNS label: 1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit"

	// prose is one character of text for people: any but control characters, of which a terminal would act on some.
	prose = `[^\x00-\x08\x0b-\x1f\x7f-\x9f]`

	httpPath   = `^(/([^\x00-\x20\x7f%]|%[0-9a-fA-F]{2})*)?$`
	inHTTPPath = "a path that begins with '/', without spaces, and with two hex digits after each '%'"
)

// MaxSize is the largest number of workers one pool can have.
const MaxSize = "100000"

// Fields is the table of all leaves of Spec, in the order of the docs.
var Fields = []Field{
	{Path: "name", Kind: KindString, Required: true, Change: ChangeReplace, Pattern: dnsLabel, Valid: inDNS,
		Doc: "Name of the pool, unique among the manager's living pools."},
	{Path: "description", Kind: KindString, Change: ChangeHot, Pattern: `^` + prose + `{0,512}` + prose + `{0,512}$`, Valid: "at most 1024 characters, none a control character but tab and line end",
		Doc: "What the pool is for, for people."},
	{Path: "labels", Kind: KindMap, Change: ChangeHot,
		Doc: "Labels to find the pool by, with values of at most 256 bytes without control characters."},
	{Path: "runtime.process.host", Kind: KindString, OneOf: true, Change: ChangeReplace, Runtimes: []string{RuntimeProcess},
		Doc: "Name of the host whose processes the workers are. Left out, it is the host of the manager that accepts the pool."},
	{Path: "worker.command", Kind: KindList, Required: true, Change: ChangeRolling,
		Doc: "Program and arguments of a worker. `${PORT}` and `${POOLKEEPER_PORT_<NAME>}` stand for the ports chosen for it, `${POOLKEEPER_WORKER_ID}` for its id."},
	{Path: "worker.env", Kind: KindMap, Change: ChangeRolling,
		Doc: "Environment of a worker, beside the variables that Poolkeeper sets, and PATH and HOME, which are the manager's unless they are set here. Nothing else is passed on."},
	{Path: pathSecretEnv, Kind: KindMap, Secret: true, Change: ChangeNone,
		Doc: "Secret part of a worker's environment. It is kept encrypted and never shown again, beside `worker.secret_env_version`, which names it: a new version needs the values, a known one has them already."},
	{Path: pathSecretVersion, Kind: KindInt, Change: ChangeRolling, Min: "1", Max: "1000000000",
		Doc: "Version of the secret environment. The same version always stands for the same values, so that a pool can return to it; raise it with every change of them. Left out, workers have no secrets."},
	{Path: "worker.working_dir", Kind: KindString, Change: ChangeRolling, Runtimes: []string{RuntimeProcess}, Pattern: `^(/[^\x00]*)?$`, Valid: "an absolute path without NUL",
		Doc: "Directory a worker starts in; left out, the root directory."},
	{Path: "worker.ports", Kind: KindPorts, Change: ChangeRolling,
		Doc: "Ports that are chosen for each worker and given to it as `POOLKEEPER_PORT_<NAME>`; the first also as `PORT`."},
	{Path: "worker.on_exit_zero", Kind: KindString, Default: ExitZeroReplace, Change: ChangeContract, Enum: []string{ExitZeroReplace, ExitZeroCrash},
		Doc: "What a worker's exit with code 0 is. `replace`: it has done its work, as a runner of a single job has, and gets a successor at once. `crash`: it has failed. An exit within a second of its start is a crash in any case."},
	{Path: "worker_limits.max_age", Kind: KindDuration, Change: ChangeHot, Min: "1m", Max: "8760h",
		Doc: "Age at which a worker is replaced, within the budgets of `update`; left out, none."},
	{Path: "worker_limits.max_leases", Kind: KindInt, Change: ChangeHot, Min: "1", Max: "1000000000",
		Doc: "Leases after which a worker gets no more. Once the last has ended it is replaced, within the budgets of `update`; left out, none."},
	{Path: "leases.slots", Kind: KindInt, Default: "1", Change: ChangeContract, Min: "1", Max: "10000",
		Doc: "Leases that one worker takes at a time."},
	{Path: "leases.ttl", Kind: KindDuration, Default: "1m", Change: ChangeContract, Min: "5s", Max: "24h",
		Doc: "Time after its grant and each renewal in which a lease must be renewed again."},
	{Path: "size", Kind: KindInt, Change: ChangeHot, Min: "0", Max: MaxSize,
		Doc: "Desired number of workers; not with `autoscaling`, of which one is required."},
	{Path: "autoscaling.min", Kind: KindInt, Required: true, OneOf: true, Change: ChangeHot, Min: "0", Max: MaxSize,
		Doc: "Fewest workers."},
	{Path: "autoscaling.max", Kind: KindInt, Required: true, OneOf: true, Change: ChangeHot, Min: "1", Max: MaxSize,
		Doc: "Most workers."},
	{Path: "autoscaling.initial", Kind: KindInt, OneOf: true, Change: ChangeCreation, Min: "0", Max: MaxSize,
		Doc: "Workers that a `prewarmed` pool starts with; left out, `min`."},
	{Path: "autoscaling.idle_timeout", Kind: KindDuration, OneOf: true, Change: ChangeHot, Min: "1s", Max: "168h",
		Doc: "How long workers are kept that no lease needs; left out, `5m`."},
	{Path: "initialization", Kind: KindString, Default: Prewarmed, Change: ChangeCreation, Enum: []string{Prewarmed, Dynamic, Empty},
		Doc: "How the pool starts: `prewarmed` waits at creation until every worker is available, `dynamic` (with `autoscaling`) starts with `autoscaling.min` and grows when a lease waits, `empty` starts with size 0 or, with `autoscaling`, with a `min` of 0."},
	{Path: "health.http.path", Kind: KindString, OneOf: true, Change: ChangeContract, Pattern: httpPath, Valid: inHTTPPath,
		Doc: "Path that a healthy worker answers with a status from 200 to 399; a redirect is not followed. Left out, `/`."},
	{Path: "health.http.port", Kind: KindString, OneOf: true, Change: ChangeContract,
		Doc: "Name of the port to ask; left out, the first of `worker.ports`."},
	{Path: "health.tcp.port", Kind: KindString, OneOf: true, Change: ChangeContract,
		Doc: "Name of the port to connect to; left out, the first of `worker.ports`."},
	{Path: "health.grpc.port", Kind: KindString, OneOf: true, Change: ChangeContract,
		Doc: "Name of the port to call, without TLS; left out, the first of `worker.ports`."},
	{Path: "health.grpc.service", Kind: KindString, OneOf: true, Change: ChangeContract, Pattern: `^[^\x00-\x1f\x7f]{0,256}$`, Valid: "at most 256 characters, none of them a control character",
		Doc: "Service to ask after; left out, the server as a whole."},
	{Path: pathHealthExec, Kind: KindList, Required: true, OneOf: true, Change: ChangeContract,
		Doc: "Program and arguments of the check, with the references of `worker.command`. It runs where the worker runs, in its directory and with its environment, and is killed with all that it started when it has ended or `health.timeout` has passed."},
	{Path: "health.interval", Kind: KindDuration, Default: "10s", Change: ChangeContract, Min: "100ms", Max: "1h",
		Doc: "Time between two checks of a ready worker."},
	{Path: "health.timeout", Kind: KindDuration, Default: "1s", Change: ChangeContract, Min: "10ms", Max: "5m",
		Doc: "Time after which an unanswered check counts as failed."},
	{Path: "health.healthy_threshold", Kind: KindInt, Default: "1", Change: ChangeContract, Min: "1", Max: "100",
		Doc: "Passed checks in a row that make a worker healthy."},
	{Path: "health.unhealthy_threshold", Kind: KindInt, Default: "3", Change: ChangeContract, Min: "1", Max: "100",
		Doc: "Failed checks in a row that make a worker unhealthy."},
	{Path: "health.start_period", Kind: KindDuration, Default: "0s", Change: ChangeContract, Min: "0s", Max: "1h",
		Doc: "Time after a worker's start in which failed checks do not count."},
	{Path: "remediation.enabled", Kind: KindBool, Default: "true", Change: ChangeHot,
		Doc: "Whether unhealthy workers are replaced. A worker that is gone is always replaced."},
	{Path: "remediation.max_unhealthy", Kind: KindAmount, Default: "40%", Change: ChangeHot, Max: "100%",
		Doc: "Breaker: while more workers than this are unhealthy or in replacement, no more running ones are replaced; one always may be."},
	{Path: "remediation.backoff", Kind: KindDuration, Default: "1s", Change: ChangeHot, Min: "100ms", Max: "1h",
		Doc: "Wait before the second replacement of a worker in the same place within ten minutes; it doubles each time, up to a minute or this, whatever is longer."},
	{Path: "update.max_surge", Kind: KindAmount, Default: "25%", Change: ChangeHot, Max: "100%",
		Doc: "Workers that a rolling update may run beyond the size; a percentage rounds up."},
	{Path: "update.max_unavailable", Kind: KindAmount, Default: "0", Change: ChangeHot, Max: "100%",
		Doc: "Workers that may be unavailable because of a rolling update; a percentage rounds down."},
	{Path: "update.min_ready", Kind: KindDuration, Default: "0s", Change: ChangeHot, Min: "0s", Max: "1h",
		Doc: "Time that a new worker must be ready and healthy before it counts as available."},
	{Path: "update.progress_deadline", Kind: KindDuration, Default: "10m", Change: ChangeHot, Min: "1s", Max: "24h",
		Doc: "Time without progress after which a create or rolling update has failed."},
	{Path: "update.canary.count", Kind: KindInt, OneOf: true, Change: ChangeHot, Min: "1", Max: MaxSize,
		Doc: "Workers of the new template that a rolling update starts with; left out, 1."},
	{Path: "update.canary.bake", Kind: KindDuration, OneOf: true, Change: ChangeHot, Min: "0s", Max: "168h",
		Doc: "Time that these must have been available before the rest follows; left out, `0s`."},
	{Path: "update.canary.promote", Kind: KindString, OneOf: true, Change: ChangeHot, Enum: []string{PromoteAuto, PromoteManual},
		Doc: "`auto`: the rest follows by itself. `manual`: a person has it follow, by `poolkeeper rollout promote`. Left out, `auto`."},
	{Path: "update.on_failure", Kind: KindString, Default: OnFailureRollback, Change: ChangeHot, Enum: []string{OnFailureRollback, OnFailurePause},
		Doc: "What becomes of a rolling update without progress for `progress_deadline`. `rollback`: the pool returns to the last revision whose rollout succeeded. `pause`: it stops where it is."},
	{Path: "update.windows", Kind: KindWindows, Change: ChangeHot,
		Doc: "Times in which rolling updates go on; left out, always. A canary is part of the update. Size, health and the replacement of lost workers wait for no window."},
	{Path: "drain.timeout", Kind: KindDuration, Default: "5m", Change: ChangeContract, Min: "0s", Max: "168h",
		Doc: "Time that a draining worker has to finish its work."},
	{Path: "drain.on_timeout", Kind: KindString, Default: OnTimeoutTerminate, Change: ChangeContract, Enum: []string{OnTimeoutTerminate, OnTimeoutFail},
		Doc: "What becomes of a worker that is still busy at the end of `timeout`. `terminate`: it is stopped. `fail`: the operation fails and names who holds the worker, which goes when its work ends."},
	{Path: "drain.deregister_delay", Kind: KindDuration, Default: "2s", Change: ChangeContract, Min: "0s", Max: "10m",
		Doc: "Time between withdrawing a worker's endpoints and the first signal to it."},
	{Path: "drain.signal", Kind: KindString, Default: "TERM", Change: ChangeContract, Runtimes: []string{RuntimeProcess}, Enum: []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2"},
		Doc: "Signal that asks a worker to end."},
	{Path: "drain.signal_at", Kind: KindString, Default: SignalAfter, Change: ChangeContract, Enum: []string{SignalAfter, SignalStart},
		Doc: "`after`: the signal goes to a worker that has become idle, and `grace` runs from it. `start`: the signal begins the drain, the worker has `timeout` to finish and exit, then `grace`."},
	{Path: "drain.grace", Kind: KindDuration, Default: "10s", Change: ChangeContract, Min: "0s", Max: "1h",
		Doc: "Time between the signal (with `signal_at` `start`: the end of `timeout`) and the kill."},
	{Path: "drain.hook.http.path", Kind: KindString, OneOf: true, Change: ChangeContract, Pattern: httpPath, Valid: inHTTPPath,
		Doc: "Path that a draining worker is told at, by a POST that it answers with a status from 200 to 299; left out, `/`. The drain goes on once it has answered, or at its deadline."},
	{Path: "drain.hook.http.port", Kind: KindString, OneOf: true, Change: ChangeContract,
		Doc: "Name of the port to tell; left out, the first of `worker.ports`."},
	{Path: pathHookExec, Kind: KindList, Required: true, OneOf: true, Change: ChangeContract,
		Doc: "Program and arguments of the hook, with the references of `worker.command`. It runs as that of `health.exec` does, at most for `drain.timeout`. The drain goes on once it has exited with code 0, or at its deadline; one that fails is run again."},
	{Path: "drain.active_jobs.path", Kind: KindString, OneOf: true, Change: ChangeContract, Pattern: httpPath, Valid: inHTTPPath,
		Doc: "Path at which a worker answers a GET with how many jobs it works on; left out, `/`. A worker whose number is not 0, or cannot be read, is busy."},
	{Path: "drain.active_jobs.port", Kind: KindString, OneOf: true, Change: ChangeContract,
		Doc: "Name of the port to ask; left out, the first of `worker.ports`."},
	{Path: "drain.active_jobs.json_path", Kind: KindString, OneOf: true, Change: ChangeContract,
		Doc: "JSONPath (RFC 9535) to the number in the answer, like `$.jobs.active`; left out, the answer is the number."},
	{Path: "logs.max_size", Kind: KindBytes, Default: "10MiB", Change: ChangeHot, Min: "4KiB", Max: "10GiB",
		Doc: "Size past which a worker's log is rotated (a soft bound)."},
	{Path: "logs.keep", Kind: KindInt, Default: "1", Change: ChangeHot, Min: "0", Max: "100",
		Doc: "Rotated logs that are kept of each worker."},
	{Path: "restart_triggers", Kind: KindMap, Change: ChangeRolling,
		Doc: "Any values; a change of them replaces all workers step by step."},
	{Path: "deletion_protection", Kind: KindBool, Default: "false", Change: ChangeHot,
		Doc: "Whether deleting the pool is refused, once it has been active. The stored value counts."},
}

var fieldByPath = func() map[string]Field {
	m := make(map[string]Field, len(Fields))
	for _, f := range Fields {
		m[f.Path] = f
	}
	return m
}()

// patterns are the compiled patterns of Fields.
var patterns = func() map[string]*regexp.Regexp {
	m := map[string]*regexp.Regexp{}
	for _, f := range Fields {
		if f.Pattern != "" {
			m[f.Pattern] = regexp.MustCompile(f.Pattern)
		}
	}
	return m
}()

// FieldAt returns the leaf with the given dotted path.
func FieldAt(path string) (Field, bool) {
	f, ok := fieldByPath[path]
	return f, ok
}

// isSecret says whether a path is that of a secret leaf, or of a value in it.
func isSecret(path string) bool {
	leaf, _, _ := strings.Cut(path, "[")
	return fieldByPath[leaf].Secret
}

// Objects lists the dotted paths of all inner objects of a spec, parents before children.
func Objects() []string {
	var objects []string
	for _, f := range Fields {
		for i, r := range f.Path {
			if p := f.Path[:i]; r == '.' && !slices.Contains(objects, p) {
				objects = append(objects, p)
			}
		}
	}
	return objects
}

// children lists the names directly under an object ("" is the root), sorted by the table.
func children(object string) []string {
	var names []string
	for _, f := range Fields {
		rest, ok := f.Path, true
		if object != "" {
			rest, ok = strings.CutPrefix(f.Path, object+".")
		}
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}
