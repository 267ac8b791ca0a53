package provider

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

func TestTheManagerIsChosenByConfigurationThenEnvironment(t *testing.T) {
	for name, row := range map[string]struct {
		goos     string
		env      map[string]string
		config   settings
		expected settings
		fault    string
	}{
		"nothing named":                    {expected: settings{}},
		"an endpoint":                      {config: settings{endpoint: "http://a", token: "t"}, expected: settings{endpoint: "http://a", token: "t"}},
		"an endpoint of the environment":   {env: map[string]string{envEndpoint: "http://e", envToken: "t"}, expected: settings{endpoint: "http://e", token: "t"}},
		"a token of both":                  {env: map[string]string{envToken: "theirs"}, config: settings{endpoint: "http://a", token: "ours"}, expected: settings{endpoint: "http://a", token: "ours"}},
		"a token for nobody":               {config: settings{token: "t"}, fault: "A token needs an endpoint"},
		"a token for a directory":          {config: settings{token: "t", dataDir: "/d"}, fault: "A token needs an endpoint"},
		"a token and the environment's":    {env: map[string]string{envEndpoint: "http://e"}, config: settings{token: "t"}, expected: settings{endpoint: "http://e", token: "t"}},
		"a token of the environment alone": {env: map[string]string{envToken: "t"}, expected: settings{token: "t"}},
		"a directory":                      {config: settings{dataDir: "/d"}, expected: settings{dataDir: "/d"}},
		"a directory of the environment":   {env: map[string]string{envDataDir: "/e"}, expected: settings{dataDir: "/e"}},
		"both":                             {config: settings{endpoint: "http://a", dataDir: "/d"}, fault: "exclude each other"},
		"both in the environment":          {env: map[string]string{envEndpoint: "http://e", envDataDir: "/e"}, fault: "exclude each other"},
		"an endpoint over the environment": {env: map[string]string{envDataDir: "/e"}, config: settings{endpoint: "http://a"}, expected: settings{endpoint: "http://a"}},
		"a directory over the environment": {env: map[string]string{envEndpoint: "http://e"}, config: settings{dataDir: "/d"}, expected: settings{dataDir: "/d"}},
		"CI":                               {env: map[string]string{"CI": "true"}, fault: "CI is set"},
		"CI that is off":                   {env: map[string]string{"CI": "false"}, expected: settings{}},
		"CI that is empty":                 {env: map[string]string{"CI": ""}, expected: settings{}},
		"HCP Terraform":                    {env: map[string]string{"TFC_RUN_ID": "run-1"}, fault: "TFC_RUN_ID is set"},
		"CI with a directory":              {env: map[string]string{"CI": "true"}, config: settings{dataDir: "/d"}, expected: settings{dataDir: "/d"}},
		"CI with an endpoint":              {env: map[string]string{"CI": "true", envEndpoint: "http://e"}, expected: settings{endpoint: "http://e"}},
		"Windows":                          {goos: "windows", fault: "Windows"},
		"Windows with a directory":         {goos: "windows", config: settings{dataDir: `C:\d`}, fault: "Windows"},
		"Windows with an endpoint":         {goos: "windows", config: settings{endpoint: "http://a"}, expected: settings{endpoint: "http://a"}},
	} {
		t.Run(name, func(t *testing.T) {
			goos := row.goos
			if goos == "" {
				goos = "linux"
			}
			got, diags := environmentOf(goos, row.env).settle(row.config)
			if row.fault != "" {
				require.Len(t, diags, 1)
				require.Contains(t, diags[0].Summary()+diags[0].Detail(), row.fault)
				return
			}
			require.Empty(t, diags)
			require.Equal(t, row.expected, got)
		})
	}
}

func TestAnUnknownConnectionIsNeverTheLocalManager(t *testing.T) {
	for _, attribute := range []string{"endpoint", "token", "data_dir", "ca_cert", "insecure"} {
		t.Run(attribute, func(t *testing.T) {
			fake := newFake()
			known := newTerraform(t, fake)
			known.reaches(web())
			dialed := func(context.Context, settings) (client.Manager, error) {
				t.Error("a manager was dialed")
				return fake, nil
			}
			server, err := providerserver.NewProtocol6WithError(newProvider("test", dialed, environmentOf("linux", map[string]string{envEndpoint: "http://e"}))())()
			require.NoError(t, err)
			tf := &core{t: t, server: server, schema: known.schema, state: known.state, private: known.private}
			require.Empty(t, tf.configure(object{attribute: unknown}))
			fake.mutations()

			require.ErrorContains(t, firstError(tf.refresh()), attribute+" is not known yet")
			require.ErrorContains(t, firstError(tf.adopt("web")), attribute+" is not known yet")
			require.ErrorContains(t, firstError(tf.destroy()), attribute+" is not known yet")
			require.ErrorContains(t, firstError(tf.apply(tf.plan(web(object{"size": 5})))), attribute+" is not known yet")
			tf.state = value(t, tf.poolType(), nil)
			p := tf.plan(web())
			require.Empty(t, summaries(p.diagnostics), "a plan of a creation asks nobody")
			require.ErrorContains(t, firstError(tf.apply(p)), attribute+" is not known yet")
			require.Empty(t, fake.mutations())
		})
	}
}

