package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// probed is a configuration whose every field may be changed by itself.
func probed() object {
	return overlaid(full(), object{"deletion_protection": false})
}

func TestAPlanWithoutAChangeIsEmpty(t *testing.T) {
	for name, config := range map[string]object{
		"least":                    web(),
		"full":                     probed(),
		"empty probe":              web(at("worker.ports", list{object{"name": "a"}}), at("health.tcp", object{})),
		"gRPC probe":               web(at("worker.ports", list{object{"name": "a"}}), at("health.grpc", object{})),
		"autoscaling":              web(object{"size": nil, "autoscaling": object{"min": 0, "max": 5}}),
		"all of autoscaling":       web(object{"size": nil, "autoscaling": object{"min": 0, "max": 5, "initial": 3, "idle_timeout": "300s"}}),
		"command as a hook":        web(at("drain.hook.exec.command", list{"/bin/leave", "${POOLKEEPER_WORKER_ID}"})),
		"command as a probe":       web(at("health.exec.command", list{"/bin/check", "${POOLKEEPER_WORKER_ID}"})),
		"empty collections":        web(object{"labels": object{}, "restart_triggers": object{}, "description": ""}, at("worker.ports", list{})),
		"empty runtime":            web(object{"runtime": object{"process": object{}}}),
		"null in a map":            web(at("worker.env", object{"A": nil})),
		"empty objects":            web(object{"drain": object{}, "update": object{}, "leases": object{}, "worker_limits": object{}}),
		"bare objects":             web(at("worker.ports", list{object{"name": "a"}}), at("update.canary", object{}), at("drain.hook.http", object{}), at("drain.active_jobs", object{})),
		"timeouts":                 web(object{"timeouts": object{"create": "5m", "delete": "10m"}}),
		"the host that it is on":   web(at("runtime.process.host", "here")),
		"an empty string in a map": web(at("worker.env", object{"A": ""})),
	} {
		t.Run(name, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			tf.reaches(config)
			require.True(t, tf.plan(config).empty(tf), "right after the apply")
			require.Empty(t, summaries(tf.refresh()))
			require.True(t, tf.plan(config).empty(tf), "after a refresh")
		})
	}
}

func TestAPlanAnnouncesTheKindOfEveryFieldsChange(t *testing.T) {
	changed := map[string]any{
		"name": "other", "description": "back", "labels": object{"team": "b"}, "runtime.process.host": "there",
		"worker.command": list{"/bin/other"}, "worker.env": object{"A": "2"}, "worker.secret_env_version": 8, "worker.working_dir": nil,
		"worker.ports": list{object{"name": "http"}, object{"name": "admin"}, object{"name": "third"}}, "worker.on_exit_zero": nil,
		"worker_limits.max_age": "1h", "worker_limits.max_leases": nil, "leases.slots": 5, "leases.ttl": nil,
		"remediation.backoff": nil, "update.canary.count": 3, "update.canary.bake": nil, "update.canary.promote": nil,
		"update.on_failure": nil, "update.windows": list{object{"cron": "0 3 * * *", "duration": "1h"}},
		"drain.on_timeout": nil, "drain.hook.http.path": "/other", "drain.hook.http.port": nil,
		"drain.active_jobs.path": nil, "drain.active_jobs.port": "http", "drain.active_jobs.json_path": nil, "size": 4, "initialization": "empty",
		"health.http.path": "/other", "health.http.port": "admin",
		"health.interval": "1s", "health.timeout": nil, "health.healthy_threshold": 3, "health.unhealthy_threshold": nil,
		"health.start_period": "2m", "remediation.enabled": true, "remediation.max_unhealthy": "50%",
		"update.max_surge": "2", "update.max_unavailable": nil, "update.min_ready": nil, "update.progress_deadline": "5m",
		"drain.timeout": nil, "drain.deregister_delay": "1s", "drain.signal": nil, "drain.signal_at": "after", "drain.grace": "2s",
		"logs.max_size": "2MiB", "logs.keep": nil, "restart_triggers": object{"v": "2"}, "deletion_protection": true,
	}
	announcedAs := map[pool.Change]any{
		pool.ChangeCreation: "hot", pool.ChangeHot: "hot", pool.ChangeContract: "hot", pool.ChangeRolling: "rolling",
	}
	for _, f := range pool.Fields {
		if ofAnotherWay(f.Path) || f.Secret {
			continue // see the presence of probes below, and secrets
		}
		t.Run(f.Path, func(t *testing.T) {
			v, ok := changed[f.Path]
			require.True(t, ok, "the test knows no other value of it")
			tf := newTerraform(t, newFake())
			tf.reaches(probed())
			config := overlaid(probed(), at(f.Path, v))
			p := tf.plan(config)
			require.NoError(t, firstError(p.diagnostics))
			if f.Change == pool.ChangeReplace {
				require.Len(t, p.replaces, 1)
				return
			}
			require.Empty(t, p.replaces)
			require.Equal(t, announcedAs[f.Change], plain(valueAt(p.value, "last_change")))
			requireMovers(t, tf, p)
			require.Empty(t, summaries(tf.apply(p)))
			require.Equal(t, announcedAs[f.Change], tf.shown("last_change"))
			require.Empty(t, summaries(tf.refresh()))
			require.Equal(t, announcedAs[f.Change], tf.shown("last_change"))
			require.True(t, tf.plan(config).empty(tf))
		})
	}
}

