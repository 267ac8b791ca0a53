package pool

// Spec is what a user declares about one pool. JSON, YAML and HCL share its field names; Fields says for
// every leaf its default, its bounds and how a change of it is applied. A Spec that came out of Decode or
// Default is complete: what was left out holds its default.
type Spec struct {
	Name               string            `json:"name"`
	Description        string            `json:"description,omitempty"`
	Labels             map[string]string `json:"labels,omitempty"`
	Runtime            Runtime           `json:"runtime,omitzero"`
	Worker             WorkerTemplate    `json:"worker"`
	Size               *int64            `json:"size,omitempty"`
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
	Command    []string          `json:"command"`
	Env        map[string]string `json:"env,omitempty"`
	WorkingDir string            `json:"working_dir,omitempty"`
	Ports      []Port            `json:"ports,omitempty"`
}

// Port is a TCP port that the manager chooses for each worker. The first is also given as PORT.
type Port struct {
	Name string `json:"name"`
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
	Enabled      bool   `json:"enabled"`
	MaxUnhealthy Amount `json:"max_unhealthy"`
}

// Update bounds how a rolling change goes through the pool.
type Update struct {
	MaxSurge         Amount   `json:"max_surge"`
	MaxUnavailable   Amount   `json:"max_unavailable"`
	MinReady         Duration `json:"min_ready"`
	ProgressDeadline Duration `json:"progress_deadline"`
}

// The values of Drain.SignalAt.
const (
	SignalAfter = "after" // the signal ends a worker that has become idle
	SignalStart = "start" // the signal begins the drain; the worker exits when its work is done
)

// Drain says how a worker is taken out of service.
type Drain struct {
	Timeout         Duration `json:"timeout"`
	DeregisterDelay Duration `json:"deregister_delay"`
	Signal          string   `json:"signal"`
	SignalAt        string   `json:"signal_at"`
	Grace           Duration `json:"grace"`
}

// Logs bounds what is kept of each worker's output.
type Logs struct {
	MaxSize Bytes `json:"max_size"`
	Keep    int64 `json:"keep"`
}

// The values of Spec.Initialization.
const (
	Prewarmed = "prewarmed" // creation waits until every worker is available
	Empty     = "empty"     // creation starts no worker
)

// DesiredSize is the number of workers the spec asks for.
func (s Spec) DesiredSize() int {
	if s.Size == nil {
		return 0
	}
	return int(*s.Size)
}
