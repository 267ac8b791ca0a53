//go:build linux

package acceptance

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
)

const (
	resourceType = "poolkeeper_resource_pool"
	address      = resourceType + ".web"
)

type (
	object = map[string]any
	list   = []any
)

// change is an edit of a declaration.
type change func(object)

// set writes a value at a dotted path.
func set(path string, value any) change {
	return func(o object) {
		name, rest, inner := strings.Cut(path, ".")
		if !inner {
			o[name] = value
			return
		}
		below, _ := o[name].(object)
		below = maps.Clone(below)
		if below == nil {
			below = object{}
		}
		set(rest, value)(below)
		o[name] = below
	}
}

// without removes an attribute.
func without(name string) change { return func(o object) { delete(o, name) } }

// unset removes what is at a dotted path.
func unset(path string) change {
	return func(o object) {
		around, name, inner := strings.Cut(path, ".")
		if !inner {
			delete(o, path)
			return
		}
		below, _ := o[around].(object)
		below = maps.Clone(below)
		if below == nil {
			below = object{}
		}
		unset(name)(below)
		o[around] = below
	}
}

// web declares a pool of three HTTP workers that come and go fast.
func (p parts) web(changes ...change) object {
	o := object{
		"name": "web",
		"size": 3,
		"worker": object{
			"command": list{p.worker},
			"env":     object{"GREETING": "hello"},
			"ports":   list{object{"name": "http"}},
		},
		"health": object{"http": object{"path": "/healthz"}, "interval": "200ms"},
		"update": object{"max_surge": "100%"},
		"drain":  object{"timeout": "5s", "deregister_delay": "100ms", "grace": "5s"},
	}
	for _, c := range changes {
		c(o)
	}
	return o
}

// args has the worker started with arguments.
func (p parts) args(args ...any) change {
	return set("worker.command", append(list{p.worker}, args...))
}

// declare writes the configuration: the pool "web" and whatever comes with it.
func (w *workspace) declare(pool object, more ...change) {
	w.t.Helper()
	config := object{
		"terraform": object{"required_providers": object{"poolkeeper": object{"source": "registry.terraform.io/poolkeeper/poolkeeper"}}},
	}
	if pool != nil {
		config["resource"] = object{resourceType: object{"web": pool}}
	}
	for _, c := range more {
		c(config)
	}
	data, err := json.MarshalIndent(config, "", "  ")
	require.NoError(w.t, err)
	require.NoError(w.t, os.WriteFile(filepath.Join(w.folder, "main.tf.json"), data, 0o600))
}

// reaches declares, applies and requires success.
func (w *workspace) reaches(pool object, more ...change) outcome {
	w.t.Helper()
	w.declare(pool, more...)
	return w.apply().succeeded()
}
