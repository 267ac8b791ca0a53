package pool_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// validSpec is a spec that uses much and is valid.
func validSpec() pool.Spec {
	s := wantEveryField()
	s.Health.TCP, s.Health.GRPC, s.Health.Exec = nil, nil, nil
	s.Drain.Hook.Exec = nil
	s.Initialization, s.Autoscaling = pool.Prewarmed, nil
	return s
}

// rewritten is validSpec with a change.
func rewritten(change func(*pool.Spec)) pool.Spec {
	s := validSpec()
	change(&s)
	return s
}

func hook(command ...string) *pool.DrainHook {
	return &pool.DrainHook{Exec: &pool.ExecProbe{Command: command}}
}

func scaled(least, most int64) *pool.Autoscaling { return &pool.Autoscaling{Min: &least, Max: &most} }

// autoscaling is a pool that sizes itself, with a change of how.
func autoscaling(change func(*pool.Autoscaling)) func(*pool.Spec) {
	return func(s *pool.Spec) {
		s.Size, s.Autoscaling = nil, scaled(2, 9)
		change(s.Autoscaling)
	}
}

func number(n int64) *int64 { return &n }

// invalid are specs with one fault each. reads are the fields that must all be known to find it.
var invalid = map[string]struct {
	change func(*pool.Spec)
	path   string
	says   string
	reads  []string
}{
	"no name":                     {func(s *pool.Spec) { s.Name = "" }, "name", "is required", []string{"name"}},
	"a name in capitals":          {func(s *pool.Spec) { s.Name = "Web" }, "name", "DNS label", []string{"name"}},
	"a name that ends in a dash":  {func(s *pool.Spec) { s.Name = "web-" }, "name", "DNS label", []string{"name"}},
	"a name with a dot":           {func(s *pool.Spec) { s.Name = "web.a" }, "name", "DNS label", []string{"name"}},
	"a name with a line end":      {func(s *pool.Spec) { s.Name = "web\n" }, "name", "DNS label", []string{"name"}},
	"a name of 64 characters":     {func(s *pool.Spec) { s.Name = strings.Repeat("w", 64) }, "name", "1 to 63", []string{"name"}},
	"a long description":          {func(s *pool.Spec) { s.Description = strings.Repeat("ü", 1025) }, "description", "1024", []string{"description"}},
	"a description that acts":     {func(s *pool.Spec) { s.Description = "a\x1b[2J" }, "description", "control character", []string{"description"}},
	"a description with a CSI":    {func(s *pool.Spec) { s.Description = "a\u009b2J" }, "description", "control character", []string{"description"}},
	"a label that acts":           {func(s *pool.Spec) { s.Labels = map[string]string{"a": "b\a"} }, `labels["a"]`, "control character", []string{"labels"}},
	"a label of two lines":        {func(s *pool.Spec) { s.Labels = map[string]string{"a": "b\nc"} }, `labels["a"]`, "control character", []string{"labels"}},
	"a label without a key":       {func(s *pool.Spec) { s.Labels = map[string]string{"": "x"} }, `labels[""]`, "key", []string{"labels"}},
	"a label with a blank":        {func(s *pool.Spec) { s.Labels = map[string]string{"a b": "x"} }, `labels["a b"]`, "key", []string{"labels"}},
	"a long label":                {func(s *pool.Spec) { s.Labels = map[string]string{"a": strings.Repeat("x", 257)} }, `labels["a"]`, "256 bytes", []string{"labels"}},
	"a long trigger":              {func(s *pool.Spec) { s.RestartTriggers = map[string]string{"a": strings.Repeat("x", 1<<16+1)} }, `restart_triggers["a"]`, "65536 bytes", []string{"restart_triggers"}},
	"no command":                  {func(s *pool.Spec) { s.Worker.Command = nil }, "worker.command", "is required", []string{"worker.command"}},
	"an empty command":            {func(s *pool.Spec) { s.Worker.Command = []string{} }, "worker.command", "is required", []string{"worker.command"}},
	"a command without a program": {func(s *pool.Spec) { s.Worker.Command = []string{"", "x"} }, "worker.command[0]", "is empty", []string{"worker.command"}},
	"NUL in an argument":          {func(s *pool.Spec) { s.Worker.Command = []string{"a", "b\x00"} }, "worker.command[1]", "NUL", []string{"worker.command"}},
	"a port that is not declared": {func(s *pool.Spec) { s.Worker.Command = []string{"a", "${POOLKEEPER_PORT_METRICS}"} }, "worker.command[1]", "${POOLKEEPER_PORT_HTTP}", []string{"worker.command", "worker.ports"}},
	"${PORT} without a port": {func(s *pool.Spec) {
		s.Worker.Ports, s.Health.HTTP, s.Drain.Hook, s.Drain.ActiveJobs = nil, nil, nil, nil
	}, "worker.command[2]", "declare the port", []string{"worker.command", "worker.ports"}},
	"a variable with a dash":    {func(s *pool.Spec) { s.Worker.Env = map[string]string{"A-B": "x"} }, `worker.env["A-B"]`, "environment variable", []string{"worker.env"}},
	"a variable with a digit":   {func(s *pool.Spec) { s.Worker.Env = map[string]string{"1A": "x"} }, `worker.env["1A"]`, "environment variable", []string{"worker.env"}},
	"a variable without a name": {func(s *pool.Spec) { s.Worker.Env = map[string]string{"": "x"} }, `worker.env[""]`, "environment variable", []string{"worker.env"}},
	"PORT in the environment":   {func(s *pool.Spec) { s.Worker.Env = map[string]string{"PORT": "1"} }, `worker.env["PORT"]`, "set by Poolkeeper", []string{"worker.env"}},
	"our variables":             {func(s *pool.Spec) { s.Worker.Env = map[string]string{"POOLKEEPER_X": "1"} }, `worker.env["POOLKEEPER_X"]`, "set by Poolkeeper", []string{"worker.env"}},
	"NUL in a variable":         {func(s *pool.Spec) { s.Worker.Env = map[string]string{"A": "\x00"} }, `worker.env["A"]`, "NUL", []string{"worker.env"}},
	"a secret with a dash":      {func(s *pool.Spec) { secrets(s, "A-B", "x") }, `worker.secret_env["A-B"]`, "environment variable", []string{"worker.secret_env"}},
	"our variables as secrets":  {func(s *pool.Spec) { secrets(s, "PORT", "x") }, `worker.secret_env["PORT"]`, "set by Poolkeeper", []string{"worker.secret_env"}},
	"a secret that is a variable too": {func(s *pool.Spec) {
		s.Worker.Env = map[string]string{"A": "x"}
		secrets(s, "A", "x")
	}, `worker.secret_env["A"]`, "in worker.env too", []string{"worker.env", "worker.secret_env"}},
	"secrets without a version": {func(s *pool.Spec) {
		secrets(s, "A", "x")
		s.Worker.SecretEnvVersion = nil
	}, "worker.secret_env_version", "required beside worker.secret_env", []string{"worker.secret_env", "worker.secret_env_version"}},
	"secrets of version 0": {func(s *pool.Spec) {
		secrets(s, "A", "x")
		s.Worker.SecretEnvVersion = number(0)
	}, "worker.secret_env_version", "out of range", []string{"worker.secret_env_version"}},
	"a relative directory":      {func(s *pool.Spec) { s.Worker.WorkingDir = "srv" }, "worker.working_dir", "absolute path", []string{"worker.working_dir"}},
	"NUL in a directory":        {func(s *pool.Spec) { s.Worker.WorkingDir = "/srv\x00" }, "worker.working_dir", "without NUL", []string{"worker.working_dir"}},
	"a port without a name":     {func(s *pool.Spec) { s.Worker.Ports = append(s.Worker.Ports, pool.Port{}) }, "worker.ports[2].name", "name of a port", []string{"worker.ports"}},
	"a port in capitals":        {func(s *pool.Spec) { s.Worker.Ports[0].Name = "HTTP"; s.Health.HTTP.Port = "" }, "worker.ports[0].name", "name of a port", []string{"worker.ports"}},
	"a port of 16 characters":   {func(s *pool.Spec) { s.Worker.Ports = append(s.Worker.Ports, pool.Port{Name: "abcdefghijklmnop"}) }, "worker.ports[2].name", "1 to 15", []string{"worker.ports"}},
	"a port twice":              {func(s *pool.Spec) { s.Worker.Ports = append(s.Worker.Ports, pool.Port{Name: "http"}) }, "worker.ports[2].name", "twice", []string{"worker.ports"}},
	"no size":                   {func(s *pool.Spec) { s.Size = nil }, "size", "or autoscaling instead", []string{"size", "autoscaling"}},
	"two sizes":                 {func(s *pool.Spec) { s.Autoscaling = scaled(1, 2) }, "size", "one of size and autoscaling", []string{"size", "autoscaling"}},
	"no least":                  {autoscaling(func(a *pool.Autoscaling) { a.Min = nil }), "autoscaling.min", "is required", []string{"autoscaling", "autoscaling.min"}},
	"no most":                   {autoscaling(func(a *pool.Autoscaling) { a.Max = nil }), "autoscaling.max", "is required", []string{"autoscaling", "autoscaling.max"}},
	"a most of nobody":          {autoscaling(func(a *pool.Autoscaling) { a.Min, a.Max = number(0), number(0) }), "autoscaling.max", "from 1 to 100000", []string{"autoscaling.max"}},
	"more at least than most":   {autoscaling(func(a *pool.Autoscaling) { a.Min = number(10) }), "autoscaling.min", "at most 9", []string{"autoscaling.min", "autoscaling.max"}},
	"a start out of bounds":     {autoscaling(func(a *pool.Autoscaling) { a.Initial = number(10) }), "autoscaling.initial", "from 2 to 9", []string{"autoscaling.initial", "autoscaling.min", "autoscaling.max"}},
	"no patience":               {autoscaling(func(a *pool.Autoscaling) { a.IdleTimeout = new(pool.Duration) }), "autoscaling.idle_timeout", "from 1s", []string{"autoscaling.idle_timeout"}},
	"a size below 0":            {func(s *pool.Spec) { s.Size = number(-1) }, "size", "from 0 to 100000", []string{"size"}},
	"a size too large":          {func(s *pool.Spec) { s.Size = number(100_001) }, "size", "from 0 to 100000", []string{"size"}},
	"an unknown initialization": {func(s *pool.Spec) { s.Initialization = "warm" }, "initialization", "prewarmed, dynamic, empty", []string{"initialization"}},
	"two probes":                {func(s *pool.Spec) { s.Health.TCP = &pool.TCPProbe{} }, "health", "http and tcp", []string{"health.http", "health.tcp"}},
	"four probes":               {func(s *pool.Spec) { s.Health = wantEveryField().Health }, "health", "one of http, tcp, grpc, exec", []string{"health.http", "health.tcp", "health.grpc", "health.exec"}},
	"a probe of no port": {func(s *pool.Spec) {
		s.Worker.Ports, s.Worker.Command, s.Health.HTTP.Port = nil, []string{"a"}, ""
		s.Drain.Hook, s.Drain.ActiveJobs = nil, nil
	}, "health.http", "declares none", []string{"health.http", "worker.ports"}},
	"a probe of another port":      {func(s *pool.Spec) { s.Health.HTTP.Port = "metrics" }, "health.http.port", "http, admin", []string{"health.http.port", "worker.ports"}},
	"a TCP probe of another port":  {func(s *pool.Spec) { s.Health.HTTP, s.Health.TCP = nil, &pool.TCPProbe{Port: "metrics"} }, "health.tcp.port", "http, admin", []string{"health.tcp.port", "worker.ports"}},
	"a gRPC probe of another port": {func(s *pool.Spec) { s.Health.HTTP, s.Health.GRPC = nil, &pool.GRPCProbe{Port: "metrics"} }, "health.grpc.port", "http, admin", []string{"health.grpc.port", "worker.ports"}},
	"a service of two lines":       {func(s *pool.Spec) { s.Health.HTTP, s.Health.GRPC = nil, &pool.GRPCProbe{Service: "a\nb"} }, "health.grpc.service", "control character", []string{"health.grpc.service"}},
	"a check without a command":    {func(s *pool.Spec) { s.Health.HTTP, s.Health.Exec = nil, &pool.ExecProbe{} }, "health.exec.command", "is required", []string{"health.exec.command"}},
	"a check without a program":    {func(s *pool.Spec) { s.Health.HTTP, s.Health.Exec = nil, &pool.ExecProbe{Command: []string{""}} }, "health.exec.command[0]", "is empty", []string{"health.exec.command"}},
	"NUL in a check": {func(s *pool.Spec) {
		s.Health.HTTP, s.Health.Exec = nil, &pool.ExecProbe{Command: []string{"a", "\x00"}}
	}, "health.exec.command[1]", "NUL", []string{"health.exec.command"}},
	"a check of a port that is not declared": {func(s *pool.Spec) {
		s.Health.HTTP, s.Health.Exec = nil, &pool.ExecProbe{Command: []string{"a", "${POOLKEEPER_PORT_METRICS}"}}
	}, "health.exec.command[1]", "${POOLKEEPER_PORT_HTTP}", []string{"health.exec.command", "worker.ports"}},
	"a relative probe path":     {func(s *pool.Spec) { s.Health.HTTP.Path = "healthz" }, "health.http.path", "begins with '/'", []string{"health.http.path"}},
	"a probe path with a blank": {func(s *pool.Spec) { s.Health.HTTP.Path = "/a b" }, "health.http.path", "without spaces", []string{"health.http.path"}},
	"a probe path cut short":    {func(s *pool.Spec) { s.Health.HTTP.Path = "/a%2" }, "health.http.path", "two hex digits", []string{"health.http.path"}},
	"a probe path of no escape": {func(s *pool.Spec) { s.Health.HTTP.Path = "/%zz" }, "health.http.path", "two hex digits", []string{"health.http.path"}},
	"an interval too short":     {func(s *pool.Spec) { s.Health.Interval = pool.Duration(time.Millisecond) }, "health.interval", "from 100ms to 1h", []string{"health.interval"}},
	"an interval too long":      {func(s *pool.Spec) { s.Health.Interval = pool.Duration(2 * time.Hour) }, "health.interval", "from 100ms to 1h", []string{"health.interval"}},
	"no timeout":                {func(s *pool.Spec) { s.Health.Timeout = 0 }, "health.timeout", "from 10ms to 5m", []string{"health.timeout"}},
	"no healthy threshold":      {func(s *pool.Spec) { s.Health.HealthyThreshold = 0 }, "health.healthy_threshold", "from 1 to 100", []string{"health.healthy_threshold"}},
	"a threshold too high":      {func(s *pool.Spec) { s.Health.UnhealthyThreshold = 101 }, "health.unhealthy_threshold", "from 1 to 100", []string{"health.unhealthy_threshold"}},
	"a negative start period":   {func(s *pool.Spec) { s.Health.StartPeriod = -1 }, "health.start_period", "from 0s", []string{"health.start_period"}},
	"more unhealthy than all":   {func(s *pool.Spec) { s.Remediation.MaxUnhealthy = pool.Amount{Value: 101, Percent: true} }, "remediation.max_unhealthy", "up to 100%", []string{"remediation.max_unhealthy"}},
	"a surge of more than all":  {func(s *pool.Spec) { s.Update.MaxSurge = pool.Amount{Value: 200, Percent: true} }, "update.max_surge", "up to 100%", []string{"update.max_surge"}},
	"no room to update": {func(s *pool.Spec) {
		s.Update.MaxSurge, s.Update.MaxUnavailable = pool.Amount{}, pool.Amount{Percent: true}
	}, "update.max_unavailable", "no worker could ever be replaced", []string{"update.max_surge", "update.max_unavailable"}},
	"a deadline before ready": {func(s *pool.Spec) {
		s.Update.MinReady, s.Update.ProgressDeadline = pool.Duration(time.Minute), pool.Duration(time.Minute)
	}, "update.min_ready", "less than 1m", []string{"update.min_ready", "update.progress_deadline"}},
	"no progress deadline":      {func(s *pool.Spec) { s.Update.MinReady, s.Update.ProgressDeadline = -1, 0 }, "update.min_ready", "from 0s", []string{"update.min_ready"}},
	"a drain of a year":         {func(s *pool.Spec) { s.Drain.Timeout = pool.Duration(365 * 24 * time.Hour) }, "drain.timeout", "to 168h", []string{"drain.timeout"}},
	"a signal that kills":       {func(s *pool.Spec) { s.Drain.Signal = "KILL" }, "drain.signal", "TERM, INT", []string{"drain.signal"}},
	"an unknown signal_at":      {func(s *pool.Spec) { s.Drain.SignalAt = "end" }, "drain.signal_at", "after, start", []string{"drain.signal_at"}},
	"an unknown on_timeout":     {func(s *pool.Spec) { s.Drain.OnTimeout = "wait" }, "drain.on_timeout", "terminate, fail", []string{"drain.on_timeout"}},
	"a hook of another port":    {func(s *pool.Spec) { s.Drain.Hook.HTTP.Port = "metrics" }, "drain.hook.http.port", "http, admin", []string{"drain.hook.http.port", "worker.ports"}},
	"a relative hook path":      {func(s *pool.Spec) { s.Drain.Hook.HTTP.Path = "drain" }, "drain.hook.http.path", "begins with '/'", []string{"drain.hook.http.path"}},
	"a hook that tells nothing": {func(s *pool.Spec) { s.Drain.Hook = &pool.DrainHook{} }, "drain.hook", "http", []string{"drain.hook", "drain.hook.http", "drain.hook.exec"}},
	"a hook in two ways":        {func(s *pool.Spec) { s.Drain.Hook = wantEveryField().Drain.Hook }, "drain.hook", "or exec", []string{"drain.hook", "drain.hook.http", "drain.hook.exec"}},
	"a hook without a command":  {func(s *pool.Spec) { s.Drain.Hook = &pool.DrainHook{Exec: &pool.ExecProbe{}} }, "drain.hook.exec.command", "is required", []string{"drain.hook.exec.command"}},
	"a hook without a program":  {func(s *pool.Spec) { s.Drain.Hook = hook("") }, "drain.hook.exec.command[0]", "is empty", []string{"drain.hook.exec.command"}},
	"a hook of no port":         {func(s *pool.Spec) { s.Drain.Hook = hook("leave", "${POOLKEEPER_PORT_X}") }, "drain.hook.exec.command[1]", "${POOLKEEPER_PORT_HTTP}", []string{"drain.hook.exec.command", "worker.ports"}},
	"jobs of another port":      {func(s *pool.Spec) { s.Drain.ActiveJobs.Port = "metrics" }, "drain.active_jobs.port", "http, admin", []string{"drain.active_jobs.port", "worker.ports"}},
	"a relative jobs path":      {func(s *pool.Spec) { s.Drain.ActiveJobs.Path = "jobs" }, "drain.active_jobs.path", "begins with '/'", []string{"drain.active_jobs.path"}},
	"jobs at no JSONPath":       {func(s *pool.Spec) { s.Drain.ActiveJobs.JSONPath = "jobs.active" }, "drain.active_jobs.json_path", "$.jobs.active", []string{"drain.active_jobs.json_path"}},
	"no slots":                  {func(s *pool.Spec) { s.Leases.Slots = 0 }, "leases.slots", "from 1 to 10000", []string{"leases.slots"}},
	"a short time to live":      {func(s *pool.Spec) { s.Leases.TTL = pool.Duration(time.Second) }, "leases.ttl", "from 5s to 24h", []string{"leases.ttl"}},
	"an unknown on_exit_zero":   {func(s *pool.Spec) { s.Worker.OnExitZero = "restart" }, "worker.on_exit_zero", "replace, crash", []string{"worker.on_exit_zero"}},
	"a short life":              {func(s *pool.Spec) { *s.WorkerLimits.MaxAge = pool.Duration(time.Second) }, "worker_limits.max_age", "from 1m", []string{"worker_limits.max_age"}},
	"a life without a lease":    {func(s *pool.Spec) { s.WorkerLimits.MaxLeases = number(0) }, "worker_limits.max_leases", "from 1", []string{"worker_limits.max_leases"}},
	"no backoff":                {func(s *pool.Spec) { s.Remediation.Backoff = 0 }, "remediation.backoff", "from 100ms to 1h", []string{"remediation.backoff"}},
	"a canary of nobody":        {func(s *pool.Spec) { s.Update.Canary.Count = number(0) }, "update.canary.count", "from 1", []string{"update.canary.count"}},
	"a canary for a month":      {func(s *pool.Spec) { *s.Update.Canary.Bake = pool.Duration(720 * time.Hour) }, "update.canary.bake", "to 168h", []string{"update.canary.bake"}},
	"an unknown promotion":      {func(s *pool.Spec) { s.Update.Canary.Promote = "soon" }, "update.canary.promote", "auto, manual", []string{"update.canary.promote"}},
	"an unknown on_failure":     {func(s *pool.Spec) { s.Update.OnFailure = "ignore" }, "update.on_failure", "rollback, pause", []string{"update.on_failure"}},
	"a window without a time":   {func(s *pool.Spec) { s.Update.Windows[0].Cron = "" }, "update.windows[0].cron", "five fields", []string{"update.windows"}},
	"a window every second":     {func(s *pool.Spec) { s.Update.Windows[0].Cron = "* * * * * *" }, "update.windows[0].cron", "five fields", []string{"update.windows"}},
	"a window that never opens": {func(s *pool.Spec) { s.Update.Windows[0].Cron = "0 0 30 2 *" }, "update.windows[0].cron", "never comes", []string{"update.windows"}},
	"a window every day":        {func(s *pool.Spec) { s.Update.Windows[0].Cron = "@daily" }, "update.windows[0].cron", "five fields", []string{"update.windows"}},
	"a window on Mars":          {func(s *pool.Spec) { s.Update.Windows[0].TimeZone = "Mars/Olympus" }, "update.windows[0].time_zone", "IANA", []string{"update.windows"}},
	"a window without an end":   {func(s *pool.Spec) { s.Update.Windows[0].Duration = 0 }, "update.windows[0].duration", "from 1m to 168h", []string{"update.windows"}},
	"a long grace":              {func(s *pool.Spec) { s.Drain.Grace = pool.Duration(2 * time.Hour) }, "drain.grace", "to 1h", []string{"drain.grace"}},
	"a tiny log":                {func(s *pool.Spec) { s.Logs.MaxSize = 1 }, "logs.max_size", "from 4KiB to 10GiB", []string{"logs.max_size"}},
	"a negative number of logs": {func(s *pool.Spec) { s.Logs.Keep = -1 }, "logs.keep", "from 0 to 100", []string{"logs.keep"}},
}

