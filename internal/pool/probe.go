package pool

import (
	"slices"
	"strings"
)

// ProbeKind names a way to ask a worker how it is; it is the name of a member of HealthCheck.
type ProbeKind string

const (
	ProbeHTTP ProbeKind = "http"
	ProbeTCP  ProbeKind = "tcp"
	ProbeGRPC ProbeKind = "grpc"
	ProbeExec ProbeKind = "exec"
)

// probes are the members of HealthCheck of which only one can be there, in the order of Fields. port is the
// name of the port that a probe asks; nil means that it asks none.
var probes = []struct {
	kind  ProbeKind
	asked func(HealthCheck) bool
	port  func(HealthCheck) string
}{
	{ProbeHTTP, func(h HealthCheck) bool { return h.HTTP != nil }, func(h HealthCheck) string { return h.HTTP.Port }},
	{ProbeTCP, func(h HealthCheck) bool { return h.TCP != nil }, func(h HealthCheck) string { return h.TCP.Port }},
	{ProbeGRPC, func(h HealthCheck) bool { return h.GRPC != nil }, func(h HealthCheck) string { return h.GRPC.Port }},
	{ProbeExec, func(h HealthCheck) bool { return h.Exec != nil }, nil},
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
		if p.asked(h) {
			kinds = append(kinds, p.kind)
		}
	}
	return kinds
}

// Has says whether the check asks in the given way.
func (h HealthCheck) Has(kind ProbeKind) bool {
	for _, p := range probes {
		if p.kind == kind {
			return p.asked(h)
		}
	}
	return false
}

// anyProbe reads whatever says which probes there are, and the further fields.
func anyProbe(further ...string) []string {
	for _, p := range probes {
		further = append(further, p.kind.Path())
	}
	return further
}

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

func probePorts(s Spec) (faults Faults) {
	names := make([]string, len(s.Worker.Ports))
	for i, p := range s.Worker.Ports {
		names[i] = p.Name
	}
	for _, p := range probes {
		if p.port == nil || !p.asked(s.Health) {
			continue
		}
		path, port := p.kind.Path(), p.port(s.Health)
		switch {
		case len(names) == 0:
			faults = append(faults, Fault{Path: path, Reason: "asks a port, but worker.ports declares none", Valid: "declare a port in worker.ports"})
		case port != "" && !slices.Contains(names, port):
			faults = append(faults, Fault{Path: path + ".port", Value: quoted(port), Reason: "names no port of worker.ports", Valid: strings.Join(names, ", ")})
		}
	}
	return faults
}
