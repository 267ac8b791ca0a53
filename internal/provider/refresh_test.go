package provider

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

func TestDriftOfEveryFieldIsShownAndMended(t *testing.T) {
	patches := map[string]struct {
		patch string
		shown any
	}{
		"description":                 {`{"description": "theirs"}`, "theirs"},
		"labels":                      {`{"labels": {"team": null, "by": "them"}}`, map[string]any{"by": "them"}},
		"worker.command":              {`{"worker": {"command": ["/bin/theirs"]}}`, []any{"/bin/theirs"}},
		"worker.env":                  {`{"worker": {"env": null}}`, nil},
		"worker.secret_env_version":   {`{"worker": {"secret_env_version": 9}}`, int64(9)},
		"worker.working_dir":          {`{"worker": {"working_dir": "/tmp"}}`, "/tmp"},
		"worker.ports":                {`{"worker": {"ports": [{"name": "http"}, {"name": "third"}]}}`, []any{map[string]any{"name": "http"}, map[string]any{"name": "third"}}},
		"worker.on_exit_zero":         {`{"worker": {"on_exit_zero": "replace"}}`, "replace"},
		"worker_limits.max_age":       {`{"worker_limits": {"max_age": "36h"}}`, "36h"},
		"worker_limits.max_leases":    {`{"worker_limits": {"max_leases": null}}`, nil},
		"leases.slots":                {`{"leases": {"slots": 2}}`, int64(2)},
		"leases.ttl":                  {`{"leases": {"ttl": "2m"}}`, "2m"},
		"remediation.backoff":         {`{"remediation": {"backoff": "3s"}}`, "3s"},
		"update.canary.count":         {`{"update": {"canary": {"count": null}}}`, nil},
		"update.canary.bake":          {`{"update": {"canary": {"bake": "6m"}}}`, "6m"},
		"update.canary.promote":       {`{"update": {"canary": {"promote": "auto"}}}`, "auto"},
		"update.on_failure":           {`{"update": {"on_failure": "rollback"}}`, "rollback"},
		"update.windows":              {`{"update": {"windows": [{"cron": "@daily", "duration": "2h"}]}}`, []any{map[string]any{"cron": "@daily", "duration": "2h"}}},
		"drain.on_timeout":            {`{"drain": {"on_timeout": "terminate"}}`, "terminate"},
		"drain.hook.http.path":        {`{"drain": {"hook": {"http": {"path": null}}}}`, nil},
		"drain.hook.http.port":        {`{"drain": {"hook": {"http": {"port": "http"}}}}`, "http"},
		"drain.active_jobs.path":      {`{"drain": {"active_jobs": {"path": "/theirs"}}}`, "/theirs"},
		"drain.active_jobs.port":      {`{"drain": {"active_jobs": {"port": null}}}`, nil},
		"drain.active_jobs.json_path": {`{"drain": {"active_jobs": {"json_path": "$.n"}}}`, "$.n"},
		"size":                        {`{"size": 9}`, int64(9)},
		"initialization":              {`{"initialization": "empty"}`, "empty"},
		"health.http.path":            {`{"health": {"http": {"path": "/theirs"}}}`, "/theirs"},
		"health.http.port":            {`{"health": {"http": {"port": null}}}`, nil},
		"health.interval":             {`{"health": {"interval": "7m"}}`, "7m"},
		"health.timeout":              {`{"health": {"timeout": null}}`, "1s"},
		"health.healthy_threshold":    {`{"health": {"healthy_threshold": 5}}`, int64(5)},
		"health.unhealthy_threshold":  {`{"health": {"unhealthy_threshold": 5}}`, int64(5)},
		"health.start_period":         {`{"health": {"start_period": "5s"}}`, "5s"},
		"remediation.enabled":         {`{"remediation": {"enabled": true}}`, true},
		"remediation.max_unhealthy":   {`{"remediation": {"max_unhealthy": 7}}`, "7"},
		"update.max_surge":            {`{"update": {"max_surge": "10%"}}`, "10%"},
		"update.max_unavailable":      {`{"update": {"max_unavailable": 1}}`, "1"},
		"update.min_ready":            {`{"update": {"min_ready": "2s"}}`, "2s"},
		"update.progress_deadline":    {`{"update": {"progress_deadline": "2m"}}`, "2m"},
		"drain.timeout":               {`{"drain": {"timeout": "1m"}}`, "1m"},
		"drain.deregister_delay":      {`{"drain": {"deregister_delay": "1s"}}`, "1s"},
		"drain.signal":                {`{"drain": {"signal": "HUP"}}`, "HUP"},
		"drain.signal_at":             {`{"drain": {"signal_at": "after"}}`, "after"},
		"drain.grace":                 {`{"drain": {"grace": "2h"}}`, "2h"},
		"logs.max_size":               {`{"logs": {"max_size": "3MB"}}`, "3000000"},
		"logs.keep":                   {`{"logs": {"keep": 4}}`, int64(4)},
		"restart_triggers":            {`{"restart_triggers": {"v": "theirs"}}`, map[string]any{"v": "theirs"}},
		"deletion_protection":         {`{"deletion_protection": true}`, true},
	}
	for _, f := range pool.Fields {
		if f.Change == pool.ChangeReplace || f.Secret || ofAnotherWay(f.Path) {
			continue // the manager changes no name and no host, and tells no secret
		}
		t.Run(f.Path, func(t *testing.T) {
			row, ok := patches[f.Path]
			require.True(t, ok, "the test knows no drift of it")
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(probed())
			before := tf.state
			_, err := fake.Patch(t.Context(), "web", []byte(row.patch), client.Change{})
			require.NoError(t, err)
			require.Empty(t, summaries(tf.refresh()))
			require.Equal(t, row.shown, tf.shown(f.Path))
			for _, other := range pool.Fields {
				if other.Path != f.Path {
					at := inHCL.Replace(other.Path)
					require.True(t, valueAt(before, at).Equal(valueAt(tf.state, at)), "%s keeps its spelling", at)
				}
			}
			require.False(t, tf.plan(probed()).empty(tf))
			tf.reaches(probed())
			tf.refresh()
			require.True(t, tf.plan(probed()).empty(tf))
		})
	}
}