func TestAValidSpecIsValid(t *testing.T) {
	require.NoError(t, pool.Validate(validSpec(), nil))
	require.NoError(t, pool.ValidateCreation(validSpec(), nil))
}

func TestWhatIsAtItsBoundIsValid(t *testing.T) {
	for behaviour, change := range map[string]func(*pool.Spec){
		"a name of 63 characters":          func(s *pool.Spec) { s.Name = strings.Repeat("w", 63) },
		"a name of one character":          func(s *pool.Spec) { s.Name = "7" },
		"a description of 1024 characters": func(s *pool.Spec) { s.Description = strings.Repeat("ü\n", 512) },
		"a label with a prefix":            func(s *pool.Spec) { s.Labels = map[string]string{"example.com/team_a-b": ""} },
		"size 0":                           func(s *pool.Spec) { s.Size = number(0) },
		"the largest size":                 func(s *pool.Spec) { s.Size = number(100_000) },
		"a surge of workers":               func(s *pool.Spec) { s.Update.MaxSurge = pool.Amount{Value: 5000} },
		"a surge of all":                   func(s *pool.Spec) { s.Update.MaxSurge = pool.Amount{Value: 100, Percent: true} },
		"no surge":                         func(s *pool.Spec) { s.Update.MaxSurge = pool.Amount{} },
		"no drain":                         func(s *pool.Spec) { s.Drain.Timeout, s.Drain.Grace = 0, 0 },
		"no probe":                         func(s *pool.Spec) { s.Health.HTTP = nil },
		"a probe of the first port":        func(s *pool.Spec) { s.Health.HTTP = &pool.HTTPProbe{} },
		"a gRPC probe of a service":        func(s *pool.Spec) { s.Health.HTTP, s.Health.GRPC = nil, &pool.GRPCProbe{Service: "web.Front"} },
		"a command with our placeholders": func(s *pool.Spec) {
			s.Health.HTTP, s.Health.Exec = nil, &pool.ExecProbe{Command: []string{"check", "${PORT}", "${POOLKEEPER_WORKER_ID}"}}
		},
		"a command without a port": func(s *pool.Spec) {
			s.Drain.Hook, s.Drain.ActiveJobs = nil, nil
			s.Worker.Ports, s.Worker.Command, s.Health.HTTP, s.Health.Exec = nil, []string{"a"}, nil, &pool.ExecProbe{Command: []string{"check"}}
		},
		"our placeholders": func(s *pool.Spec) {
			s.Worker.Command = []string{"a", "${POOLKEEPER_PORT_ADMIN}:${PORT}", "${POOLKEEPER_WORKER_ID}", "$PORT", "${OTHER}"}
		},
		"a path of a query":       func(s *pool.Spec) { s.Health.HTTP.Path = "/a?b=ü" },
		"a path of an escape":     func(s *pool.Spec) { s.Health.HTTP.Path = "/a%2Fb%c3%BC" },
		"a description of a list": func(s *pool.Spec) { s.Description = "two:\n\ta ü\n\tb\u2028" },
	} {
		t.Run(behaviour, func(t *testing.T) { require.NoError(t, pool.Validate(rewritten(change), nil)) })
	}
}

