package provider

import (
	"context"
	"encoding/json"
	"errors"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// specTypes are the types of a spec's attributes, as the resource has them.
func specTypes(ctx context.Context) map[string]attr.Type {
	typed := map[string]attr.Type{}
	for name, a := range specAttributes(ctx, specTree()) {
		typed[name] = a.GetType()
	}
	return typed
}

// poolFromYAML is the function pool_from_yaml. It needs no manager.
type poolFromYAML struct{}

func newPoolFromYAML() function.Function { return poolFromYAML{} }

func (poolFromYAML) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "pool_from_yaml"
}

func (poolFromYAML) Definition(ctx context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Reads a pool from YAML or JSON",
		MarkdownDescription: "Reads a pool as `poolkeeper pool apply -f` does, and judges it by the same rules. The result has an attribute for each of the resource's arguments, with the defaults filled in and `null` for what is left out, so the pools of many documents are of one type. A document with secrets is refused.",
		Parameters:          []function.Parameter{function.StringParameter{Name: "document", MarkdownDescription: "One pool as YAML or JSON, like the `file` of one."}},
		Return:              function.ObjectReturn{AttributeTypes: specTypes(ctx)},
	}
}

func (poolFromYAML) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var document string
	if resp.Error = req.Arguments.Get(ctx, &document); resp.Error != nil {
		return
	}
	spec, err := pool.Decode([]byte(document))
	if err == nil {
		err = pool.Validate(spec, nil)
	}
	if err == nil {
		err = pool.ValidateCreation(spec, nil)
	}
	if err == nil && spec.Worker.SecretEnv != nil {
		err = errSecrets
	}
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	typed := specTypes(ctx)
	members, attributes := map[string]attr.Value{}, map[string]tftypes.Type{}
	for name, t := range typed {
		attributes[name] = t.TerraformType(ctx)
	}
	for name, v := range specMembers(tftypes.Object{AttributeTypes: attributes}, spec) {
		if members[name], err = typed[name].ValueFromTerraform(ctx, v); err != nil {
			resp.Error = function.NewFuncError(err.Error())
			return
		}
	}
	resp.Error = resp.Result.Set(ctx, types.ObjectValueMust(typed, members))
}

// errSecrets: what a function returns is kept in plans, and shown.
var errSecrets = errors.New("worker.secret_env: secrets are not read from a document here; valid: worker.secret_env_wo of the resource")

// specMembers are the attributes of a spec, as an import would have them.
func specMembers(t tftypes.Object, spec pool.Spec) map[string]tftypes.Value {
	o := observation{leaves: spec.Leaves(), present: pool.BareObjects(spec)}
	members := o.object(t, tftypes.NewValue(t, nil), specTree())
	members["runtime"] = tftypes.NewValue(t.AttributeTypes["runtime"], nil)
	if host := spec.Runtime.Host(); host != "" {
		members["runtime"] = hostedBy(t.AttributeTypes["runtime"], host)
	}
	return members
}

// poolToYAML is the function pool_to_yaml. It needs no manager.
type poolToYAML struct{}

func newPoolToYAML() function.Function { return poolToYAML{} }

func (poolToYAML) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "pool_to_yaml"
}

func (poolToYAML) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary:             "Writes a pool as YAML",
		MarkdownDescription: "Writes a pool as YAML that `poolkeeper pool apply -f` and `pool_from_yaml` read, with its defaults. It takes an object with the resource's arguments, or a whole `poolkeeper_resource_pool`, of which it leaves out what only the manager tells and what only Terraform keeps. Secrets are left out too.",
		Parameters:          []function.Parameter{function.DynamicParameter{Name: "pool", MarkdownDescription: "The pool."}},
		Return:              function.StringReturn{},
	}
}

func (poolToYAML) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var given types.Dynamic
	if resp.Error = req.Arguments.Get(ctx, &given); resp.Error != nil {
		return
	}
	document, err := specDocument(ctx, given.UnderlyingValue())
	if err != nil {
		resp.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	resp.Error = resp.Result.Set(ctx, string(document))
}

// specDocument is the spec in an object as YAML.
func specDocument(ctx context.Context, given attr.Value) ([]byte, error) {
	v, err := given.ToTerraformValue(ctx)
	if err != nil {
		return nil, err
	}
	tree, ok := jsonValue(v).(map[string]any)
	if !ok {
		return nil, errors.New("it is no object with the arguments of a pool")
	}
	for _, r := range reportedAttributes {
		delete(tree, r.name)
	}
	maps.DeleteFunc(tree, func(name string, _ any) bool { return name == "timeouts" || name == onDestroy })
	data, err := json.Marshal(named(tree, specTree()))
	if err != nil {
		return nil, err
	}
	spec, err := pool.Decode(data)
	if err != nil {
		return nil, err
	}
	spec, _ = spec.TakeSecrets()
	return pool.YAML(spec)
}

// named is a tree with the names that its members have in JSON.
func named(tree map[string]any, object *node) map[string]any {
	renamed := map[string]any{}
	for name, v := range tree {
		m := object.member(name)
		inner, isObject := v.(map[string]any)
		switch {
		case m == nil:
			renamed[name] = v // whoever reads it says that there is no such field
		case m.field == nil && isObject:
			renamed[m.key] = named(inner, m)
		default:
			renamed[m.key] = v
		}
	}
	return renamed
}