func TestAProbeThatCameOrWentShows(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	config := web(at("worker.ports", list{object{"name": "a"}}), at("health.http", object{}))
	tf.reaches(config)
	_, err := fake.Patch(t.Context(), "web", []byte(`{"health": {"http": null, "tcp": {"port": "a"}}}`), client.Change{})
	require.NoError(t, err)
	require.Empty(t, summaries(tf.refresh()))
	require.Nil(t, tf.shown("health.http"))
	require.Equal(t, "a", tf.shown("health.tcp.port"))
	_, err = fake.Patch(t.Context(), "web", []byte(`{"health": {"tcp": null, "exec": {"command": ["/bin/check"]}}}`), client.Change{})
	require.NoError(t, err)
	require.Empty(t, summaries(tf.refresh()))
	require.Nil(t, tf.shown("health.tcp"))
	require.Equal(t, []any{"/bin/check"}, tf.shown("health.exec.command"))
	_, err = fake.Patch(t.Context(), "web", []byte(`{"health": {"exec": null, "grpc": {}}}`), client.Change{})
	require.NoError(t, err)
	require.Empty(t, summaries(tf.refresh()))
	require.Nil(t, tf.shown("health.exec"))
	require.NotNil(t, tf.shown("health.grpc"))
	tf.reaches(config)
	require.Nil(t, tf.shown("health.grpc"))
}