func TestAnInvalidSpecNamesTheFieldTheValueAndWhatIsValid(t *testing.T) {
	for behaviour, c := range invalid {
		t.Run(behaviour, func(t *testing.T) {
			err := pool.Validate(rewritten(c.change), nil)
			var faults pool.Faults
			require.ErrorAs(t, err, &faults)
			require.Equal(t, c.path, faults[0].Path)
			require.NotEmpty(t, faults[0].Reason)
			require.NotEmpty(t, faults[0].Valid)
			require.Contains(t, faults[0].String(), c.says)
			if behaviour != "no progress deadline" { // which is two faults
				require.Len(t, faults, 1, "%v", err)
			}
		})
	}
}

func TestWhatReadsAnUnknownFieldIsNotJudged(t *testing.T) {
	for behaviour, c := range invalid {
		for _, unknown := range c.reads {
			t.Run(behaviour+", "+unknown+" unknown", func(t *testing.T) {
				var faults pool.Faults
				err := pool.Validate(rewritten(c.change), func(path string) bool { return path == unknown })
				if err == nil {
					return
				}
				require.ErrorAs(t, err, &faults)
				for _, f := range faults {
					require.NotEqual(t, c.path, f.Path, "%v", f)
				}
			})
		}
		t.Run(behaviour+", all else unknown", func(t *testing.T) {
			err := pool.Validate(rewritten(c.change), func(path string) bool {
				for _, read := range c.reads {
					if path == read || strings.HasPrefix(read, path+".") || strings.HasPrefix(path, "health.") && strings.HasPrefix(read, "health.") {
						return false
					}
				}
				return true
			})
			var faults pool.Faults
			require.ErrorAs(t, err, &faults, "what it reads is known")
			require.Equal(t, c.path, faults[0].Path)
		})
	}
}

