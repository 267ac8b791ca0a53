package provider

import (
	"fmt"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// tuning is an attribute of the provider that says how an endpoint is reached.
type tuning struct {
	name, env, doc string
	attribute      func(doc string) schema.Attribute
	take           func(s *settings, given string) error
}

const inPEM = " PEM text, or the path of a file with it."

var tunings = []tuning{
	{
		"ca_cert", "POOLKEEPER_CA_CERT", "Certificates of who has signed that of an `https` endpoint, in place of those that the system trusts:" + inPEM, tuningText,
		func(s *settings, given string) error { s.tls.CACert = given; return nil },
	},
	{
		"client_cert", "POOLKEEPER_CLIENT_CERT", "Certificate by which an `https` endpoint knows the provider, together with `client_key`:" + inPEM, tuningText,
		func(s *settings, given string) error { s.tls.Cert = given; return nil },
	},
	{
		"client_key", "POOLKEEPER_CLIENT_KEY", "Key of `client_cert`:" + inPEM, tuningSecret,
		func(s *settings, given string) error { s.tls.Key = given; return nil },
	},
	{
		"insecure", "POOLKEEPER_INSECURE", "Whether any certificate of an `https` endpoint will do. For tests.",
		func(doc string) schema.Attribute {
			return schema.BoolAttribute{Optional: true, MarkdownDescription: doc}
		},
		func(s *settings, given string) (err error) {
			if s.tls.Insecure, err = strconv.ParseBool(given); err != nil {
				err = fmt.Errorf(`is %q; valid: "true" or "false"`, given)
			}
			return err
		},
	},
	{
		"request_timeout", "POOLKEEPER_REQUEST_TIMEOUT", "How long an answer of the endpoint is waited for before it is asked again, like `10s`; waits for an operation come on top. Without either, `30s`.", tuningText,
		func(s *settings, given string) (err error) {
			s.requestTimeout, err = span(given, time.Second)
			return err
		},
	},
	{
		"retry_for", "POOLKEEPER_RETRY_FOR", "How long a request is repeated while the endpoint is out of reach or overloaded, with growing pauses or those that it asks for (`Retry-After`), like `1m`; `0s` repeats nothing. A wait for an operation goes on for longer. Without either, `10s`.", tuningText,
		func(s *settings, given string) (err error) {
			if s.retryFor, err = span(given, 0); err == nil && s.retryFor == 0 {
				s.retryFor = -1
			}
			return err
		},
	},
}

func tuningText(doc string) schema.Attribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: doc}
}

func tuningSecret(doc string) schema.Attribute {
	return schema.StringAttribute{Optional: true, Sensitive: true, MarkdownDescription: doc}
}

// span reads a duration that is not shorter than another.
func span(given string, least time.Duration) (time.Duration, error) {
	d, err := time.ParseDuration(given)
	if err != nil || d < least {
		return 0, fmt.Errorf(`is %q; valid: a duration from %s, like "30s"`, given, pool.Duration(least))
	}
	return d, nil
}

// tune completes settings by what the configuration, or else the environment, says of the way to the endpoint.
func (e environment) tune(s settings, config tftypes.Value) (settings, diag.Diagnostics) {
	var diags diag.Diagnostics
	for _, t := range tunings {
		given, where := plainText(valueAt(config, t.name)), t.name
		if given != "" && s.endpoint == "" {
			diags.AddAttributeError(path.Root(t.name), t.name+" needs an endpoint",
				"It is for the way to the manager at an endpoint, and none is named. Set endpoint (or "+envEndpoint+"), or remove "+t.name+".")
			continue
		}
		if given == "" && s.endpoint != "" {
			given, where = e.value(t.env), t.env
		}
		if given == "" {
			continue
		}
		if err := t.take(&s, given); err != nil {
			diags.AddAttributeError(path.Root(t.name), "Invalid "+t.name, where+" "+err.Error())
		}
	}
	return s, diags
}

// plainText is a known text or bool as text.
func plainText(v tftypes.Value) string {
	switch {
	case !v.IsKnown() || v.IsNull():
		return ""
	case v.Type().Is(tftypes.Bool):
		return strconv.FormatBool(as[bool](v))
	}
	return as[string](v)
}