func TestAPoolIsGoneOnlyIfItsManagerSaysSo(t *testing.T) {
	missing := problem(api.ProblemNotFound, 404, "there is no pool")
	for name, row := range map[string]struct {
		change   func(*fakeManager)
		gone     bool
		expected []string
	}{
		"its manager does not have it":  {func(f *fakeManager) { f.forget() }, true, nil},
		"a tombstone":                   {func(f *fakeManager) { f.alter("web", func(v *pool.View) { v.Phase = pool.PhaseDestroyed }) }, true, nil},
		"being destroyed":               {func(f *fakeManager) { f.alter("web", func(v *pool.View) { v.Phase = pool.PhaseDeleting }) }, false, nil},
		"another manager has it not":    {func(f *fakeManager) { f.forget(); f.id = "m_second" }, false, []string{"m_first", "m_second", "not taken as gone"}},
		"another manager refuses":       {func(f *fakeManager) { f.fail("PoolByUID", problem(api.ProblemOtherManager, 421, "this is m_second")) }, false, []string{"m_first", "m_second"}},
		"nobody answers":                {func(f *fakeManager) { f.fail("PoolByUID", fmt.Errorf("read: %w", client.ErrUnreachable)) }, false, []string{"m_first", "not taken as gone"}},
		"a 404 that no manager said":    {func(f *fakeManager) { f.fail("PoolByUID", &client.Problem{Title: "Not Found", Status: 404}) }, false, []string{"Not Found", "not taken as gone"}},
		"a 404 and then nobody answers": {func(f *fakeManager) { f.fail("PoolByUID", missing); f.fail("Manager", errors.New("silence")) }, false, []string{"silence", "not taken as gone"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			before := tf.state
			row.change(fake)
			diagnostics := tf.refresh()
			if len(row.expected) == 0 {
				require.Empty(t, summaries(diagnostics))
				require.Equal(t, row.gone, tf.state.IsNull())
				return
			}
			for _, text := range row.expected {
				require.ErrorContains(t, firstError(diagnostics), text)
			}
			require.True(t, tf.state.Equal(before))
		})
	}
}

func TestAnotherPoolUnderTheNameIsNotOurs(t *testing.T) {
	fake := newFake()
	ours := newTerraform(t, fake)
	ours.reaches(web())
	_, err := fake.Delete(t.Context(), "web", false, client.Change{})
	require.NoError(t, err)
	newTerraform(t, fake).reaches(web(object{"size": 1}))
	require.Empty(t, summaries(ours.refresh()))
	require.True(t, ours.state.IsNull(), "ours was destroyed")
}

func TestMissingWorkersAreAWarningAndNoDifference(t *testing.T) {
	for missing, expected := range map[int]string{1: "1 of 3 workers are missing", 2: "2 of 3 workers are missing"} {
		fake := newFake()
		tf := newTerraform(t, fake)
		tf.reaches(web())
		fake.alter("web", func(v *pool.View) {
			v.Status.Missing, v.Status.Current, v.Status.Ready = missing, 3-missing, 3-missing
			v.Status.HealthReasons = []string{"worker w_7 is unhealthy: it hangs"}
		})
		diagnostics := tf.refresh()
		require.NoError(t, firstError(diagnostics))
		require.Len(t, diagnostics, 1)
		require.Contains(t, summaries(diagnostics)[0], `Pool "web"`)
		require.Contains(t, summaries(diagnostics)[0], expected)
		require.Contains(t, summaries(diagnostics)[0], "it hangs")
		require.Equal(t, int64(3-missing), tf.shown("current_size"))
		require.True(t, tf.plan(web()).empty(tf))
	}
}

func TestUnhealthyWorkersAreAWarningAndNoDifference(t *testing.T) {
	for name, row := range map[string]struct {
		config  object
		missing int
		says    []string // of each warning, in order
	}{
		"all of them":      {web(), 0, []string{"3 of 3 workers are unhealthy; the manager replaces them, one at a time while they are more than 40%"}},
		"with missing one": {web(), 1, []string{"1 of 3 workers are missing", "3 of 3 workers are unhealthy"}},
		"for good":         {web(at("remediation.enabled", false)), 0, []string{"remediation.enabled is false"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(row.config)
			fake.alter("web", func(v *pool.View) {
				v.Status.Unhealthy, v.Status.Missing, v.Status.Health = 3, row.missing, pool.Unhealthy
				v.Status.HealthReasons = []string{"worker w_7 is unhealthy: it hangs"}
			})
			diagnostics := tf.refresh()
			require.NoError(t, firstError(diagnostics))
			require.Len(t, diagnostics, len(row.says))
			for i, says := range row.says {
				require.Contains(t, summaries(diagnostics)[i], `Pool "web"`)
				require.Contains(t, summaries(diagnostics)[i], says)
				require.Contains(t, summaries(diagnostics)[i], "it hangs")
			}
			require.Equal(t, "unhealthy", tf.shown("health_status"))
			require.True(t, tf.plan(row.config).empty(tf))
		})
	}
}