// requireMovers: what moves by itself is unknown in a plan that changes something, and what does not, stays.
func requireMovers(t *testing.T, tf *core, p plan) {
	t.Helper()
	for _, r := range reportedAttributes {
		switch v := valueAt(p.value, r.name); {
		case r.name == lastChange:
		case r.moves:
			require.False(t, v.IsKnown(), "%s is %s", r.name, v)
		default:
			require.True(t, v.Equal(valueAt(tf.state, r.name)), "%s is %s", r.name, v)
		}
	}
}

func TestThePresenceOfAProbeIsAChangeOfItsOwn(t *testing.T) {
	ports := at("worker.ports", list{object{"name": "a"}})
	for name, row := range map[string]struct{ before, after object }{
		"comes":             {web(ports), web(ports, at("health.http", object{}))},
		"goes":              {web(ports, at("health.http", object{})), web(ports)},
		"becomes a tcp":     {web(ports, at("health.http", object{})), web(ports, at("health.tcp", object{}))},
		"becomes a grpc":    {web(ports, at("health.http", object{})), web(ports, at("health.grpc", object{}))},
		"becomes a command": {web(ports, at("health.http", object{})), web(ports, at("health.exec.command", list{"/bin/check"}))},
		"hook becomes a command": {
			web(ports, at("drain.hook.http", object{})), web(ports, at("drain.hook.exec.command", list{"/bin/leave"})),
		},
		"another command": {web(at("health.exec.command", list{"/bin/check"})), web(at("health.exec.command", list{"/bin/check", "-v"}))},
		"another service": {web(ports, at("health.grpc", object{})), web(ports, at("health.grpc.service", "web.Front"))},
		"changes inside":  {web(ports, at("health.http", object{})), web(ports, at("health.http.path", "/x"))},
	} {
		t.Run(name, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			tf.reaches(row.before)
			p := tf.plan(row.after)
			require.Equal(t, "hot", plain(valueAt(p.value, "last_change")))
			requireMovers(t, tf, p)
			require.Empty(t, summaries(tf.apply(p)))
			tf.refresh()
			require.True(t, tf.plan(row.after).empty(tf))
		})
	}
}

func TestTheHardestOfSeveralChangesIsAnnounced(t *testing.T) {
	tf := newTerraform(t, newFake())
	tf.reaches(web())
	p := tf.plan(web(object{"size": 5}, at("worker.env", object{"A": "1"}), at("drain.timeout", "1m")))
	require.Equal(t, "rolling", plain(valueAt(p.value, "last_change")))
}

func TestACreationIsAnnouncedAndNothingElseIsKnownOfIt(t *testing.T) {
	p := newTerraform(t, newFake()).plan(web())
	require.Equal(t, "create", plain(valueAt(p.value, "last_change")))
	for _, r := range reportedAttributes {
		if r.name != lastChange {
			require.False(t, valueAt(p.value, r.name).IsKnown(), r.name)
		}
	}
}

