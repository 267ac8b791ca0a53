package planner_test

import (
	"fmt"
	"testing"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/planner"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// BenchmarkPlan tells what one plan costs per worker: that must not grow with the size of the pool.
func BenchmarkPlan(b *testing.B) {
	for _, c := range []struct {
		name  string
		event func(f *fleet, size int64)
	}{
		{"nothing to do", func(*fleet, int64) {}},
		{"rollout begins", func(f *fleet, _ int64) { f.retemplate() }},
		{"rollout with half of the budget used", func(f *fleet, _ int64) {
			f.retemplate()
			f.step()
			f.readyAll()
			f.step()
		}},
		{"size doubled", func(f *fleet, size int64) { f.resize(2 * size) }},
		{"size halved", func(f *fleet, size int64) { f.resize(size / 2) }},
		{"half of the workers died", func(f *fleet, size int64) { f.lose(int(size / 2)) }},
		{"half of the workers died again", func(f *fleet, size int64) {
			f.lose(int(size / 2))
			f.step()
			f.readyAll()
			f.lose(int(size / 2))
		}},
		{"all workers sick", func(f *fleet, _ int64) { f.allSick() }},
		{"all workers sick, without a breaker", func(f *fleet, _ int64) {
			f.Pool.Spec.Remediation.MaxUnhealthy = pool.Amount{Value: 100, Percent: true}
			f.allSick()
		}},
		{"a quarter of the workers replaced", func(f *fleet, size int64) {
			f.Pool.Spec.Remediation.MaxUnhealthy = pool.Amount{Value: 100, Percent: true}
			f.allSick()
			f.step()
			f.readyAll()
		}},
		{"destroy", func(f *fleet, _ int64) { f.destroy(false) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for _, size := range []int64{1_000, 10_000, 100_000} {
				f := crowd(size)
				c.event(f, size)
				b.Run(fmt.Sprint(size), func(b *testing.B) {
					for b.Loop() {
						planner.Plan(f.World)
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/worker")
				})
			}
		})
	}
}

// crowd is a live pool whose workers are all available.
func crowd(size int64) *fleet {
	f := newFleet(size)
	f.step()
	for i := range f.Workers {
		w := &f.Workers[i]
		w.State, w.Health, w.HealthAt, w.ReadyAt = pool.WorkerReady, pool.Healthy, f.Now, f.Now
	}
	f.Pool.Phase, f.Operations = pool.PhaseLive, nil
	return f
}

// lose has the first n workers fail.
func (f *fleet) lose(n int) {
	for _, w := range f.Workers[:n] {
		w.State, w.EndedAt, w.Reason = pool.WorkerFailed, f.Now, "exited with code 1"
		f.Vacancies = append(f.Vacancies, planner.Vacancy{Worker: w})
	}
	f.Workers = f.Workers[n:]
}

func (f *fleet) allSick() {
	for i := range f.Workers {
		w := &f.Workers[i]
		w.Health, w.HealthAt, w.HealthReason = pool.Unhealthy, f.Now, "status 500"
	}
}
