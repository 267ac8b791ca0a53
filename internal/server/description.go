package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// The router describes what it reads and writes by itself. What follows describes the rest.

// documents are the bodies that handlers read by themselves.
var documents = []struct {
	path   string
	method func(*huma.PathItem) *huma.Operation
	schema func(huma.Registry) *huma.Schema
	types  []string
}{
	{"/v1/pools/{pool}", func(p *huma.PathItem) *huma.Operation { return p.Put }, specDocument, []string{"application/json", "application/yaml"}},
	{"/v1/pools:validate", func(p *huma.PathItem) *huma.Operation { return p.Post }, specDocument, []string{"application/json", "application/yaml"}},
	{"/v1/pools:plan", func(p *huma.PathItem) *huma.Operation { return p.Post }, specDocument, []string{"application/json", "application/yaml"}},
	{"/v1/pools/{pool}", func(p *huma.PathItem) *huma.Operation { return p.Patch }, specPatch, []string{"application/merge-patch+json", "application/json", "application/yaml"}},
	{"/v1/pools/{pool}:plan", func(p *huma.PathItem) *huma.Operation { return p.Post }, specPatch, []string{"application/merge-patch+json", "application/json", "application/yaml"}},
	{api.PathRestore, func(p *huma.PathItem) *huma.Operation { return p.Post }, backupLine, []string{"application/json"}},
	{"/v1/pools/{pool}:resize", func(p *huma.PathItem) *huma.Operation { return p.Post }, resizeDocument, []string{"application/json", "application/yaml"}},
}

func describeBodies(o *huma.OpenAPI) {
	for _, d := range documents {
		content := map[string]*huma.MediaType{}
		for _, t := range d.types {
			content[t] = &huma.MediaType{Schema: d.schema(o.Components.Schemas)}
		}
		d.method(o.Paths[d.path]).RequestBody = &huma.RequestBody{Required: true, Content: content}
	}
}

// specDocument refers to the schema of a spec as it is written, in which all can be left out that has a
// default. (Spec is one as it is shown: complete.)
func specDocument(r huma.Registry) *huma.Schema {
	const name = "SpecDocument"
	if r.Map()[name] == nil {
		text, err := pool.JSONSchema()
		members := map[string]any{}
		if err == nil {
			err = json.Unmarshal(text, &members)
		}
		if err != nil {
			panic(fmt.Sprintf("the table of fields has no JSON Schema: %v", err))
		}
		delete(members, "$schema") // OpenAPI 3.1 means the same
		r.Map()[name] = &huma.Schema{Extensions: members}
	}
	return &huma.Schema{Ref: "#/components/schemas/" + name}
}

func specPatch(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "Fields of a spec with their new values; null returns a field to its default"}
}

func backupLine(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "One pool of a backup: a line of the file, between its first and its last"}
}

func resizeDocument(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[api.Resize](), true, "")
}

// texts are the paths that answer with plain text.
var texts = []string{"/healthz", "/readyz", "/v1/pools/{pool}/workers/{worker}/logs", "/v1/backup"}

// describeAnswers says which answers are text, that a change which was there already is answered with 200, and a lease
// that waits with 202.
func describeAnswers(o *huma.OpenAPI) {
	ok, accepted := strconv.Itoa(http.StatusOK), strconv.Itoa(http.StatusAccepted)
	for _, path := range texts {
		o.Paths[path].Get.Responses[ok] = &huma.Response{
			Description: http.StatusText(http.StatusOK),
			Content:     map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}
	}
	for _, path := range o.Paths {
		for _, operation := range []*huma.Operation{path.Put, path.Patch, path.Post, path.Delete} {
			if operation == nil || operation.Responses[accepted] == nil || operation.Responses[accepted].Content == nil {
				continue
			}
			same := *operation.Responses[accepted]
			same.Description = "Nothing had to be changed"
			operation.Responses[ok] = &same
		}
	}
	for _, operation := range []*huma.Operation{o.Paths["/v1/leases"].Post, o.Paths["/v1/leases/{lease}"].Get, o.Paths["/v1/leases/{lease}:renew"].Post} {
		same := *operation.Responses[ok]
		same.Description = "It waits for its slot"
		operation.Responses[accepted] = &same
	}
}
