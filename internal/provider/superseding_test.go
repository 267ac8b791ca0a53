package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/stretchr/testify/require"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/client"
)

func TestWhatADestroyTookOverIsAnErrorThatSaysByWhom(t *testing.T) {
	for name, row := range map[string]struct {
		over     bool // the destroy has ended by the time that the apply does
		before   object
		what     string
		expected []string
	}{
		"a creation, while it goes on": {false, nil, "created", []string{`Pool "web" is being destroyed`, "waits for the end of that"}},
		"a creation, to the end":       {true, nil, "created", []string{`Pool "web" was destroyed`, "Apply again to create it anew"}},
		"an update, while it goes on":  {false, web(), "updated", []string{`Pool "web" is being destroyed`, "waits for the end of that"}},
		"an update, to the end":        {true, web(), "updated", []string{`Pool "web" was destroyed`, "Apply again to create it anew"}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := newFake()
			tf := newTerraform(t, fake)
			if row.before != nil {
				tf.reaches(row.before)
			}
			release := fake.hold()
			p := tf.plan(web(object{"size": 4}))
			applied := make(chan []*tfprotov6.Diagnostic)
			go func() { applied <- tf.apply(p) }()
			fake.awaited(t)
			mine := fake.named("web").OperationID
			if row.over {
				fake.mu.Lock()
				fake.held = false
				fake.mu.Unlock()
			}
			deletion, err := fake.Delete(t.Context(), "web", false, client.Change{})
			require.NoError(t, err)
			diagnostics := <-applied
			require.Len(t, diagnostics, 1)
			said := firstError(diagnostics)
			for _, says := range append(row.expected, "Operation "+deletion.Operation.ID+" (delete) of tester", "being "+row.what+" (operation "+mine+")") {
				require.ErrorContains(t, said, says)
			}
			require.False(t, tf.state.IsNull())

			release()
			require.Empty(t, summaries(tf.refresh()))
			require.True(t, tf.state.IsNull(), "the next plan is one of a creation")
		})
	}
}
