package provider

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPlanWarnsThatThisManagerCannotHaveThePoolOnAnotherHost(t *testing.T) {
	for name, row := range map[string]struct {
		declared object
		warned   bool
	}{
		"another host":             {at("runtime.process.host", "there"), true},
		"another host and name":    {overlaid(at("runtime.process.host", "there"), object{"name": "other"}), true},
		"another name":             {object{"name": "other"}, false},
		"the host that it is on":   {at("runtime.process.host", "here"), false},
		"one that is not known":    {at("runtime.process.host", unknown), false},
		"a runtime without a host": {object{"runtime": object{"process": object{}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			tf := newTerraform(t, newFake())
			tf.reaches(web())
			p := tf.plan(web(row.declared))
			if !row.warned {
				require.Empty(t, summaries(p.diagnostics))
				return
			}
			require.Len(t, p.diagnostics, 1)
			require.Equal(t, "runtime.process.host", dotted(p.diagnostics[0].Attribute))
			said := summaries(p.diagnostics)[0]
			for _, says := range []string{"warning: ", `"web"`, `processes of host "here" only`, `creation on host "there" would then be refused`} {
				require.Contains(t, said, says)
			}
		})
	}
}
