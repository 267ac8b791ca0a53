//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
)

// What examples/quickstart declares.
const (
	poolName = "quickstart"
	size     = 4
)

// changesPlanned is the exit code of `terraform plan -detailed-exitcode` for a plan that is not empty.
const changesPlanned = 2

// story is what is shown, in order. Each step checks what it shows.
var story = []struct {
	title string
	show  func(context.Context, *stage) error
}{
	{"terraform apply: a pool of four HTTP job workers", create},
	{"A hot change: the pool's drain settings, without touching a worker", changeHot},
	{"A rolling change: new workers, under a client that asks all ready ones every 20 ms", changeRolling},
	{"kill -9 of a worker: it is replaced", replaceKilled},
	{"A change behind Terraform's back: the plan shows it", showDrift},
	{"terraform destroy: a job that runs is finished first", destroy},
	{"Nothing is left", proveNothingLeft},
}

func create(ctx context.Context, s *stage) error {
	if err := s.tf(ctx, starting("- "), "init"); err != nil {
		return err
	}
	if err := s.tf(ctx, telling, "apply", "-auto-approve"); err != nil {
		return err
	}
	_, err := s.table(ctx)
	return err
}

func changeHot(ctx context.Context, s *stage) error {
	before, err := s.ready(ctx)
	if err != nil {
		return err
	}
	if err := s.edit("drain_timeout", "30s"); err != nil {
		return err
	}
	if err := s.apply(ctx); err != nil {
		return err
	}
	after, err := s.ready(ctx)
	if err != nil {
		return err
	}
	s.say("pids before: %v", pids(before))
	s.say("pids after:  %v", pids(after))
	if !slices.Equal(pids(before), pids(after)) {
		return errors.New("a hot change replaced a worker")
	}
	return nil
}

func changeRolling(ctx context.Context, s *stage) error {
	before, err := s.ready(ctx)
	if err != nil {
		return err
	}
	if err := s.edit("greeting", "bonjour"); err != nil {
		return err
	}
	watch, err := startWatch(ctx, func(ctx context.Context) ([]string, error) {
		workers, err := s.ready(ctx)
		return urls(workers), err
	})
	if err != nil {
		return err
	}
	applied := s.apply(ctx)
	seen, watched := watch.end()
	if err := errors.Join(applied, watched); err != nil {
		return err
	}
	after, err := s.ready(ctx)
	if err != nil {
		return err
	}
	s.say("pids before: %v", pids(before))
	s.say("pids after:  %v", pids(after))
	s.say("the client made %d requests in %d rounds; %d failed; in the worst round %d workers answered, %d were promised",
		seen.requests, seen.rounds, seen.failed, seen.fewest, size)
	for _, greeting := range slices.Sorted(maps.Keys(seen.greetings)) {
		s.say("  %6d answers said %q", seen.greetings[greeting], greeting)
	}
	switch {
	case slices.ContainsFunc(pids(after), func(pid int) bool { return slices.Contains(pids(before), pid) }):
		return errors.New("an old worker was left")
	case seen.fewest < size:
		return fmt.Errorf("only %d workers answered in the worst round", seen.fewest)
	case seen.greetings["hello"] == 0:
		return errors.New("the client began too late to see the old workers")
	}
	return nil
}

func replaceKilled(ctx context.Context, s *stage) error {
	before, err := s.ready(ctx)
	if err != nil {
		return err
	}
	victim := before[0].Instance.PID
	s.say("$ kill -9 %d", victim)
	killed := time.Now()
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill %d: %w", victim, err)
	}
	after, err := s.awaitReady(ctx, func(workers []pool.Worker) bool {
		return len(workers) == size && !slices.Contains(pids(workers), victim)
	})
	if err != nil {
		return err
	}
	took := time.Since(killed)
	replacement := slices.IndexFunc(after, func(w pool.Worker) bool { return !slices.Contains(pids(before), w.Instance.PID) })
	s.say("%d ms later all %d workers are ready again: pid %d took the place of %d", took.Milliseconds(), size, after[replacement].Instance.PID, victim)
	_, err = s.table(ctx)
	return err
}

