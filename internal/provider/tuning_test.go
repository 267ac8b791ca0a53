package provider

import (
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

func TestTheWayToAnEndpointIsTunedByConfigurationThenEnvironment(t *testing.T) {
	every := map[string]string{
		"POOLKEEPER_CA_CERT": "/env/ca", "POOLKEEPER_CLIENT_CERT": "/env/cert", "POOLKEEPER_CLIENT_KEY": "/env/key",
		"POOLKEEPER_INSECURE": "true", "POOLKEEPER_REQUEST_TIMEOUT": "5s", "POOLKEEPER_RETRY_FOR": "1m",
	}
	fromEvery := settings{
		endpoint: "https://a", tls: client.TLS{CACert: "/env/ca", Cert: "/env/cert", Key: "/env/key", Insecure: true},
		requestTimeout: 5 * time.Second, retryFor: time.Minute,
	}
	for name, row := range map[string]struct {
		env      map[string]string
		config   object
		expected settings
		fault    string // "attribute: …"
	}{
		"nothing":              {config: object{"endpoint": "https://a"}, expected: settings{endpoint: "https://a"}},
		"all by environment":   {env: every, config: object{"endpoint": "https://a"}, expected: fromEvery},
		"none for a directory": {env: every, config: object{"data_dir": "/d"}, expected: settings{dataDir: "/d"}},
		"all by configuration": {env: every, config: object{
			"endpoint": "https://a", "ca_cert": "/ca", "client_cert": "/cert", "client_key": "/key", "insecure": false, "request_timeout": "2s", "retry_for": "0s",
		}, expected: settings{
			endpoint: "https://a", tls: client.TLS{CACert: "/ca", Cert: "/cert", Key: "/key"}, requestTimeout: 2 * time.Second, retryFor: -1,
		}},
		"a certificate without endpoint": {config: object{"ca_cert": "/ca", "data_dir": "/d"}, fault: "ca_cert: It is for the way to the manager at an endpoint"},
		"a timeout that is none":         {config: object{"endpoint": "https://a", "request_timeout": "soon"}, fault: `request_timeout: request_timeout is "soon"; valid: a duration from 1s`},
		"a timeout that is too short":    {config: object{"endpoint": "https://a", "request_timeout": "1ms"}, fault: "valid: a duration from 1s"},
		"a negative patience":            {config: object{"endpoint": "https://a", "retry_for": "-1s"}, fault: "valid: a duration from 0s"},
		"a variable that is no bool":     {env: map[string]string{"POOLKEEPER_INSECURE": "perhaps"}, config: object{"endpoint": "https://a"}, fault: `insecure: POOLKEEPER_INSECURE is "perhaps"`},
	} {
		t.Run(name, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			typ := tf.schema.Provider.ValueType()
			config := value(t, typ, row.config)
			got, diags := environmentOf("linux", row.env).tune(settings{endpoint: textAt(config, "endpoint"), dataDir: textAt(config, "data_dir")}, config)
			if row.fault != "" {
				require.Len(t, diags, 1)
				at, _ := diags[0].(diag.DiagnosticWithPath)
				require.Contains(t, at.Path().String()+": "+at.Detail(), row.fault)
				return
			}
			require.Empty(t, diags)
			require.Equal(t, row.expected, got)
		})
	}
}

func TestAnUnfitCertificateIsShownAtItsAttribute(t *testing.T) {
	for name, row := range map[string]struct {
		config   object
		expected string
	}{
		"no file":               {object{"endpoint": "https://a", "ca_cert": "/none"}, "(ca_cert): ca_cert: open /none"},
		"no certificate":        {object{"endpoint": "https://a", "ca_cert": "-----BEGIN NOTHING-----"}, "(ca_cert): ca_cert: it holds no certificate"},
		"a cert without key":    {object{"endpoint": "https://a", "client_cert": "/c"}, "(client_key): client_key: it is missing"},
		"for no https endpoint": {object{"endpoint": "http://a", "insecure": true}, "(endpoint): endpoint: certificates are for an endpoint that begins with https://"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, realProvider(t).configure(row.config)[0], row.expected)
		})
	}
}

func TestAChangeIsSaidToBeOfItsWorkspaceAndRun(t *testing.T) {
	for _, row := range []struct {
		env      map[string]string
		config   object
		expected string
	}{
		{nil, object{}, "terraform apply"},
		{map[string]string{"TF_WORKSPACE": "prod"}, object{}, "terraform apply in workspace prod"},
		{map[string]string{"TFC_WORKSPACE_NAME": "prod", "TFC_RUN_ID": "run-1"}, object{"endpoint": "http://a"}, "terraform apply in workspace prod by run-1"},
		{map[string]string{"TF_WORKSPACE": "prod", envChangeReason: "ticket 7"}, object{}, "ticket 7"},
		{map[string]string{envChangeReason: "ticket 7"}, object{"change_reason": "ticket 8"}, "ticket 8"},
	} {
		fake := newFake()
		configured(t, fake, row.config, environmentOf("linux", row.env)).reaches(web())
		require.Equal(t, []string{row.expected}, fake.reasons)
	}
}
