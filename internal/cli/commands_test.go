package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/embedded"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestWhatIsShownIsATable(t *testing.T) {
	plain(t)
	for line, want := range map[string]string{
		"pool list": `NAME   STATE     HEALTH    DESIRED  CURRENT  READY  REVISION  UPDATED
web    updating  degraded  3        4        2      2         2026-05-06T12:00:00Z
batch  updating  degraded  3        4        2      2         2026-05-06T12:00:00Z
`,
		"pool get web": `Name:        web
UID:         p_web
State:       updating
Health:      degraded (w_2 is unhealthy; w_3 is new)
Workers:     2 of 3 available, 1 old
Command:     worker --fast
Host:        h1
Revision:    2
Generation:  4 (1 reached)
Operation:   op_0 update running (1 of 3 are new)
Created:     2026-05-06T12:00:00Z (by user:ada)
Updated:     2026-05-06T12:00:00Z
`,
		"pool revisions web": `REVISION  CREATED               AUTHOR    REASON
2         2026-05-06T12:00:00Z  user:ada  more load
1         2026-05-06T12:00:00Z  user:ada  -
`,
		"pool events web --after 1": `SEQUENCE  TIME                  TYPE          WORKER  AUTHOR    MESSAGE
2         2026-05-06T12:00:00Z  pool.updated  w_1     user:ada  event 2
3         2026-05-06T12:00:00Z  pool.updated  -       user:ada  event 3
`,
		"worker list web": `ID   STATE   HEALTH   PID  PORTS                 LEASED         REVISION  STARTED               REASON
w_1  ready   healthy  71   admin=4001,http=4000  1/2, cordoned  2         2026-05-06T12:00:00Z  -
w_2  failed  -        -    -                     -              1         -                     exited with code 3 at once
`,
		"lease list web": `ID   STATE    WORKER  HOLDER  SINCE                 EXPIRES
l_1  held     w_1     job 1   2026-05-06T12:00:00Z  2026-05-06T12:01:00Z
l_2  waiting  -       job 2   2026-05-06T12:00:00Z  2026-05-06T12:01:00Z
`,
		"token list --ended": `ID     NAME  ROLE      LABELS               AUTHOR    CREATED               EXPIRES               REVOKED
tok_2  ci    operator  os=linux, team=core  user:ada  2026-05-06T12:00:00Z  2026-05-06T13:00:00Z  -
tok_1  ci    operator  -                    user:ada  2026-05-06T12:00:00Z  2026-05-06T13:00:00Z  2026-05-06T12:00:00Z
`,
		"token create ci": `ID:       tok_1
Name:     ci
Role:     operator
Labels:   os=linux, team=core
Author:   user:ada
Expires:  2026-05-06T13:00:00Z
Token:    pkt_secret
`,
		"token revoke tok_2": `ID:       tok_2
Name:     ci
Role:     operator
Labels:   os=linux, team=core
Author:   user:ada
Expires:  2026-05-06T13:00:00Z
Revoked:  2026-05-06T12:00:00Z (user:ada)
`,
		"registry": `POOL  WORKER  HOST  PORTS      LEASED  SLOTS
web   w_1     h1    http=4000  1       2
`,
		"registry --watch": `POOL  WORKER  HOST  PORTS      LEASED  SLOTS
web   w_1     h1    http=4000  1       2
POOL  WORKER  HOST  PORTS  LEASED  SLOTS
`,
		"worker logs web w_1":               "log of web w_1\n",
		"worker logs web w_1 --max-bytes 3": "log",
		"worker logs web w_1 --output json": "{\n  \"log\": \"log of web w_1\\n\"\n}\n",
		"operation get op_7": `ID:       op_7
Pool:     web (p_web)
Kind:     update (rolling)
Phase:    running
Author:   user:ada
Created:  2026-05-06T12:00:00Z
Ended:    -
`,
		"operation wait op_7": `ID:       op_7
Pool:     -
Kind:     -
Phase:    succeeded
Author:   -
Created:  -
Ended:    -
`,
	} {
		t.Run(line, func(t *testing.T) {
			got := command(t, newFake(), "", fields(line)...)
			require.Equal(t, outcomeOf{out: want}, got)
		})
	}
}

