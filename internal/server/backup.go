package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/danielgtaylor/huma/v2"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/api"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/backup"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/lifecycle"
)

type backupInput struct {
	Pools   []string `query:"pool,explode" doc:"Name of a pool that is to be in it; may be repeated. Left out, all are"`
	Events  bool     `query:"events" doc:"With the pools' event logs"`
	Secrets bool     `query:"secrets" default:"true" doc:"With the pools' secrets, sealed as they are"`
}

// backup answers with a file that says by its end whether all of it has come.
func (s *Server) backup(ctx context.Context, in *backupInput) (*huma.StreamResponse, error) {
	want := lifecycle.BackupWant{Pools: in.Pools, Events: in.Events, Secrets: in.Secrets, Program: s.config.Describe.Version}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "text/plain; charset=utf-8")
		begun := &begun{Writer: out.BodyWriter()}
		err := s.config.Manager.Backup(ctx, want, begun)
		if err == nil {
			return
		}
		err = s.answer(err)
		var p *statusProblem
		if begun.yes || !errors.As(err, &p) {
			s.config.Logger.Warn("a backup was not finished", "error", err)
			return
		}
		out.SetHeader("Content-Type", p.ContentType(""))
		out.SetStatus(p.Status)
		_ = json.NewEncoder(begun).Encode(p.Problem) // the client may be gone
	}}, nil
}

// begun notes whether anything was written.
type begun struct {
	io.Writer
	yes bool
}

func (b *begun) Write(data []byte) (int, error) {
	b.yes = true
	return b.Writer.Write(data)
}

type restoreInput struct {
	Key     string `header:"Idempotency-Key" maxLength:"128" doc:"A repetition with the same key is answered like the first request"`
	Reason  string `header:"Poolkeeper-Reason" maxLength:"1024" doc:"Why, for the audit log"`
	DryRun  bool   `query:"dry_run" doc:"Only say what it would do"`
	RawBody []byte
}

type restoreOutput struct{ Body api.Restored }

func (s *Server) restore(ctx context.Context, in *restoreInput) (*restoreOutput, error) {
	var kept backup.Pool
	if err := json.Unmarshal(in.RawBody, &kept); err != nil {
		return nil, problem(api.ProblemInvalid, "this is no pool of a backup: "+err.Error())
	}
	by := Mutation{Key: in.Key, Reason: in.Reason}.request(ctx, "restore", fmt.Sprint(in.DryRun), string(in.RawBody))
	restored, err := s.config.Manager.Restore(ctx, by, kept, in.DryRun)
	return &restoreOutput{restored}, s.answer(err)
}
