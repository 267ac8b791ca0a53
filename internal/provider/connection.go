package provider

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

// settings say which manager the provider talks to: the one at an endpoint, or else the embedded one of a
// data directory.
type settings struct {
	endpoint string
	token    string
	dataDir  string // empty means the default one

	tls                      client.TLS
	requestTimeout, retryFor time.Duration // 0 means the client's own, below 0 none
}

// dial makes the way to a manager. Nothing is started or asked before the first call.
type dial func(ctx context.Context, s settings) (client.Manager, error)

// environment is what the provider reads of its process.
type environment struct {
	lookUp func(name string) (string, bool)
	goos   string
}

// Environment variables that stand in for attributes of the provider.
const (
	envEndpoint     = "POOLKEEPER_ENDPOINT"
	envToken        = "POOLKEEPER_TOKEN"
	envDataDir      = "POOLKEEPER_DATA_DIR"
	envChangeReason = "POOLKEEPER_CHANGE_REASON"
)

// occasion is why changes are made where nobody says it: in which workspace and run.
func (e environment) occasion() string {
	text := "terraform apply"
	selected, _ := os.ReadFile(filepath.Join(cmp.Or(e.value("TF_DATA_DIR"), ".terraform"), "environment")) // there is none for the default workspace
	workspace := cmp.Or(e.value("TFC_WORKSPACE_NAME"), e.value("TF_WORKSPACE"), strings.TrimSpace(string(selected)))
	if workspace != "" {
		text += " in workspace " + workspace
	}
	if run := e.value("TFC_RUN_ID"); run != "" {
		text += " by " + run
	}
	return text
}

func (e environment) value(name string) string {
	value, _ := e.lookUp(name)
	return value
}

// fleeting says why this machine or run is none to leave a manager and workers on; empty if it may be one.
func (e environment) fleeting() string {
	for _, name := range []string{"CI", "TFC_RUN_ID"} {
		if value := e.value(name); value != "" && value != "false" {
			return name + " is set, so this machine may not stay"
		}
	}
	return ""
}

// settle completes the configured settings from the environment and judges them together. What the
// configuration names wins over what the environment names.
func (e environment) settle(s settings) (settings, diag.Diagnostics) {
	const exclusive = "An endpoint leads to a manager that runs already; a data directory is where a local one keeps its data. Set one of them."
	var diags diag.Diagnostics
	configured := s.token
	if s.token == "" {
		s.token = e.value(envToken)
	}
	if s.endpoint != "" && s.dataDir != "" {
		diags.AddAttributeError(path.Root("data_dir"), "endpoint and data_dir exclude each other", exclusive)
		return s, diags
	}
	if s.endpoint == "" && s.dataDir == "" {
		s.endpoint, s.dataDir = e.value(envEndpoint), e.value(envDataDir)
		if s.endpoint != "" && s.dataDir != "" {
			diags.AddError(envEndpoint+" and "+envDataDir+" exclude each other", exclusive)
			return s, diags
		}
	}
	if s.endpoint != "" {
		return s, diags
	}
	if configured != "" {
		diags.AddAttributeError(path.Root("token"), "A token needs an endpoint",
			"The token is for the manager at an endpoint, and none is named: a local manager asks for no token. Set endpoint (or "+envEndpoint+"), or remove token.")
		return s, diags
	}
	if e.goos == "windows" {
		diags.AddAttributeError(path.Root("endpoint"), "No manager is named",
			"Workers cannot run on Windows, so there is no local manager to start. Set endpoint (or "+envEndpoint+") to a manager that runs elsewhere.")
		return s, diags
	}
	if why := e.fleeting(); s.dataDir == "" && why != "" {
		diags.AddAttributeError(path.Root("endpoint"), "No manager is named",
			why+", and the provider starts no manager of its own on it without being told where. Set endpoint (or "+envEndpoint+") to a manager that keeps running, or data_dir (or "+envDataDir+") to a directory that stays.")
		return s, diags
	}
	return s, diags
}

// connection is what every resource has of the provider's configuration.
type connection struct {
	manager client.Manager // nil if unknown is not empty
	unknown string         // the attribute of the provider that has no value yet
	reason  string         // why changes are made, for the audit log

	mu sync.Mutex
	id string // of the manager, once it was asked
}

// reach is the manager, or why there is none yet: an unknown endpoint is not an absent one.
func (c *connection) reach() (client.Manager, error) {
	if c.unknown != "" {
		return nil, fmt.Errorf("the provider's %s is not known yet. Apply what it depends on first (terraform apply -target=…), then plan this", c.unknown)
	}
	return c.manager, nil
}

// managerID asks the manager once who it is.
func (c *connection) managerID(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id != "" {
		return c.id, nil
	}
	m, err := c.manager.Manager(ctx)
	if err != nil {
		return "", err
	}
	if m.ID == "" {
		return "", errors.New("the manager has no id")
	}
	c.id = m.ID
	return c.id, nil
}