func TestJSONAndYAMLAreTheAPIsOwn(t *testing.T) {
	plain(t)
	for line, into := range map[string]any{
		"pool list":           &api.PoolList{},
		"pool get p_web":      &pool.View{},
		"pool revisions web":  &api.RevisionList{},
		"pool events web":     &api.EventList{},
		"worker list web":     &api.WorkerList{},
		"operation get op_1":  &pool.Operation{},
		"token create ci":     &api.NewToken{},
		"token list":          &api.TokenList{},
		"token revoke tok_1":  &api.Token{},
		"worker logs web w_1": &map[string]string{},
		"version":             &map[string]string{},
	} {
		t.Run(line, func(t *testing.T) {
			asJSON := command(t, newFake(), "", fields(line+" -o json")...)
			require.Zero(t, asJSON.code, asJSON.err)
			require.NoError(t, json.Unmarshal([]byte(asJSON.out), into))
			var tree, sameTree any
			require.NoError(t, json.Unmarshal([]byte(asJSON.out), &tree))

			asYAML := command(t, newFake(), "", fields(line+" -o yaml")...)
			require.Zero(t, asYAML.code, asYAML.err)
			require.NotContains(t, asYAML.out, `{"`)
			require.NoError(t, yaml.Unmarshal([]byte(asYAML.out), &sameTree))
			back, err := json.Marshal(sameTree)
			require.NoError(t, err)
			want, err := json.Marshal(tree)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(back))
		})
	}
}

func TestWhatIsSteeredIsAskedForWithItsReason(t *testing.T) {
	plain(t)
	for line, call := range map[string]string{
		"pool pause web":                  "pause web",
		"pool resume web":                 "resume web",
		"rollout promote web":             "promote web",
		"rollout abort web":               "abort web",
		"worker cordon web w_1":           "cordon web w_1",
		"worker uncordon web w_1":         "uncordon web w_1",
		"worker extend web w_1 --by 10m":  "extend web w_1 10m0s",
		"lease acquire web --holder job":  "acquire web job map[]",
		"lease acquire --selector os=bsd": "acquire   map[os:bsd]",
		"lease renew l_1":                 "renew l_1",
		"lease release l_1":               "release l_1",
		"token revoke tok_1":              "revoke tok_1",
		"token create ci":                 "make ci viewer [] 24h",
		"token create ci --role admin --label team=core --label os=bsd --ttl 1h": "make ci admin [os=bsd, team=core] 1h",
	} {
		t.Run(line, func(t *testing.T) {
			m := newFake()
			got := command(t, m, "", append(fields(line), "--reason", "maintenance")...)
			require.Zero(t, got.code, got.err)
			require.Equal(t, []string{call}, m.calls)
			if !strings.HasPrefix(line, "lease") && !strings.HasPrefix(line, "token") {
				require.Equal(t, client.Change{Reason: "maintenance"}, m.change)
			}
			require.NotEmpty(t, got.out)
		})
	}
	for line, says := range map[string]string{
		"worker extend web w_1":            "--by says how much longer",
		"lease acquire":                    "give the pool, or else --selector",
		"lease acquire web --selector a=b": "give the pool, or else --selector",
		"rollout revert web none":          "valid: a number out of",
		"token create":                     "accepts 1 arg(s)",
		"token create ci --label team":     "team must be formatted as key=value",
	} {
		got := command(t, newFake(), "", fields(line)...)
		require.Equal(t, 2, got.code, line)
		require.Contains(t, got.err, says)
	}
}

func TestTextThatLooksLikeANumberStaysTextInYAML(t *testing.T) {
	plain(t)
	m := newFake()
	web := m.pools["web"]
	web.Spec.Labels = map[string]string{"number": "42", "yes": "true", "null": "null", "time": "2026-05-06", "many": "a\nb: c\n", "empty": ""}
	m.pools["web"] = web
	got := command(t, m, "", "pool", "get", "web", "-o", "yaml")
	require.Zero(t, got.code, got.err)
	var read struct {
		Spec struct{ Labels map[string]any }
	}
	require.NoError(t, yaml.Unmarshal([]byte(got.out), &read))
	for name, value := range web.Spec.Labels {
		require.Equal(t, value, read.Spec.Labels[name], name)
	}
}

func TestAChangeIsAskedForWithItsReasonAndWaitedFor(t *testing.T) {
	plain(t)
	for line, call := range map[string]string{
		"pool resize web 7":             "resize web 7",
		"pool resize web 0":             "resize web 0",
		"pool restart web":              "restart web",
		"pool delete web":               "delete web false",
		"rollout revert web 3":          "revert web 3",
		"worker drain web w_1":          "drain web w_1 true",
		"worker drain web w_1 --shrink": "drain web w_1 false",
		"pool delete web --force":       "delete web true",
		"pool patch web -f -":           "patch web size: 4",
		"pool patch web --file=-":       "patch web size: 4",
		"pool resize --wait web 99":     "resize web 99",
	} {
		t.Run(line, func(t *testing.T) {
			m := newFake()
			got := command(t, m, "size: 4\n", append(fields(line), "--reason", "more load")...)
			require.Zero(t, got.code, got.err)
			require.Equal(t, []string{call}, m.calls)
			require.Equal(t, []string{"op_1"}, m.waited)
			require.Equal(t, client.Change{Reason: "more load"}, m.change)
			require.Contains(t, got.out, "web   updating")
			require.Contains(t, got.err, "accepted as op_1")
			require.Contains(t, got.err, "succeeded")
		})
	}
}

