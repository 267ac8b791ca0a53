package api

import (
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
)

// notInLabel are the characters that a Prometheus label's name does not have.
var notInLabel = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// TargetsOf is the registry as groups of Prometheus's HTTP service discovery: one for each port of each worker.
// Meta labels tell pool, worker, port name and the pool's labels.
func TargetsOf(r Registry) []Targets {
	groups := []Targets{}
	for _, p := range r.Pools {
		for _, e := range p.Endpoints {
			for _, name := range slices.Sorted(maps.Keys(e.Ports)) {
				labels := map[string]string{
					"__meta_poolkeeper_pool": p.Name, "__meta_poolkeeper_worker": e.WorkerID,
					"__meta_poolkeeper_port": name, "__meta_poolkeeper_host": p.Host,
				}
				for _, k := range slices.Sorted(maps.Keys(p.Labels)) { // of two that come to the same name, always the same one
					labels["__meta_poolkeeper_label_"+notInLabel.ReplaceAllString(k, "_")] = p.Labels[k]
				}
				groups = append(groups, Targets{Targets: []string{net.JoinHostPort("127.0.0.1", strconv.Itoa(e.Ports[name]))}, Labels: labels})
			}
		}
	}
	return groups
}