func TestAnotherSpellingIsNoChangeAndTheOlderOneIsKept(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web(at("drain.timeout", "300s"), at("logs.max_size", "1024KiB")))
	require.Equal(t, "300s", tf.shown("drain.timeout"))
	tf.refresh()
	require.Equal(t, "300s", tf.shown("drain.timeout"))
	require.Equal(t, "1024KiB", tf.shown("logs.max_size"))
	require.True(t, tf.plan(web(at("drain.timeout", "5m"), at("logs.max_size", "1Mi"))).empty(tf))
	require.True(t, tf.plan(web(at("logs.max_size", "1MiB"))).empty(tf), "left out, the default is the same 5 minutes")

	p := tf.plan(web(at("drain.timeout", "5m"), at("logs.max_size", "2Mi")))
	require.Equal(t, "300s", plain(valueAt(p.value, "drain.timeout")), "what only is written otherwise stays, beside a change")
	require.Equal(t, "2Mi", plain(valueAt(p.value, "logs.max_size")))
}

func TestTimeoutsAloneAskTheManagerNothing(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	tf.reaches(web())
	fake.mutations()
	p := tf.plan(web(object{"timeouts": object{"create": "5m"}}))
	require.False(t, p.empty(tf))
	require.True(t, p.value.IsFullyKnown(), "nothing is unknown: %s", p.value)
	fake.fail("Update", problem(api.ProblemStale, 412, "must not be asked"))
	require.Empty(t, summaries(tf.apply(p)))
	require.Empty(t, fake.mutations())
	require.Equal(t, "5m", tf.shown("timeouts.create"))
}

func TestWhatIsUnknownMayBeAnyChange(t *testing.T) {
	for _, row := range []struct {
		at    string
		v     any
		also  object
		last  any
		moves bool
	}{
		{"description", unknown, nil, unknown, true},
		{"description", unknown, object{"size": 5}, "hot", true},
		{"worker.env", unknown, object{"size": 5}, unknown, true},
		{"worker.env", object{"A": unknown}, nil, unknown, true},
		{"size", unknown, at("worker.env", object{"A": "1"}), "rolling", true},
		{"drain", unknown, nil, unknown, true},
		{"health.http", unknown, nil, unknown, true},
		{"timeouts", unknown, nil, "create", false},
		{"timeouts.create", unknown, nil, "create", false},
	} {
		t.Run(row.at, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			tf.reaches(web())
			p := tf.plan(web(at(row.at, row.v), row.also))
			require.Empty(t, summaries(p.diagnostics))
			require.Empty(t, p.replaces)
			require.Equal(t, row.last, plain(valueAt(p.value, "last_change")))
			if row.moves {
				requireMovers(t, tf, p)
			} else {
				require.Equal(t, tf.shown("state"), plain(valueAt(p.value, "state")))
			}
		})
	}
}

func TestAPoolIsReplacedForAnotherNameOrHostOnly(t *testing.T) {
	for name, row := range map[string]struct {
		before, after object
		replaces      bool
	}{
		"another name":            {nil, object{"name": "other"}, true},
		"an unknown name":         {nil, object{"name": unknown}, true},
		"another host":            {nil, at("runtime.process.host", "there"), true},
		"an unknown host":         {nil, at("runtime.process.host", unknown), true},
		"an unknown process":      {nil, at("runtime.process", unknown), true},
		"an unknown runtime":      {nil, object{"runtime": unknown}, true},
		"the host that it is on":  {nil, at("runtime.process.host", "here"), false},
		"no host any more":        {at("runtime.process.host", "here"), nil, false},
		"an empty process":        {at("runtime.process.host", "here"), object{"runtime": object{"process": object{"host": nil}}}, false},
		"an empty process before": {object{"runtime": object{"process": object{}}}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web(row.before))
			p := tf.plan(web(row.after))
			require.NoError(t, firstError(p.diagnostics))
			require.Equal(t, row.replaces, len(p.replaces) > 0, "%v", p.replaces)
			if row.replaces {
				again := tf.planOver(tftypes.NewValue(tf.poolType(), nil), web(row.after))
				require.Equal(t, "create", plain(valueAt(again.value, "last_change")))
				return
			}
			fake.mutations()
			require.Equal(t, "create", plain(valueAt(p.value, "last_change")))
			require.Empty(t, summaries(tf.apply(p)))
			require.Empty(t, fake.mutations(), "where the pool is was not changed")
		})
	}
}

