package pool

import (
	"slices"
	"time"
)

// Spec is what a user declares about one pool. JSON, YAML and HCL share its field names; Fields says for
// every leaf its default, its bounds and how a change of it is applied. A Spec that came out of Decode or
// Default is complete: what was left out holds its default.
type Spec struct {
	Name               string            `json:"name"`
	Description        string            `json:"description,omitempty"`
	Labels             map[string]string `json:"labels,omitempty"`
	Runtime            Runtime           `json:"runtime,omitzero"`
	Worker             WorkerTemplate    `json:"worker"`
	WorkerLimits       WorkerLimits      `json:"worker_limits,omitzero"`
	Leases             LeaseTerms        `json:"leases"`
	Size               *int64            `json:"size,omitempty"` // not with Autoscaling
	Autoscaling        *Autoscaling      `json:"autoscaling,omitempty"`
	Initialization     string            `json:"initialization"`
	Health             HealthCheck       `json:"health"`
	Remediation        Remediation       `json:"remediation"`
	Update             Update            `json:"update"`
	Drain              Drain             `json:"drain"`
	Logs               Logs              `json:"logs"`
	RestartTriggers    map[string]string `json:"restart_triggers,omitempty"`
	DeletionProtection bool              `json:"deletion_protection"`
}

// RuntimeProcess is the runtime that runs workers as processes of the manager's host.
const RuntimeProcess = "process"

// Runtime says where workers run: exactly one of its members, or none, which means process.
type Runtime struct {
	Process *ProcessRuntime `json:"process,omitempty"`
}

// ProcessRuntime runs workers as processes of one host.
type ProcessRuntime struct {
	// Host is the host's name; empty means the host of the manager that accepts the pool.
	Host string `json:"host,omitempty"`
}

// Kind names the runtime that is asked for.
func (r Runtime) Kind() string { return RuntimeProcess }

// Host is the process host that is asked for; empty means the accepting manager's.
func (r Runtime) Host() string {
	if r.Process == nil {
		return ""
	}
	return r.Process.Host
}

// WorkerTemplate is what one worker is made from.
type WorkerTemplate struct {
	Command []string          `json:"command"`
	Env     map[string]string `json:"env,omitempty"`
	// SecretEnv is there on its way in, and again when a worker is started; see Spec.TakeSecrets.
	SecretEnv        map[string]string `json:"secret_env,omitempty"`
	SecretEnvVersion *int64            `json:"secret_env_version,omitempty"` // nil: no secrets
	WorkingDir       string            `json:"working_dir,omitempty"`
	Ports            []Port            `json:"ports,omitempty"`
	OnExitZero       string            `json:"on_exit_zero"`
}

// The paths of the secret environment and of its version.
const (
	pathSecretEnv     = "worker.secret_env"
	pathSecretVersion = "worker.secret_env_version"
)

// SecretVersion is the version of the secret environment; 0 stands for none.
func (w WorkerTemplate) SecretVersion() int64 { return valueOf(w.SecretEnvVersion) }

// TakeSecrets is the spec as it is recorded, and the secret values that it brought along: nil if none.
func (s Spec) TakeSecrets() (Spec, map[string]string) {
	secrets := s.Worker.SecretEnv
	s.Worker.SecretEnv = nil
	return s, secrets
}

// The values of WorkerTemplate.OnExitZero.
const (
	ExitZeroReplace = "replace" // a worker that exits with code 0 has done its work and gets a successor at once
	ExitZeroCrash   = "crash"   // it has failed
)

// WorkerLimits bound a worker's life; one that has reached a limit is replaced within the update's budgets.
type WorkerLimits struct {
	MaxAge    *Duration `json:"max_age,omitempty"`    // since it was started
	MaxLeases *int64    `json:"max_leases,omitempty"` // ever granted on it
}

// Port is a TCP port that the manager chooses for each worker. The first is also given as PORT.
type Port struct {
	Name string `json:"name"`
}

// LeaseTerms are what a scheduler's claims on workers are worth.
type LeaseTerms struct {
	Slots int64    `json:"slots"` // leases that one worker takes at a time
	TTL   Duration `json:"ttl"`
}