func TestAChangeThatChangesNothingIsNotToldAsNew(t *testing.T) {
	plain(t)
	for _, row := range []struct {
		name    string
		settled pool.OperationPhase
		waited  []string
		err     string
	}{
		{"it was reached", pool.OperationSucceeded, nil, "pool \"web\" is as asked for already\n"},
		{"it is not reached yet", pool.OperationRunning, []string{"op_1"}, "pool \"web\": resize (hot) is under way already as op_1\npool \"web\": resize succeeded\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newFake()
			m.settled = row.settled
			got := command(t, m, "", "pool", "resize", "web", "3")
			require.Zero(t, got.code)
			require.Equal(t, row.err, got.err)
			require.Equal(t, row.waited, m.waited)
			require.Contains(t, got.out, "web   updating")
		})
	}
}

func TestARepeatedRequestWhoseOperationFailedMeanwhileFails(t *testing.T) {
	plain(t)
	m := newFake()
	m.settled, m.ending = pool.OperationFailed, pool.Operation{Phase: pool.OperationFailed, Reason: "no progress"}
	got := command(t, m, "", "pool", "resize", "web", "3")
	require.Equal(t, exitFailed, got.code)
	require.NotContains(t, got.err, "already")
	require.Contains(t, got.err, "no progress")
}

func TestAChangeThatIsNotWaitedForReturnsAtOnce(t *testing.T) {
	plain(t)
	for _, flag := range []string{"--no-wait", "--wait=false"} {
		m := newFake()
		m.ending.Phase = pool.OperationRunning
		got := command(t, m, "", "pool", "restart", "web", flag)
		require.Zero(t, got.code, got.err)
		require.Empty(t, m.waited)
		require.Contains(t, got.err, "restart (hot) accepted as op_1")
	}
}

const webSpec = `name: web
size: 5
worker:
  command: [worker]
`

func TestApplyCreatesOrChanges(t *testing.T) {
	plain(t)
	t.Run("changes what is there, on the base it has seen", func(t *testing.T) {
		m := newFake()
		got := command(t, m, webSpec, "pool", "apply", "-f", "-")
		require.Zero(t, got.code, got.err)
		require.Equal(t, []string{"update web 5"}, m.calls)
		require.Equal(t, `"p_web.4"`, m.change.ETag)
	})
	t.Run("creates what is not there", func(t *testing.T) {
		m := newFake()
		delete(m.pools, "web")
		got := command(t, m, webSpec, "pool", "apply", "-f", "-")
		require.Zero(t, got.code, got.err)
		require.Equal(t, []string{"create web 5"}, m.calls)
		require.Empty(t, m.change.ETag)
	})
	t.Run("creates where there is no store yet", func(t *testing.T) {
		m := &noStore{newFake()}
		got := command(t, m, webSpec, "pool", "apply", "-f", "-")
		require.Zero(t, got.code, got.err)
		require.Equal(t, []string{"create web 5"}, m.calls)
	})
	t.Run("changes what another one creates meanwhile", func(t *testing.T) {
		m := newFake()
		m.refuse = conflict(api.ProblemExists, 409)
		late := &appearsLater{fakeManager: m}
		got := command(t, late, webSpec, "pool", "apply", "-f", "-")
		require.Zero(t, got.code, got.err)
		require.Equal(t, []string{"create web 5", "update web 5"}, m.calls)
	})
}

// noStore has nothing to read until the first change.
type noStore struct{ *fakeManager }

func (m *noStore) Pool(context.Context, string) (pool.View, error) {
	return pool.View{}, embedded.ErrNoStore
}

// appearsLater has no pool at the first look.
type appearsLater struct {
	*fakeManager
	looks int
}

func (m *appearsLater) Pool(ctx context.Context, name string) (pool.View, error) {
	if m.looks++; m.looks == 1 {
		return pool.View{}, notFound("pool")
	}
	return m.fakeManager.Pool(ctx, name)
}