func TestAProtectedPoolIsNeitherDestroyedNorReplacedByAPlan(t *testing.T) {
	tf := newTerraform(t, newFake())
	tf.reaches(web(object{"deletion_protection": true}))
	require.ErrorContains(t, firstError(tf.destroy()), "deletion_protection")
	p := tf.plan(web(object{"name": "other", "deletion_protection": false}))
	require.ErrorContains(t, firstError(p.diagnostics), "deletion_protection", "the stored value counts")
	tf.reaches(web(object{"deletion_protection": false}))
	require.Empty(t, summaries(tf.destroy()))
}

func TestAPlanIsNotEmptyWhileTheLastOperationHasNotReachedItsAim(t *testing.T) {
	for _, row := range []struct {
		phase   pool.OperationPhase
		kind    pool.OperationKind
		empty   bool
		warning string
	}{
		{pool.OperationSucceeded, pool.OperationUpdate, true, ""},
		{pool.OperationSuperseded, pool.OperationUpdate, true, ""},
		{pool.OperationRunning, pool.OperationUpdate, false, "still under way"},
		{pool.OperationRunning, pool.OperationRestart, false, "still under way"},
		{pool.OperationFailed, pool.OperationUpdate, false, "failed"},
	} {
		t.Run(string(row.kind)+" "+string(row.phase), func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			tf.reaches(web())
			fake.alter("web", func(v *pool.View) {
				v.Status.Operation = &pool.Operation{ID: "op_x", Kind: row.kind, Phase: row.phase, Change: pool.ChangeRolling, Reason: "out of luck"}
			})
			require.Empty(t, summaries(tf.refresh()))
			p := tf.plan(web())
			require.Equal(t, row.empty, p.empty(tf))
			if row.empty {
				require.Empty(t, summaries(p.diagnostics))
				return
			}
			require.Len(t, p.diagnostics, 1)
			require.Contains(t, summaries(p.diagnostics)[0], row.warning)
			require.Contains(t, summaries(p.diagnostics)[0], "out of luck")
			require.Equal(t, unknown, plain(valueAt(p.value, "operation")))
			require.Equal(t, tf.shown("last_change"), plain(valueAt(p.value, "last_change")))
			require.Equal(t, tf.shown("id"), plain(valueAt(p.value, "id")))
		})
	}
}

func TestARuleOfCreationHoldsAtCreationOnly(t *testing.T) {
	tf := newTerraform(t, newFake())
	config := web(object{"initialization": "empty"})
	require.Empty(t, summaries(tf.validate(config)))
	p := tf.plan(config)
	require.ErrorContains(t, firstError(p.diagnostics), "initialization is \"empty\"")
	tf.reaches(web(object{"initialization": "empty", "size": 0}))
	tf.reaches(web(object{"initialization": "empty", "size": 2}))
}

// What an autoscaled pool decides on is no difference, and no change of how it does replaces a worker.
func TestAutoscalingNeverFightsWithThePlan(t *testing.T) {
	fake := newFake()
	tf := newTerraform(t, fake)
	scaled := func(least, most int) object {
		return web(object{"size": nil, "autoscaling": object{"min": least, "max": most}})
	}
	tf.reaches(web())
	p := tf.plan(scaled(1, 9))
	require.Equal(t, "hot", plain(valueAt(p.value, "last_change")))
	require.Empty(t, summaries(tf.apply(p)))
	require.Nil(t, tf.shown("size"))
	for _, count := range []int64{7, 2, 9} {
		fake.alter("web", func(v *pool.View) { v.Count, v.Status.Current = count, int(count) })
		require.Empty(t, summaries(tf.refresh()))
		require.True(t, tf.plan(scaled(1, 9)).empty(tf), "%d workers", count)
	}
	p = tf.plan(scaled(5, 9))
	require.Equal(t, "hot", plain(valueAt(p.value, "last_change")))
	require.Empty(t, summaries(tf.apply(p)))
	p = tf.plan(web(object{"size": 4}))
	require.Empty(t, summaries(tf.apply(p)))
	require.Nil(t, tf.shown("autoscaling"))
	require.Equal(t, int64(4), tf.shown("size"))
}
