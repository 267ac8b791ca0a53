//go:build linux || darwin

package process

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// The variables that every worker carries, beside pool.PortVariable of each of its ports.
const (
	varPool     = "POOLKEEPER_POOL"
	varPoolUID  = "POOLKEEPER_POOL_UID"
	varWorkerID = "POOLKEEPER_WORKER_ID"
	varManager  = "POOLKEEPER_MANAGER"
	varPort     = "PORT" // of the first port

	// varErrand marks what runs beside a worker and is not the worker, by the errand's id.
	varErrand = "POOLKEEPER_ERRAND"

	portPrefix = "POOLKEEPER_PORT_"
)

// base is what a worker gets unless its spec says otherwise.
type base struct{ path, home string }

// environment is all that a worker's process knows of its surroundings.
type environment struct {
	variables []string // NAME=value, sorted
	path      string   // value of PATH
	expand    *strings.Replacer
}

// newEnvironment makes the environment of one worker. References are replaced in one pass, so nothing
// that a value brings in is replaced again, and any other ${} stays as it is.
func newEnvironment(l runtime.Launch, identity string, b base, ports map[string]int) environment {
	given := map[string]string{varWorkerID: l.WorkerID, varPool: l.PoolName}
	for i, p := range l.Template.Ports {
		number := strconv.Itoa(ports[p.Name])
		given[pool.PortVariable(p.Name)] = number
		if i == 0 {
			given[varPort] = number
		}
	}
	var pairs []string
	for name, value := range given {
		pairs = append(pairs, "${"+name+"}", value)
	}
	expand := strings.NewReplacer(pairs...)

	all := map[string]string{"PATH": b.path, "HOME": b.home}
	for name, value := range l.Template.Env {
		all[name] = expand.Replace(value)
	}
	maps.Copy(all, l.Template.SecretEnv) // as they are
	maps.Copy(all, given)
	all[varPoolUID] = l.PoolUID
	all[varManager] = identity

	variables := make([]string, 0, len(all))
	for name, value := range all {
		variables = append(variables, name+"="+value)
	}
	slices.Sort(variables)
	return environment{variables, all["PATH"], expand}
}

// marks are the variables by which a process is known to descend from a worker.
type marks struct {
	worker, poolUID, pool, identity string
	errand                          string // empty for the worker and what it has started
	ports                           map[string]int
}

// manager is the id of the manager that started the worker.
func (m marks) manager() string {
	id, _, _ := strings.Cut(m.identity, "/")
	return id
}

// readMarks reads NUL-terminated variables. Most processes have none of ours and cost one search.
func readMarks(environ []byte) (m marks) {
	if !bytes.Contains(environ, []byte(varWorkerID+"=")) {
		return marks{}
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		name, value, _ := strings.Cut(string(variable), "=")
		switch name {
		case varWorkerID:
			m.worker = value
		case varPoolUID:
			m.poolUID = value
		case varPool:
			m.pool = value
		case varManager:
			m.identity = value
		case varErrand:
			m.errand = value
		default:
			port, ok := strings.CutPrefix(name, portPrefix)
			number, err := strconv.Atoi(value)
			if !ok || err != nil {
				continue
			}
			if m.ports == nil {
				m.ports = map[string]int{}
			}
			m.ports[strings.ToLower(strings.ReplaceAll(port, "_", "-"))] = number
		}
	}
	return m
}
