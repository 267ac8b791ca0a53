package pool

import "strings"

// ProbeKind names a way to ask a worker how it is; it is the name of a member of HealthCheck.
type ProbeKind string

const (
	ProbeHTTP ProbeKind = "http"
	ProbeTCP  ProbeKind = "tcp"
	ProbeGRPC ProbeKind = "grpc"
	ProbeExec ProbeKind = "exec"
)

// probes are the members of HealthCheck of which only one can be there, in the order of Fields.
var probes = []struct {
	kind ProbeKind
	in   func(HealthCheck) bool
}{
	{ProbeHTTP, func(h HealthCheck) bool { return h.HTTP != nil }},
	{ProbeTCP, func(h HealthCheck) bool { return h.TCP != nil }},
	{ProbeGRPC, func(h HealthCheck) bool { return h.GRPC != nil }},
	{ProbeExec, func(h HealthCheck) bool { return h.Exec != nil }},
}

// ProbeKinds are all ways to ask a worker.
func ProbeKinds() []ProbeKind {
	kinds := make([]ProbeKind, len(probes))
	for i, p := range probes {
		kinds[i] = p.kind
	}
	return kinds
}

// Path is the dotted path of the probe's object in a spec.
func (k ProbeKind) Path() string { return "health." + string(k) }

// Probes are the kinds that the check asks for: at most one, if the spec is valid.
func (h HealthCheck) Probes() []ProbeKind {
	var kinds []ProbeKind
	for _, p := range probes {
		if p.in(h) {
			kinds = append(kinds, p.kind)
		}
	}
	return kinds
}

// Probed says whether there is anything to ask. Without a probe a worker is healthy as long as it lives.
func (h HealthCheck) Probed() bool { return len(h.Probes()) > 0 }

func oneProbe(s Spec) Faults {
	asked := s.Health.Probes()
	if len(asked) < 2 {
		return nil
	}
	return Faults{{Path: "health", Reason: "has more than one probe: " + listed(asked, " and "), Valid: "one of " + listed(ProbeKinds(), ", ") + ", or none"}}
}

func listed(kinds []ProbeKind, separator string) string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return strings.Join(names, separator)
}