func TestARestartBySomebodyElseShowsAsTheLastChange(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	_, err := fake.Restart(t.Context(), "web", client.Change{})
	require.NoError(t, err)
	tf.refresh()
	require.Equal(t, "rolling", tf.shown("last_change"))
	require.Equal(t, "restart", tf.shown("operation.kind"))
	require.True(t, tf.plan(web()).empty(tf))
}

func TestAnImportedPoolPlansEmptyOverTheConfigurationItWasMadeFrom(t *testing.T) {
	for name, config := range map[string]object{
		"least":              web(),
		"full":               probed(),
		"a host":             web(at("runtime.process.host", "here")),
		"a process":          web(at("runtime.process", object{})),
		"empty probe":        web(at("worker.ports", list{object{"name": "a"}}), at("health.tcp", object{})),
		"command as a probe": web(at("health.exec.command", list{"/bin/check"})),
		"other written":      web(at("drain.timeout", "300s"), at("logs.max_size", "10240KiB"), at("update.max_surge", "025%")),
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			maker := newTerraform(t, fake)
			maker.reaches(config)
			fake.alter("web", func(v *pool.View) { v.Claimed = false })

			tf := newTerraform(t, fake)
			require.Empty(t, summaries(tf.adopt("web")))
			require.Equal(t, maker.remembered(), tf.remembered())
			require.True(t, fake.named("web").Claimed)
			p := tf.plan(config)
			require.Empty(t, summaries(p.diagnostics))
			require.True(t, p.empty(tf), "planned %s over %s", p.value, tf.state)
		})
	}
}

func TestAfterAnImportOnlyTheTimeoutsShow(t *testing.T) {
	fake := newFake()
	newTerraform(t, fake).reaches(web())
	tf := newTerraform(t, fake)
	require.Empty(t, summaries(tf.adopt("web")))
	p := tf.plan(web(object{"timeouts": object{"create": "5m"}}))
	require.True(t, withValues(p.value, map[string]tftypes.Value{"timeouts": valueAt(tf.state, "timeouts")}).Equal(tf.state))
	require.False(t, p.empty(tf))
}

func TestWhatCannotBeImportedSaysWhy(t *testing.T) {
	for name, row := range map[string]struct {
		id       string
		change   func(*fakeManager)
		expected string
	}{
		"there is none":           {"other", nil, `there is no pool "other"`},
		"no name":                 {"p_0001 ", nil, "imported by its name"},
		"nothing":                 {"", nil, "imported by its name"},
		"it is being destroyed":   {"web", func(f *fakeManager) { f.alter("web", func(v *pool.View) { v.Phase = pool.PhaseDeleting }) }, "being destroyed"},
		"its manager is nameless": {"web", func(f *fakeManager) { f.id = "" }, "has no id"},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			newTerraform(t, fake).reaches(web())
			if row.change != nil {
				row.change(fake)
			}
			tf := newTerraform(t, fake)
			require.ErrorContains(t, firstError(tf.adopt(row.id)), row.expected)
			require.True(t, tf.state.IsNull())
		})
	}
}

func TestEveryCallForAPoolExpectsTheManagerThatHasIt(t *testing.T) {
	var mu sync.Mutex
	var expected []string // what the calls said, over the wire
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		expected = append(expected, r.Header.Get(api.HeaderExpectManager))
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusMisdirectedRequest)
		_, err := fmt.Fprintf(w, `{"type": %q, "title": "Misdirected", "status": 421, "detail": "this is manager m_second"}`, api.ProblemBase+api.ProblemOtherManager)
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	known := newTerraform(t, newFake())
	known.reaches(web())
	remote, err := client.New(client.Config{Endpoint: server.URL})
	require.NoError(t, err)
	tf := newTerraform(t, remote)
	tf.state, tf.private = known.state, known.private
	for name, act := range map[string]func() []*tfprotov6.Diagnostic{
		"refresh": tf.refresh,
		"update":  func() []*tfprotov6.Diagnostic { return tf.apply(tf.plan(web(object{"size": 5}))) },
		"destroy": tf.destroy,
	} {
		t.Run(name, func(t *testing.T) {
			expected = nil
			err := firstError(act())
			require.ErrorContains(t, err, "m_second")
			require.ErrorContains(t, err, "m_first")
			require.Subset(t, []string{"m_first"}, expected)
			require.NotEmpty(t, expected)
		})
	}
}