func TestWithNothingKnownNothingIsJudged(t *testing.T) {
	require.NoError(t, pool.ValidateCreation(pool.Spec{}, func(string) bool { return true }))
}

func TestEveryFaultIsFoundAtOnce(t *testing.T) {
	s := pool.Default()
	s.Name, s.Size, s.Health.Interval, s.Drain.Signal = "NO", number(-1), 0, "KILL"
	s.Update.MaxSurge = pool.Amount{}
	s.Worker.Env = map[string]string{"PORT": "", "1": ""}
	err := pool.Validate(s, nil)
	var faults pool.Faults
	require.ErrorAs(t, err, &faults)
	var paths []string
	for _, f := range faults {
		paths = append(paths, f.Path)
	}
	require.Equal(t, []string{"name", "worker.command", "size", "health.interval", "drain.signal", `worker.env["1"]`, `worker.env["PORT"]`, "update.max_unavailable"}, paths)
	require.Len(t, strings.Split(err.Error(), "\n"), len(faults))
}

func TestEmptyInitializationIsJudgedAtCreationOnly(t *testing.T) {
	s := rewritten(func(s *pool.Spec) { s.Initialization = pool.Empty })
	require.NoError(t, pool.Validate(s, nil), "a pool that was created empty can grow")
	err := pool.ValidateCreation(s, nil)
	var faults pool.Faults
	require.ErrorAs(t, err, &faults)
	require.Equal(t, "size", faults[0].Path)
	for _, unknown := range []string{"size", "initialization"} {
		require.NoError(t, pool.ValidateCreation(s, func(path string) bool { return path == unknown }))
	}
	s.Size = number(0)
	require.NoError(t, pool.ValidateCreation(s, nil))
	s.Size = nil
	require.Error(t, pool.ValidateCreation(s, nil))
}