func TestWhatIsWrongWithTheConnectionIsShownAtItsAttribute(t *testing.T) {
	dialed := func(_ context.Context, s settings) (client.Manager, error) {
		return nil, errors.New("no way to " + s.endpoint + s.dataDir)
	}
	server, err := providerserver.NewProtocol6WithError(newProvider("test", dialed, noEnvironment())())()
	require.NoError(t, err)
	tf := unconfigured(t, newFake(), noEnvironment())
	tf.server = server
	require.Equal(t, []string{"error: The manager cannot be reached (endpoint): no way to ftp://a"}, tf.configure(object{"endpoint": "ftp://a"}))
	require.Equal(t, []string{"error: The manager cannot be reached (data_dir): no way to /d"}, tf.configure(object{"data_dir": "/d"}))
	got := tf.configure(object{"token": "t"})
	require.Len(t, got, 1)
	require.Contains(t, got[0], "error: A token needs an endpoint (token): ")
}

// realProvider is the provider as it is shipped.
func realProvider(t *testing.T) *core {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(New("1.2.3", "/nowhere")())()
	require.NoError(t, err)
	tf := unconfigured(t, newFake(), noEnvironment())
	tf.server = server
	return tf
}

func TestTheRealProviderDialsWithoutTouchingAnything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nothing")
	for name, row := range map[string]struct {
		config   object
		expected string
	}{
		"a directory":      {object{"data_dir": dir}, ""},
		"an endpoint":      {object{"endpoint": "unix:///run/poolkeeper.sock"}, ""},
		"no such protocol": {object{"endpoint": "ftp://host"}, `(endpoint): endpoint "ftp://host"`},
		"a password":       {object{"endpoint": "https://ada:s3cret@host"}, `(endpoint): endpoint "https://xxxxx@host"`},
		"a line's end":     {object{"endpoint": "https://host", "token": "s3cret\n"}, "(token): the token is not valid text"},
	} {
		t.Run(name, func(t *testing.T) {
			diagnostics := realProvider(t).configure(row.config)
			if row.expected == "" {
				require.Empty(t, diagnostics)
			} else {
				require.Len(t, diagnostics, 1)
				require.Contains(t, diagnostics[0], row.expected)
				require.NotContains(t, diagnostics[0], "s3cret")
			}
			require.NoDirExists(t, dir)
		})
	}
}

func TestAValidationNeedsNoManager(t *testing.T) {
	tf := unconfigured(t, nil, noEnvironment())
	require.Empty(t, summaries(tf.validate(web())))
	require.NotEmpty(t, summaries(tf.validate(web(object{"size": -1}))))
}

func TestADataSourceReadsAnyPoolByName(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(probed())
	typ := tf.schema.DataSourceSchemas[poolType].ValueType()
	read := func(name string) *tfprotov6.ReadDataSourceResponse {
		resp, err := tf.server.ReadDataSource(t.Context(), &tfprotov6.ReadDataSourceRequest{
			TypeName: poolType, Config: tf.dynamic(typ, value(t, typ, object{"name": name})),
		})
		require.NoError(t, err)
		return resp
	}
	resp := read("web")
	require.Empty(t, summaries(resp.Diagnostics))
	v, err := resp.State.Unmarshal(typ)
	require.NoError(t, err)
	for at, expected := range map[string]any{
		"id": tf.shown("id"), "state": "active", "size": int64(3), "health.interval": "5m", "drain.signal": "INT",
		"runtime.process.host": "here", "worker.env": map[string]any{"A": "1", "EMPTY": ""}, "logs.max_size": "1MiB",
		"status.desired": int64(3), "status.ready": int64(3), "status.missing": int64(0), "status.health_reasons": []any{},
		"operation.phase": "succeeded", "last_change": "create",
	} {
		require.Equal(t, expected, plain(valueAt(v, at)), at)
	}
	require.True(t, v.IsFullyKnown())
	require.ErrorContains(t, firstError(read("other").Diagnostics), `(name): there is no pool "other"`)
}

func TestADataSourceIsRefusedANameThatNoPoolCanHave(t *testing.T) {
	tf := unconfigured(t, nil, noEnvironment())
	typ := tf.schema.DataSourceSchemas[poolType].ValueType()
	for name, valid := range map[any]bool{"web": true, unknown: true, "": false, "p_0123456789": false, "Web": false, strings.Repeat("a", 64): false} {
		resp, err := tf.server.ValidateDataResourceConfig(t.Context(), &tfprotov6.ValidateDataResourceConfigRequest{
			TypeName: poolType, Config: tf.dynamic(typ, value(t, typ, object{"name": name})),
		})
		require.NoError(t, err)
		if valid {
			require.Empty(t, summaries(resp.Diagnostics), name)
			continue
		}
		require.Len(t, resp.Diagnostics, 1, name)
		require.Equal(t, "name", dotted(resp.Diagnostics[0].Attribute))
		require.Contains(t, resp.Diagnostics[0].Detail, "DNS")
	}
}
