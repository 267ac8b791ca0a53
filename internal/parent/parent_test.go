//go:build unix

package parent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/parent"
)

// The test's program is also a parent that starts a child and hangs, and that child.
func TestMain(m *testing.M) {
	role := ""
	if len(os.Args) == 2 {
		role = os.Args[1]
	}
	switch role {
	case "parent":
		child := exec.CommandContext(context.Background(), os.Args[0], "child")
		child.Stdout = os.Stdout
		if err := child.Start(); err != nil {
			os.Exit(1)
		}
		select {}
	case "child":
		fmt.Println("waiting")
		if err := parent.Await(context.Background()); err != nil {
			os.Exit(1)
		}
		fmt.Println("an orphan")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAChildNoticesThatItsParentWasKilled(t *testing.T) {
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	p := exec.CommandContext(t.Context(), os.Args[0], "parent")
	p.Stdout = write
	require.NoError(t, p.Start())
	require.NoError(t, write.Close())
	require.NoError(t, read.SetReadDeadline(time.Now().Add(2*time.Minute)))
	said := bufio.NewReader(read)
	line, err := said.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "waiting\n", line)
	require.NoError(t, p.Process.Kill())
	require.Error(t, p.Wait())
	rest, err := io.ReadAll(said)
	require.NoError(t, err)
	require.Equal(t, "an orphan\n", string(rest))
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, parent.Await(ctx), context.Canceled)
}
