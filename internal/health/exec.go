package health

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/pool"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/runtime"
)

// maxQuote is how much of a command's last words a reason quotes, in characters.
const maxQuote = 200

// run passes when a command beside the target exits with code 0. ctx ends after atMost.
func (p Prober) run(ctx context.Context, t Target, command pool.Command, atMost pool.Duration) error {
	ran, err := p.Exec(ctx, runtime.Launch{
		WorkerID: t.WorkerID, PoolUID: t.PoolUID, PoolName: t.PoolName, Template: t.Template,
	}, t.Instance, command)
	var unfit *runtime.SpecError
	switch {
	case errors.As(err, &unfit):
		return reason(unfit.Error())
	case err != nil:
		return fmt.Errorf("%w: %w", ErrNotProbed, err)
	case ran.CutShort:
		return quoting(fmt.Sprintf("the command did not end within %s", atMost), ran.Output)
	case ran.Exit.Unknown:
		return fmt.Errorf("%w: how the command ended is unknown", ErrNotProbed)
	case ran.Exit.Signal != "":
		return quoting("the command ended by signal "+ran.Exit.Signal, ran.Output)
	case !ran.Exit.Clean():
		return quoting(fmt.Sprintf("the command exited with code %d", ran.Exit.Code), ran.Output)
	}
	return nil
}

// quoting is a reason with the end of what the command wrote, in one line.
func quoting(what string, output []byte) error {
	words := strings.FieldsFunc(strings.ToValidUTF8(string(output), "?"), func(r rune) bool { return r <= ' ' || r == 0x7f })
	text := []rune(strings.Join(words, " "))
	if len(text) == 0 {
		return reason(what)
	}
	if len(text) > maxQuote {
		text = append([]rune("…"), text[len(text)-maxQuote:]...)
	}
	return reason(what + ": " + string(text))
}