func TestEveryOutcomeHasItsExitCode(t *testing.T) {
	plain(t)
	missing := t.TempDir() + "/none"
	for name, row := range map[string]struct {
		line   string
		refuse error
		ending pool.Operation
		code   int
		err    string
	}{
		"a failed operation":         {line: "pool restart web", ending: pool.Operation{Phase: pool.OperationFailed, Reason: "no progress for 10m", LogTail: "boom"}, code: 1, err: "Error: restart of pool \"web\" failed: no progress for 10m\nThe last lines of its log:\nboom\n"},
		"a failed operation awaited": {line: "operation wait op_1", ending: pool.Operation{Phase: pool.OperationFailed, Reason: "no progress"}, code: 1, err: "failed: no progress"},
		"a file that is not there":   {line: "pool apply -f " + missing, code: 1, err: "no such file"},
		"an unknown command":         {line: "pools", code: 2, err: `unknown command "pools" for "poolkeeper"`},
		"an unknown subcommand":      {line: "pool lst", code: 2, err: `unknown command "lst" for "poolkeeper pool"`},
		"an unknown flag":            {line: "pool list --all", code: 2, err: "Run 'poolkeeper pool list --help'"},
		"too few words":              {line: "pool resize web", code: 2, err: "accepts 2 arg(s), received 1"},
		"a size that is none":        {line: "pool resize web many", code: 2, err: `the size is "many"; valid: a whole number from 0`},
		"a negative size":            {line: "pool resize web -1", code: 2, err: `the size is "-1"; valid: a whole number from 0`},
		"a size like a flag":         {line: "pool resize web -x", code: 2, err: "unknown shorthand flag: 'x' in -x"},
		"a file without its flag":    {line: "pool apply web.yaml", code: 2, err: `"web.yaml" is one word too many; name a file with -f: -f web.yaml`},
		"a patch without its flag":   {line: "pool patch web web.yaml", code: 2, err: "name a file with -f: -f web.yaml"},
		"a check without its flag":   {line: "validate web.yaml", code: 2, err: "name a file with -f: -f web.yaml"},
		"no document":                {line: "pool apply", code: 2, err: "name one with -f"},
		"an unknown format":          {line: "pool list -o xml", code: 2, err: `--output is "xml"; valid: table, json, yaml`},
		"two managers":               {line: "pool list --endpoint http://x --data-dir /y", code: 2, err: "give one of them"},
		"two documents":              {line: "validate --schema -f x", code: 2, err: "give one of them"},
		"no such pool":               {line: "pool get none", code: 3, err: "Error: read pool: there is no such pool"},
		"no such operation":          {line: "operation wait op_none", code: 3, err: "no such operation"},
		"no such worker":             {line: "worker logs web w_9", code: 3, err: "no such worker"},
		"stale":                      {line: "pool resize web 4", refuse: conflict(api.ProblemStale, 412), code: 4, err: "refused: stale"},
		"deletion protected":         {line: "pool delete web", refuse: conflict(api.ProblemProtected, 409), code: 4, err: "refused: deletion-protected"},
		"another pool is needed":     {line: "pool patch web -f -", refuse: conflict(api.ProblemReplace, 409), code: 4, err: "refused: replacement-required"},
		"not authorized":             {line: "pool restart web", refuse: conflict(api.ProblemUnauthorized, 401), code: 1, err: "refused: unauthorized"},
		"help":                       {line: "pool --help", code: 0},
		"no command":                 {line: "", code: 0},
		"a group alone":              {line: "worker", code: 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := newFake()
			m.refuse = row.refuse
			if row.ending.Phase != "" {
				m.ending = row.ending
			}
			got := command(t, m, "", fields(row.line)...)
			require.Equal(t, row.code, got.code, got.err)
			require.Contains(t, got.err, row.err)
			if row.code != 0 {
				require.Contains(t, got.err, "Error: ")
			} else {
				require.Contains(t, got.out, "Usage:")
			}
		})
	}
}

func TestTheVersionIsAFlagToo(t *testing.T) {
	plain(t)
	want := command(t, nil, "", "version")
	require.Contains(t, want.out, "poolkeeper 1.2.3 (go")
	for _, flag := range []string{"--version", "-v"} {
		require.Equal(t, want, command(t, nil, "", flag))
	}
}

func TestWhereAUIDNamesAPoolTooTheUsageSaysSo(t *testing.T) {
	for _, line := range []string{"pool get", "pool patch", "pool resize", "pool restart", "pool delete", "pool revisions", "pool events", "worker list", "worker logs", "lease list"} {
		require.Contains(t, command(t, nil, "", append(fields(line), "--help")...).out, line+" NAME|UID", line)
	}
}

func TestTheExitCodesAreInTheHelp(t *testing.T) {
	got := command(t, nil, "", "--help")
	require.Contains(t, got.out, exitCodes)
}