// HealthCheck says how a worker is checked. Without a probe a worker is checked by being alive.
type HealthCheck struct {
	HTTP               *HTTPProbe `json:"http,omitempty"`
	TCP                *TCPProbe  `json:"tcp,omitempty"`
	GRPC               *GRPCProbe `json:"grpc,omitempty"`
	Exec               *ExecProbe `json:"exec,omitempty"`
	Interval           Duration   `json:"interval"`
	Timeout            Duration   `json:"timeout"`
	HealthyThreshold   int64      `json:"healthy_threshold"`
	UnhealthyThreshold int64      `json:"unhealthy_threshold"`
	StartPeriod        Duration   `json:"start_period"`
}

// HTTPProbe passes on an answer of status 200 to 399 to a GET of Path.
type HTTPProbe struct {
	Path string `json:"path,omitempty"` // empty means "/"
	Port string `json:"port,omitempty"` // a name out of worker.ports; empty means the first
}

// TCPProbe passes when a connection is accepted.
type TCPProbe struct {
	Port string `json:"port,omitempty"` // a name out of worker.ports; empty means the first
}

// GRPCProbe passes when the worker's health service (grpc.health.v1) answers SERVING for Service.
type GRPCProbe struct {
	Port    string `json:"port,omitempty"`    // a name out of worker.ports; empty means the first
	Service string `json:"service,omitempty"` // empty means the server as a whole
}

// ExecProbe passes when Command, run beside the worker and with its environment, exits with code 0.
type ExecProbe struct {
	Command []string `json:"command"` // program and arguments, with the references of worker.command
}

// Remediation is the replacement of unhealthy workers.
type Remediation struct {
	Enabled      bool     `json:"enabled"`
	MaxUnhealthy Amount   `json:"max_unhealthy"`
	Backoff      Duration `json:"backoff"` // before the second replacement in one place, then doubled
}

// Update bounds how a rolling change goes through the pool.
type Update struct {
	MaxSurge         Amount   `json:"max_surge"`
	MaxUnavailable   Amount   `json:"max_unavailable"`
	MinReady         Duration `json:"min_ready"`
	ProgressDeadline Duration `json:"progress_deadline"`
	Canary           *Canary  `json:"canary,omitempty"`
	OnFailure        string   `json:"on_failure"`
	Windows          []Window `json:"windows,omitempty"` // none means always
}

// The values of Update.OnFailure.
const (
	OnFailureRollback = "rollback" // the pool returns to the last good revision
	OnFailurePause    = "pause"    // the rollout stops where it is
)

// Canary is a part of a rollout that goes first, and whose success the rest waits for.
type Canary struct {
	Count   *int64    `json:"count,omitempty"`   // new workers; nil means 1
	Bake    *Duration `json:"bake,omitempty"`    // how long they must have been available; nil means 0
	Promote string    `json:"promote,omitempty"` // PromoteAuto or PromoteManual; empty means PromoteAuto
}

// The values of Canary.Promote.
const (
	PromoteAuto   = "auto"   // the rollout goes on by itself once the canary has baked
	PromoteManual = "manual" // a person has it go on
)

// Window is a recurring time in which rollouts go on.
type Window struct {
	Cron     string   `json:"cron"` // when it opens: minute, hour, day of the month, month, day of the week
	Duration Duration `json:"duration"`
	TimeZone string   `json:"time_zone,omitempty"` // IANA; empty means UTC
}

// The values of Drain.SignalAt.
const (
	SignalAfter = "after" // the signal ends a worker that has become idle
	SignalStart = "start" // the signal begins the drain; the worker exits when its work is done
)

// The values of Drain.OnTimeout.
const (
	OnTimeoutTerminate = "terminate" // a worker that is still busy is stopped
	OnTimeoutFail      = "fail"      // the operation fails; the worker goes when its work ends
)

