package pool

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/theory/jsonpath"
)

// Validate finds every fault of a complete spec, in the order of Fields and then of the rules that read
// several fields. unknown tells which dotted paths have no value yet (Terraform's unknown values); what
// reads an unknown field is not judged. nil means that all is known.
func Validate(s Spec, unknown func(path string) bool) error {
	return validate(s, unknown, rules)
}

// ValidateCreation is Validate with the rules that hold only when a pool is created.
func ValidateCreation(s Spec, unknown func(path string) bool) error {
	return validate(s, unknown, append(slices.Clone(rules), creationRules...))
}

func validate(s Spec, unknown func(string) bool, rules []rule) error {
	if unknown == nil {
		unknown = func(string) bool { return false }
	}
	var faults Faults
	leaves := s.Leaves()
	for _, f := range Fields {
		v, written := leaves[f.Path]
		if f.OneOf && f.Required && !written {
			continue // the member that it is required in is not there; its empty leaf would be
		}
		if !unknown(f.Path) {
			faults = append(faults, f.Check(v)...)
		}
	}
	for _, r := range rules {
		if !slices.ContainsFunc(r.reads, unknown) {
			faults = append(faults, r.check(s)...)
		}
	}
	return faults.bounded().asError()
}

// Check judges one leaf, given as its JSON value, by the table alone. A leaf that is left out is nil.
func (f Field) Check(v any) Faults {
	if isEmpty(v) {
		if f.Required {
			return Faults{{Path: f.Path, Reason: "is required", Valid: f.valid()}}
		}
		if f.Default == "" {
			return nil
		}
	}
	text, reason := leafText(v), ""
	switch {
	case len(f.Enum) > 0 && !slices.Contains(f.Enum, text):
		reason = "is none of its values"
	case f.Pattern != "" && !patterns[f.Pattern].MatchString(text):
		reason = "is not valid"
	case f.Min != "" && f.Kind.compare(text, f.Min) < 0, f.Max != "" && f.Kind.compare(text, f.Max) > 0:
		reason = outOfRange
	default:
		return nil
	}
	return Faults{{Path: f.Path, Value: quoted(text), Reason: reason, Valid: f.valid()}}
}

const outOfRange = "is out of range"

// valid says in words what a leaf admits.
func (f Field) valid() string {
	switch {
	case f.Valid != "":
		return f.Valid
	case len(f.Enum) > 0:
		return strings.Join(f.Enum, ", ")
	case f.Min != "" && f.Max != "":
		return fmt.Sprintf("a %s from %s to %s", f.Kind, f.Min, f.Max)
	case f.Max != "":
		return fmt.Sprintf("a %s up to %s", f.Kind, f.Max)
	}
	return "a " + string(f.Kind)
}

// compare orders two written values of a bounded kind: negative, zero or positive.
func (k Kind) compare(a, b string) int {
	order := func(s string) int64 {
		switch k {
		case KindDuration:
			d, _ := ParseDuration(s)
			return int64(d)
		case KindBytes:
			n, _ := ParseBytes(s)
			return int64(n)
		case KindAmount:
			n, _ := ParseAmount(s)
			return n.Value
		}
		n, _ := strconv.ParseInt(s, 10, 64)
		return n
	}
	if k == KindAmount && !strings.HasSuffix(a, "%") {
		return 0 // only shares are bounded
	}
	return int(min(max(order(a)-order(b), -1), 1))
}

// rule is a judgement that reads several fields, or the inside of one.
type rule struct {
	reads []string
	check func(Spec) Faults
}

var creationRules = []rule{
	{[]string{"initialization", "size"}, func(s Spec) Faults {
		if s.Initialization == Empty && valueOf(s.Size) != 0 {
			return Faults{{Path: "size", Value: number(s.Size), Reason: "initialization is \"empty\"", Valid: "0, or initialization = \"prewarmed\""}}
		}
		return nil
	}},
	{[]string{"initialization", "autoscaling", "autoscaling.min"}, func(s Spec) Faults {
		if s.Initialization == Empty && s.Autoscaling != nil && valueOf(s.Autoscaling.Min) != 0 {
			return Faults{{Path: "autoscaling.min", Value: number(s.Autoscaling.Min), Reason: "initialization is \"empty\"", Valid: "0, or initialization = \"dynamic\""}}
		}
		return nil
	}},
	{[]string{"initialization", "autoscaling"}, func(s Spec) Faults {
		if s.Initialization == Dynamic && s.Autoscaling == nil {
			return Faults{{Path: "initialization", Value: quoted(s.Initialization), Reason: "the pool has no autoscaling, which would let it grow", Valid: "autoscaling beside it, or prewarmed, empty"}}
		}
		return nil
	}},
}

