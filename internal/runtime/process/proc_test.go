//go:build linux

package process

import (
	"encoding/binary"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAProcessNameCanHoldAnything(t *testing.T) {
	for _, name := range []string{"sleep", "a b", ") R 1 1 (", "))((", ""} {
		t.Run(name, func(t *testing.T) {
			line := "42 (" + name + ") S 7 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 404244 2527232 371 18446744073709551615 1 2 3 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 2 3 4 5 6 7 256\n"
			s, err := parseStat([]byte(line))
			require.NoError(t, err)
			require.Equal(t, stat{
				proc:   proc{pid: 42, parent: 7, session: 40, start: 404244, name: name},
				memory: 2527232, status: 256, image: image{name: name, code: 1, envStart: 6, envEnd: 7},
			}, s)
		})
	}
	for _, c := range []struct {
		state, threads, memory string
		zombie, headless       bool
	}{
		{"S", "3", "4096", false, false},
		{"S", "1", "0", false, false}, // the kernel's own
		{"Z", "1", "0", true, false},
		{"Z", "3", "0", false, true},
		{"R", "3", "0", false, true},
	} {
		s, err := parseStat([]byte("42 (x) " + c.state + " 7 41 40 0 -1 0 1 2 3 4 5 6 7 8 20 0 " + c.threads + " 0 0 " + c.memory + strings.Repeat(" 0", 29)))
		require.NoError(t, err)
		require.Equal(t, c.zombie, s.zombie, "%+v", c)
		require.Equal(t, c.headless, s.image.headless, "%+v", c)
	}
	_, err := parseStat([]byte("42 (x) Z 0 -1 -1" + strings.Repeat(" 0", 46)))
	require.ErrorIs(t, err, fs.ErrNotExist, "it is being reaped")
	for _, line := range []string{"", "42 sleep S 1", "42 (sleep) S 1 2", "x" + strings.Repeat(" 1", 60)} {
		_, err := parseStat([]byte(line))
		require.Error(t, err, line)
	}
	s, err := readStat(os.Getpid())
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), s.pid)
	require.Equal(t, os.Getppid(), s.parent)
	require.False(t, s.zombie)
	require.LessOrEqual(t, s.start, clock())
	require.Greater(t, s.start, clock()-60*60*100, "start times and the clock have one unit")
}

func TestMarksAreReadFromAnEnvironment(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		want    marks
	}{
		{"nobody's", []string{"PATH=/bin", "PORT=1", "POOLKEEPER_POOL=x"}, marks{}},
		{"a worker's", []string{"POOLKEEPER_MANAGER=m/i", "POOLKEEPER_PORT_HTTP=80", "POOLKEEPER_PORT_SIDE_CAR=81", "POOLKEEPER_POOL=a=b", "POOLKEEPER_POOL_UID=u", "POOLKEEPER_WORKER_ID=w"},
			marks{worker: "w", poolUID: "u", pool: "a=b", identity: "m/i", ports: map[string]int{"http": 80, "side-car": 81}}},
		{"an errand's", []string{"POOLKEEPER_WORKER_ID=w", "POOLKEEPER_MANAGER=m/i", "POOLKEEPER_ERRAND=e-1"}, marks{worker: "w", identity: "m/i", errand: "e-1"}},
		{"one that only speaks of it", []string{"X=POOLKEEPER_WORKER_ID=w"}, marks{}},
		{"a port that is none", []string{"POOLKEEPER_WORKER_ID=w", "POOLKEEPER_PORT_HTTP=x"}, marks{worker: "w"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readMarks([]byte(strings.Join(c.environ, "\x00") + "\x00"))
			require.Equal(t, c.want, got)
		})
	}
}

func TestTheEnvironmentIsFoundInWhatMacOSTells(t *testing.T) {
	raw := binary.NativeEndian.AppendUint32(nil, 3)
	raw = append(raw, "/bin/sleep\x00\x00\x00\x00sleep\x001000\x00\x00PATH=/bin\x00POOLKEEPER_WORKER_ID=w\x00\x00executable_path=/bin/sleep\x00"...)
	require.Equal(t, "PATH=/bin\x00POOLKEEPER_WORKER_ID=w\x00", string(procArgsEnviron(raw)))
	for _, short := range []string{"", "\x01\x00\x00\x00", "\x09\x00\x00\x00/bin/x\x00\x00x\x00"} {
		require.Empty(t, procArgsEnviron([]byte(short)))
	}
}