func TestAFaultShowsAsMuchOfAValueAsTellsItApart(t *testing.T) {
	err := pool.Validate(rewritten(func(s *pool.Spec) { s.Name = strings.Repeat("N", 1<<20) }), nil)
	require.Error(t, err)
	require.Less(t, len(err.Error()), 1000)
}

func TestOnlyWhatIsARangeIsOutOfIt(t *testing.T) {
	for behaviour, says := range map[string]string{
		"a name in capitals":        "is not valid (got",
		"a relative directory":      "is not valid (got",
		"a signal that kills":       "is none of its values (got",
		"an unknown initialization": "is none of its values (got",
		"a size too large":          "is out of range (got",
		"a long grace":              "is out of range (got",
		"a surge of more than all":  "is out of range (got",
	} {
		require.ErrorContains(t, pool.Validate(rewritten(invalid[behaviour].change), nil), says, behaviour)
	}
}

func TestManyFaultsAreToldInFewWords(t *testing.T) {
	labels := map[string]string{}
	for i := range 45_000 {
		labels[fmt.Sprintf("-%d", i)] = ""
	}
	err := pool.Validate(rewritten(func(s *pool.Spec) { s.Labels = labels }), nil)
	var faults pool.Faults
	require.ErrorAs(t, err, &faults)
	require.Len(t, faults, 101)
	require.Equal(t, pool.Fault{Reason: "there are more faults"}, faults[100])
}