func number(n *int64) string { return strconv.FormatInt(valueOf(n), 10) }

var rules = []rule{
	{[]string{"size", "autoscaling"}, func(s Spec) Faults {
		switch {
		case s.Size == nil && s.Autoscaling == nil:
			return Faults{{Path: "size", Reason: "is required", Valid: "a whole number from 0 to " + MaxSize + ", or autoscaling instead"}}
		case s.Size != nil && s.Autoscaling != nil:
			return Faults{{Path: "size", Value: number(s.Size), Reason: "autoscaling decides on the size", Valid: "one of size and autoscaling"}}
		}
		return nil
	}},
	{[]string{"autoscaling", "autoscaling.min"}, autoscalingNeeds("min", func(a Autoscaling) *int64 { return a.Min })},
	{[]string{"autoscaling", "autoscaling.max"}, autoscalingNeeds("max", func(a Autoscaling) *int64 { return a.Max })},
	{[]string{"autoscaling", "autoscaling.min", "autoscaling.max"}, func(s Spec) Faults {
		if a := s.Autoscaling; a != nil && a.Min != nil && a.Max != nil && *a.Min > *a.Max {
			return Faults{{Path: "autoscaling.min", Value: number(a.Min), Reason: "is above autoscaling.max", Valid: "at most " + number(a.Max)}}
		}
		return nil
	}},
	{[]string{"autoscaling", "autoscaling.initial", "autoscaling.min", "autoscaling.max"}, func(s Spec) Faults {
		a := s.Autoscaling
		if a == nil || a.Initial == nil || a.Min == nil || a.Max == nil || *a.Initial == a.Clamp(*a.Initial) {
			return nil
		}
		return Faults{{Path: "autoscaling.initial", Value: number(a.Initial), Reason: outOfRange, Valid: fmt.Sprintf("a whole number from %s to %s", number(a.Min), number(a.Max))}}
	}},
	{[]string{"labels"}, func(s Spec) Faults {
		return LabelFaults(s.Labels)
	}},
	{[]string{"restart_triggers"}, func(s Spec) Faults {
		return longValues("restart_triggers", s.RestartTriggers, 1<<16)
	}},
	{[]string{"worker.command"}, func(s Spec) Faults {
		return s.Worker.command().faults()
	}},
	{[]string{"worker.command", "worker.ports"}, func(s Spec) Faults {
		return s.Worker.command().references(s.Worker.Ports)
	}},
	{[]string{"worker.env"}, func(s Spec) Faults { return environment("worker.env", s.Worker.Env) }},
	{[]string{pathSecretEnv}, func(s Spec) Faults {
		return environment(pathSecretEnv, s.Worker.SecretEnv)
	}},
	{[]string{"worker.env", pathSecretEnv}, func(s Spec) (faults Faults) {
		for _, k := range sortedKeys(s.Worker.SecretEnv) {
			if _, twice := s.Worker.Env[k]; twice {
				faults = append(faults, Fault{Path: fmt.Sprintf("%s[%q]", pathSecretEnv, k), Reason: "is in worker.env too", Valid: "a name that is in one of them"})
			}
		}
		return faults
	}},
	{[]string{pathSecretEnv, pathSecretVersion}, func(s Spec) Faults {
		if len(s.Worker.SecretEnv) > 0 && s.Worker.SecretEnvVersion == nil {
			return Faults{{Path: pathSecretVersion, Reason: "is required beside " + pathSecretEnv, Valid: "a whole number from 1, raised with every change of the values"}}
		}
		return nil
	}},
	{[]string{"worker.ports"}, portNames},
	{[]string{"health.http", "health.tcp", "health.grpc", "health.exec"}, oneProbe},
	{[]string{"health.exec", pathHealthExec}, func(s Spec) Faults {
		return s.Health.Errand().faults()
	}},
	{[]string{"health.exec", pathHealthExec, "worker.ports"}, func(s Spec) Faults {
		return s.Health.Errand().references(s.Worker.Ports)
	}},
	{[]string{"drain.hook", "drain.hook.exec", pathHookExec}, func(s Spec) Faults {
		return s.Drain.Errand().faults()
	}},
	{[]string{"drain.hook", "drain.hook.exec", pathHookExec, "worker.ports"}, func(s Spec) Faults {
		return s.Drain.Errand().references(s.Worker.Ports)
	}},
	{[]string{"health.http", "health.http.port", "worker.ports"}, portOf("health.http", func(s Spec) (bool, string) {
		return s.Health.HTTP != nil, port(s.Health.HTTP)
	})},
	{[]string{"health.tcp", "health.tcp.port", "worker.ports"}, portOf("health.tcp", func(s Spec) (bool, string) {
		if s.Health.TCP == nil {
			return false, ""
		}
		return true, s.Health.TCP.Port
	})},
	{[]string{"health.grpc", "health.grpc.port", "worker.ports"}, portOf("health.grpc", func(s Spec) (bool, string) {
		if s.Health.GRPC == nil {
			return false, ""
		}
		return true, s.Health.GRPC.Port
	})},
	{[]string{"drain.hook", "drain.hook.http", "drain.hook.http.port", "worker.ports"}, portOf("drain.hook.http", func(s Spec) (bool, string) {
		if s.Drain.Hook == nil {
			return false, ""
		}
		return s.Drain.Hook.HTTP != nil, port(s.Drain.Hook.HTTP)
	})},
	{[]string{"drain.active_jobs", "drain.active_jobs.port", "worker.ports"}, portOf("drain.active_jobs", func(s Spec) (bool, string) {
		if s.Drain.ActiveJobs == nil {
			return false, ""
		}
		return true, s.Drain.ActiveJobs.Port
	})},
	{[]string{"drain.active_jobs.json_path"}, jsonPath},
	{[]string{"update.windows"}, windows},
	{[]string{"drain.hook", "drain.hook.http", "drain.hook.exec"}, func(s Spec) Faults {
		const valid = "http, which may be left empty, or exec"
		switch hook := s.Drain.Hook; {
		case hook == nil:
		case hook.HTTP == nil && hook.Exec == nil:
			return Faults{{Path: "drain.hook", Reason: "tells the worker nothing", Valid: valid}}
		case hook.HTTP != nil && hook.Exec != nil:
			return Faults{{Path: "drain.hook", Reason: "tells the worker in two ways", Valid: valid}}
		}
		return nil
	}},
	{[]string{"update.max_surge", "update.max_unavailable"}, func(s Spec) Faults {
		if u := s.Update; u.MaxSurge.Value == 0 && u.MaxUnavailable.Value == 0 {
			return Faults{{Path: "update.max_unavailable", Value: u.MaxUnavailable.String(), Reason: "update.max_surge is 0 too, so no worker could ever be replaced", Valid: "at least one of the two above 0"}}
		}
		return nil
	}},
	{[]string{"update.min_ready", "update.progress_deadline"}, func(s Spec) Faults {
		if u := s.Update; u.MinReady >= u.ProgressDeadline {
			return Faults{{Path: "update.min_ready", Value: quoted(u.MinReady.String()), Reason: "is not below update.progress_deadline, so every rollout would fail", Valid: "less than " + u.ProgressDeadline.String()}}
		}
		return nil
	}},
}