func TestAClaimOnASessionNeedsAProof(t *testing.T) {
	const leader, start, until = 100, 1000, 2000
	member := func(pid int, start int64) proc { return proc{pid: pid, session: leader, start: start, settled: true} }
	carrying := func(p proc, worker, manager string) proc {
		p.marks = marks{worker: worker, identity: manager + "/i"}
		return p
	}
	writing := func(p proc, worker string, own bool) proc {
		p.origin = origin{"p", worker, own}
		return p
	}
	dead := func(p proc) proc { p.zombie = true; return p }
	for _, c := range []struct {
		name  string
		procs []proc
		want  []int
	}{
		{"its leader lives", []proc{member(leader, start), member(101, 3000)}, []int{101, leader}},
		{"its leader is a zombie", []proc{dead(member(leader, start)), member(101, 3000)}, []int{101}},
		{"a member is as old as its leader's life", []proc{member(101, until), member(102, 3000)}, []int{102, 101}},
		{"a member carries the id", []proc{carrying(member(101, 3000), "w", "m"), member(102, 3001)}, []int{102, 101}},
		{"nothing proves it", []proc{member(101, until+1), member(102, 3000)}, nil},
		{"the pid is another's", []proc{member(leader, 3000), member(101, 3001)}, nil},
		{"another worker's id proves nothing", []proc{carrying(member(101, 3000), "w2", "m")}, nil},
		{"another manager's id proves nothing", []proc{carrying(member(101, 3000), "w", "m2")}, nil},
		{"the id reaches beyond the session", []proc{carrying(proc{pid: 300, session: 300, start: 1}, "w", "m"), {pid: 301, session: 300}}, []int{300}},
		{"the manager is never its own victim", []proc{carrying(proc{pid: 7, session: 7}, "w", "m")}, nil},
		{"a member writes to its log", []proc{writing(member(101, 3000), "w", true), member(102, 3001)}, []int{102, 101}},
		{"another worker's log proves nothing", []proc{writing(member(101, 3000), "w2", true), member(102, 3001)}, nil},
		{"the log does not reach beyond the session", []proc{writing(proc{pid: 300, session: 300}, "w", true)}, nil},
		{"its leader writes to another directory's log", []proc{writing(member(leader, start), "w", false), carrying(member(101, 1500), "w", "m"), member(102, 1500)}, nil},
		{"a copy of the directory runs a worker of that id", []proc{
			member(leader, start), carrying(writing(proc{pid: 300, session: 300}, "w", false), "w", "m"), carrying(proc{pid: 301, session: 300}, "w", "m"),
		}, []int{leader}},
		{"another manager has a worker of that id", []proc{
			carrying(proc{pid: 300, session: 300}, "w", "m"), carrying(writing(proc{pid: 301, session: 301}, "w", false), "w", "m2"),
		}, []int{300}},
		{"the dead are not killed", []proc{dead(member(101, 1500))}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			claim := claim{worker: "w", manager: "m", pid: leader, start: start, heldUntil: until, marked: true, self: 7}
			var got []int
			for _, p := range claim.belonging(newTable(c.procs)) {
				got = append(got, p.pid)
			}
			require.Equal(t, c.want, got)
		})
	}
	t.Run("an errand is the worker's, and claims nothing but its own", func(t *testing.T) {
		errand := func(pid int, id string) proc {
			p := carrying(proc{pid: pid, session: pid}, "w", "m")
			p.marks.errand = id
			return p
		}
		procs := newTable([]proc{carrying(member(leader, start), "w", "m"), errand(200, "e1"), errand(201, "e2"), carrying(member(101, 3000), "w", "m")})
		require.Len(t, claim{worker: "w", manager: "m", pid: leader, start: start, marked: true, self: 7}.belonging(procs), 4)
		narrow := claim{worker: "w", errand: "e1", manager: "m", pid: 200, marked: true, self: 7}.belonging(procs)
		require.Len(t, narrow, 1)
		require.Equal(t, 200, narrow[0].pid)
	})
	t.Run("of an unknown worker the log counts too, but for what is foreign", func(t *testing.T) {
		procs := newTable([]proc{
			writing(member(leader, start), "w", true), carrying(writing(member(101, 3000), "w", true), "w", "m"),
			carrying(writing(member(102, 3000), "w", true), "w", "m2"), writing(member(103, 3000), "w", false), writing(member(104, 3000), "w2", true),
		})
		var got []int
		for _, p := range (claim{worker: "w", manager: "m", marked: true, unknown: true, self: 7}).belonging(procs) {
			got = append(got, p.pid)
		}
		require.ElementsMatch(t, []int{leader, 101}, got)
	})
	t.Run("without an instance only the id counts", func(t *testing.T) {
		claim := claim{worker: "w", manager: "m", marked: true, self: 7}
		require.Len(t, claim.belonging(newTable([]proc{member(leader, start), {pid: 5}, carrying(member(101, 3000), "w", "m")})), 1)
	})
}