func showDrift(ctx context.Context, s *stage) error {
	if err := s.ctl(ctx, "pool", "resize", poolName, "6", "--reason", "somebody was in a hurry"); err != nil {
		return err
	}
	if _, err := s.awaitReady(ctx, func(workers []pool.Worker) bool { return len(workers) == 6 }); err != nil {
		return err
	}
	err := s.tf(ctx, telling, "plan", "-detailed-exitcode")
	var exit *exec.ExitError
	switch {
	case err == nil:
		return errors.New("the plan is empty")
	case !errors.As(err, &exit) || exit.ExitCode() != changesPlanned:
		return err
	}
	if err := s.tf(ctx, outcome, "apply", "-auto-approve"); err != nil {
		return err
	}
	_, err = s.awaitReady(ctx, func(workers []pool.Worker) bool { return len(workers) == size })
	return err
}

func destroy(ctx context.Context, s *stage) error {
	workers, err := s.ready(ctx)
	if err != nil {
		return err
	}
	const job = "3s"
	s.say("a job of %s begins on worker %s", job, workers[0].ID)
	done := make(chan error, 1)
	go func() { done <- doJob(ctx, urls(workers)[0], job) }()
	if err := s.awaitJob(ctx, urls(workers)[0]); err != nil {
		return err
	}
	destroyed := s.tf(ctx, outcome, "destroy", "-auto-approve")
	finished := <-done
	if err := errors.Join(destroyed, finished); err != nil {
		return err
	}
	s.say("the job was answered: it is done")
	return nil
}

func proveNothingLeft(ctx context.Context, s *stage) error {
	if err := s.ctl(ctx, "pool", "list"); err != nil {
		return err
	}
	// By itself it would end a while after its last pool is gone.
	if err := s.ctl(ctx, "manager", "stop"); err != nil {
		return err
	}
	left, err := s.processes(ctx)
	if err != nil {
		return err
	}
	s.say("processes of a program under %s: %d", s.dir, len(left))
	s.say("the manager's socket %s is there: %t", s.socket(), s.running())
	if len(left) > 0 || s.running() {
		return fmt.Errorf("something is left: processes %v", left)
	}
	s.gone = true
	return nil
}

// apply shows of `terraform apply` what it will do and did.
func (s *stage) apply(ctx context.Context) error {
	return s.tf(ctx, telling, "apply", "-auto-approve")
}

// outcome shows only what Terraform did.
var outcome = starting("poolkeeper_resource_pool.web: ", "Apply complete!", "Destroy complete!")

// ctl runs the poolkeeper command.
func (s *stage) ctl(ctx context.Context, args ...string) error {
	_, err := s.run(ctx, everything, s.poolkeeper, args...)
	return err
}

// table shows the pool's workers.
func (s *stage) table(ctx context.Context) ([]byte, error) {
	return s.run(ctx, everything, s.poolkeeper, "worker", "list", poolName)
}

// ready lists the pool's ready workers, oldest first.
func (s *stage) ready(ctx context.Context) ([]pool.Worker, error) {
	listed, err := s.quiet(ctx, nothing, s.poolkeeper, "worker", "list", poolName, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list api.WorkerList
	if err := json.Unmarshal(listed, &list); err != nil {
		return nil, fmt.Errorf("read the list of workers: %w", err)
	}
	return slices.DeleteFunc(list.Workers, func(w pool.Worker) bool { return w.State != pool.WorkerReady }), nil
}

// awaitReady waits until the ready workers are as they should be.
func (s *stage) awaitReady(ctx context.Context, enough func([]pool.Worker) bool) ([]pool.Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		workers, err := s.ready(ctx)
		if err != nil || enough(workers) {
			return workers, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d workers are ready, with the pids %v: %w", len(workers), pids(workers), context.Cause(ctx))
		case <-look.C:
		}
	}
}

func pids(workers []pool.Worker) []int {
	all := make([]int, len(workers))
	for i, w := range workers {
		all[i] = w.Instance.PID
	}
	slices.Sort(all)
	return all
}

func urls(workers []pool.Worker) []string {
	all := make([]string, len(workers))
	for i, w := range workers {
		all[i] = fmt.Sprintf("http://127.0.0.1:%d", w.Instance.Ports["http"])
	}
	return all
}

// doJob returns when the worker has done the job.
func doJob(ctx context.Context, url, duration string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/jobs?duration="+duration, strings.NewReader(""))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the job was lost: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the job was refused: %s", response.Status)
	}
	return nil
}

// awaitJob returns when the worker says that a job is running.
func (s *stage) awaitJob(ctx context.Context, url string) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		self, err := who(ctx, http.DefaultClient, url)
		if err != nil || self.ActiveJobs > 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
	}
}