func TestAWrongReferenceIsAnsweredWithThePortsThatAreThere(t *testing.T) {
	for want, ports := range map[string][]pool.Port{
		"declare the port in worker.ports":                                     nil,
		"${PORT}, ${POOLKEEPER_PORT_A}, or declare the port in worker.ports":   {{Name: "a"}, {Name: "a"}},
		"${PORT}, or declare the port in worker.ports":                         {{}, {Name: "A-"}},
		"${PORT}, ${POOLKEEPER_PORT_A_B}, or declare the port in worker.ports": {{Name: "a-b"}},
	} {
		s := rewritten(func(s *pool.Spec) {
			s.Worker.Ports, s.Health.HTTP = ports, nil
			s.Worker.Command = []string{"a", "${POOLKEEPER_PORT_HTTPS}"}
		})
		var faults pool.Faults
		require.ErrorAs(t, pool.Validate(s, nil), &faults)
		require.Equal(t, "worker.command[1]", faults[0].Path)
		require.Equal(t, want, faults[0].Valid)
	}
}

func TestAFaultReadsAsASentence(t *testing.T) {
	for want, f := range map[string]pool.Fault{
		"is empty": {Reason: "is empty"},
		"size: is not a whole number (got \"x\"); valid: 3":                   {Path: "size", Value: `"x"`, Reason: "is not a whole number", Valid: "3"},
		"line 2, column 7: size: is not a whole number (got \"x\"); valid: 3": {Path: "size", Value: `"x"`, Reason: "is not a whole number", Valid: "3", Line: 2, Column: 7},
	} {
		require.Equal(t, want, f.String())
	}
}

func TestThePortVariable(t *testing.T) {
	require.Equal(t, "POOLKEEPER_PORT_HTTP", pool.PortVariable("http"))
	require.Equal(t, "POOLKEEPER_PORT_MY_ADMIN", pool.PortVariable("my-admin"))
}

// secrets gives a spec one secret variable.
func secrets(s *pool.Spec, name, value string) {
	s.Worker.SecretEnv, s.Worker.SecretEnvVersion = map[string]string{name: value}, number(1)
}