var (
	labelKey   = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9._/-]{0,251}[a-zA-Z0-9])?$`)
	labelValue = regexp.MustCompile(`^[^\x00-\x1f\x7f-\x9f]*$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	portName   = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,13}[a-z0-9])?$`)
	portRef    = regexp.MustCompile(`\$\{(PORT|POOLKEEPER_PORT_[A-Z0-9_]+)\}`)
)

// LabelFaults are what is wrong with labels.
func LabelFaults(labels map[string]string) (faults Faults) {
	for _, k := range sortedKeys(labels) {
		at := fmt.Sprintf("labels[%q]", k)
		if !labelKey.MatchString(k) {
			faults = append(faults, Fault{Path: at, Value: quoted(k), Reason: "the key is not valid", Valid: "a key of 1 to 253 of a-z, A-Z, 0-9, '.', '_', '-' and '/', starting and ending with a letter or digit"})
		}
		if !labelValue.MatchString(labels[k]) {
			faults = append(faults, Fault{Path: at, Value: quoted(labels[k]), Reason: "holds a control character", Valid: "text without control characters"})
		}
	}
	return append(faults, longValues("labels", labels, 256)...)
}

func longValues(path string, m map[string]string, most int) (faults Faults) {
	for _, k := range sortedKeys(m) {
		if len(m[k]) > most {
			faults = append(faults, Fault{Path: fmt.Sprintf("%s[%q]", path, k), Reason: fmt.Sprintf("the value has %d bytes", len(m[k])), Valid: fmt.Sprintf("at most %d bytes", most)})
		}
	}
	return faults
}

// autoscalingNeeds says that a bound is missing.
func autoscalingNeeds(name string, of func(Autoscaling) *int64) func(Spec) Faults {
	return func(s Spec) Faults {
		if s.Autoscaling == nil || of(*s.Autoscaling) != nil {
			return nil
		}
		path := "autoscaling." + name
		f, _ := FieldAt(path)
		return Faults{{Path: path, Reason: "is required", Valid: f.valid()}}
	}
}

func (c Command) faults() Faults {
	if len(c.Words) > 0 && c.Words[0] == "" {
		return Faults{{Path: c.Path + "[0]", Value: `""`, Reason: "is empty", Valid: "a program's name or absolute path"}}
	}
	return nulFaults(c.Path, c.Words)
}

// nulFaults: no operating system can pass a NUL byte in an argument or a variable.
func nulFaults(path string, values []string) (faults Faults) {
	for i, v := range values {
		if strings.ContainsRune(v, 0) {
			faults = append(faults, Fault{Path: fmt.Sprintf("%s[%d]", path, i), Value: quoted(v), Reason: "holds a NUL byte", Valid: "text without NUL"})
		}
	}
	return faults
}

// PortVariable is the environment variable that carries a port of the given name.
func PortVariable(name string) string {
	return "POOLKEEPER_PORT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// references judges what a command says of ports.
func (c Command) references(ports []Port) (faults Faults) {
	given := []string{}
	for i, p := range ports {
		if i == 0 {
			given = append(given, "PORT")
		}
		// A name that is at fault itself is no advice.
		if name := PortVariable(p.Name); portName.MatchString(p.Name) && !slices.Contains(given, name) {
			given = append(given, name)
		}
	}
	for i, arg := range c.Words {
		for _, ref := range portRef.FindAllStringSubmatch(arg, -1) {
			if !slices.Contains(given, ref[1]) {
				valid := "declare the port in worker.ports"
				if len(given) > 0 {
					valid = "${" + strings.Join(given, "}, ${") + "}, or " + valid
				}
				faults = append(faults, Fault{Path: fmt.Sprintf("%s[%d]", c.Path, i), Value: quoted(arg), Reason: ref[0] + " names no declared port", Valid: valid})
			}
		}
	}
	return faults
}

// environment judges variables. No fault tells a value.
func environment(path string, variables map[string]string) (faults Faults) {
	for _, k := range sortedKeys(variables) {
		at := fmt.Sprintf("%s[%q]", path, k)
		switch {
		case !envName.MatchString(k):
			faults = append(faults, Fault{Path: at, Value: quoted(k), Reason: "is not a name of an environment variable", Valid: "letters, digits and '_', not starting with a digit"})
		case k == "PORT", strings.HasPrefix(k, "POOLKEEPER_"):
			faults = append(faults, Fault{Path: at, Value: quoted(k), Reason: "is set by Poolkeeper", Valid: "any name but PORT and POOLKEEPER_*"})
		case strings.ContainsRune(variables[k], 0):
			faults = append(faults, Fault{Path: at, Reason: "holds a NUL byte", Valid: "text without NUL"})
		}
	}
	return faults
}

func portNames(s Spec) (faults Faults) {
	seen := map[string]bool{}
	for i, p := range s.Worker.Ports {
		at := fmt.Sprintf("worker.ports[%d].name", i)
		switch {
		case !portName.MatchString(p.Name):
			faults = append(faults, Fault{Path: at, Value: quoted(p.Name), Reason: "is not a name of a port", Valid: "1 to 15 of a-z, 0-9 and '-', starting with a letter"})
		case seen[p.Name]:
			faults = append(faults, Fault{Path: at, Value: quoted(p.Name), Reason: "is there twice", Valid: "a name of its own for each port"})
		}
		seen[p.Name] = true
	}
	return faults
}

func port(p *HTTPProbe) string {
	if p == nil {
		return ""
	}
	return p.Port
}

// portOf judges the port that an object asks for: it has to be one of the worker's.
func portOf(object string, asks func(Spec) (present bool, port string)) func(Spec) Faults {
	return func(s Spec) Faults {
		present, asked := asks(s)
		if !present {
			return nil
		}
		var names []string
		for _, p := range s.Worker.Ports {
			if !slices.Contains(names, p.Name) { // one that is there twice is a fault of its own
				names = append(names, p.Name)
			}
		}
		switch {
		case len(names) == 0:
			return Faults{{Path: object, Reason: "asks a port, but worker.ports declares none", Valid: "declare a port in worker.ports"}}
		case asked != "" && !slices.Contains(names, asked):
			return Faults{{Path: object + ".port", Value: quoted(asked), Reason: "names no port of worker.ports", Valid: strings.Join(names, ", ")}}
		}
		return nil
	}
}

func jsonPath(s Spec) Faults {
	if s.Drain.ActiveJobs == nil || s.Drain.ActiveJobs.JSONPath == "" {
		return nil
	}
	if _, err := jsonpath.Parse(s.Drain.ActiveJobs.JSONPath); err != nil {
		return Faults{{Path: "drain.active_jobs.json_path", Value: quoted(s.Drain.ActiveJobs.JSONPath), Reason: "is not a JSONPath: " + err.Error(), Valid: "a path like $.jobs.active (RFC 9535)"}}
	}
	return nil
}
