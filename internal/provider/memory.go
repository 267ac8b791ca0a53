package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// memory is what Terraform keeps of a pool beside its state, for us alone.
type memory struct {
	Manager    string `json:"manager"`    // id of the manager that has the pool
	UID        string `json:"uid"`        // of the pool
	Generation int64  `json:"generation"` // that the state shows
	Operation  string `json:"operation"`  // the newest one
	Unborn     bool   `json:"unborn"`     // it has not been active yet, so it protects nothing
}

// memoryKey is the key of the memory in the private state.
const memoryKey = "pool"

type (
	privateReader interface {
		GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	}
	privateWriter interface {
		SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
	}
)

// recall reads the memory. uid, from the state, stands in for one that is lost.
func recall(ctx context.Context, from privateReader, uid string) (m memory, diags diag.Diagnostics) {
	data, diags := from.GetKey(ctx, memoryKey)
	if len(data) > 0 && !diags.HasError() {
		if err := json.Unmarshal(data, &m); err != nil {
			diags.AddError("The private state cannot be read", fmt.Sprintf("Remove the pool from the state and import it again: %v", err))
		}
	}
	if m.UID == "" {
		m.UID = uid
	}
	return m, diags
}

func (m memory) keep(ctx context.Context, in privateWriter) (diags diag.Diagnostics) {
	data, err := json.Marshal(m)
	if err != nil {
		diags.AddError("The private state cannot be written", err.Error())
		return diags
	}
	return in.SetKey(ctx, memoryKey, data)
}

// remember takes in what the manager shows.
func (m *memory) remember(view pool.View) {
	m.UID, m.Generation, m.Operation, m.Unborn = view.UID, view.Generation, view.OperationID, view.ConvergedGeneration == 0
}

// whereabouts says which manager has the pool if err is that none was reached.
func (m memory) whereabouts(err error) string {
	switch {
	case !isUnreachable(err), m.Manager == "":
		return ""
	case errors.Is(err, embedded.ErrUnanswering): // which says what to do
		return fmt.Sprintf("It is with manager %s.", m.Manager)
	}
	return fmt.Sprintf("It is with manager %s, which was not reached. Set the provider's endpoint or data_dir to that manager, or start it.", m.Manager)
}

// etag is the entity tag of the pool that the state shows.
func (m memory) etag() string {
	return client.ETag(pool.Pool{UID: m.UID, Generation: m.Generation})
}