// Drain says how a worker is taken out of service.
type Drain struct {
	Timeout         Duration    `json:"timeout"`
	OnTimeout       string      `json:"on_timeout"`
	DeregisterDelay Duration    `json:"deregister_delay"`
	Signal          string      `json:"signal"`
	SignalAt        string      `json:"signal_at"`
	Grace           Duration    `json:"grace"`
	Hook            *DrainHook  `json:"hook,omitempty"`
	ActiveJobs      *ActiveJobs `json:"active_jobs,omitempty"`
}

// DrainHook tells a worker that it drains: exactly one of its members.
type DrainHook struct {
	HTTP *HTTPProbe `json:"http,omitempty"` // a POST, answered with a status from 200 to 299
	Exec *ExecProbe `json:"exec,omitempty"` // a command that exits with code 0
}

// Command is a program and its arguments, with the dotted path at which a spec has it.
type Command struct {
	Path  string
	Words []string
}

// The paths of the commands that run beside a worker.
const (
	pathHealthExec = "health.exec.command"
	pathHookExec   = "drain.hook.exec.command"
)

func (w WorkerTemplate) command() Command { return Command{"worker.command", w.Command} }

// Errand is the command that checks a worker; no words if there is none.
func (h HealthCheck) Errand() (c Command) {
	if h.Exec != nil {
		c = Command{pathHealthExec, h.Exec.Command}
	}
	return c
}

// Errand is the command that tells a worker that it drains; no words if there is none.
func (d Drain) Errand() (c Command) {
	if d.Hook != nil && d.Hook.Exec != nil {
		c = Command{pathHookExec, d.Hook.Exec.Command}
	}
	return c
}

// Errands are all commands that run beside a worker.
func (s Spec) Errands() []Command {
	return slices.DeleteFunc([]Command{s.Health.Errand(), s.Drain.Errand()}, func(c Command) bool { return c.Path == "" })
}

// ActiveJobs reads from a worker how many jobs it works on.
type ActiveJobs struct {
	Path     string `json:"path,omitempty"`      // empty means "/"
	Port     string `json:"port,omitempty"`      // a name out of worker.ports; empty means the first
	JSONPath string `json:"json_path,omitempty"` // RFC 9535; empty means that the answer is the number
}

// Logs bounds what is kept of each worker's output.
type Logs struct {
	MaxSize Bytes `json:"max_size"`
	Keep    int64 `json:"keep"`
}

// The values of Spec.Initialization.
const (
	Prewarmed = "prewarmed" // creation waits until every worker is available
	Dynamic   = "dynamic"   // creation starts the fewest workers; more come with the leases
	Empty     = "empty"     // creation starts no worker
)

// Autoscaling lets a pool size itself by the leases that are held and waited for.
type Autoscaling struct {
	Min         *int64    `json:"min,omitempty"`          // required
	Max         *int64    `json:"max,omitempty"`          // required
	Initial     *int64    `json:"initial,omitempty"`      // of a prewarmed pool; nil means Min
	IdleTimeout *Duration `json:"idle_timeout,omitempty"` // nil means DefaultIdleTimeout
}

// DefaultIdleTimeout is how long workers are kept that nobody needs, unless Autoscaling says otherwise.
const DefaultIdleTimeout = 5 * time.Minute

// Bounds are the fewest and the most workers.
func (a Autoscaling) Bounds() (least, most int64) { return valueOf(a.Min), valueOf(a.Max) }

// Clamp is a count within the bounds.
func (a Autoscaling) Clamp(count int64) int64 {
	least, most := a.Bounds()
	return max(least, min(count, most))
}

// Idle is how long workers are kept that nobody needs.
func (a Autoscaling) Idle() time.Duration {
	if a.IdleTimeout == nil {
		return DefaultIdleTimeout
	}
	return a.IdleTimeout.Std()
}

// Start is how many workers a creation starts with.
func (s Spec) Start() int64 {
	a := s.Autoscaling
	switch {
	case a == nil:
		return valueOf(s.Size)
	case s.Initialization == Prewarmed && a.Initial != nil:
		return a.Clamp(*a.Initial)
	}
	return a.Clamp(0)
}

func valueOf(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
