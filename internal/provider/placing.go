package provider

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const hostPath = "runtime.process.host"

// movesHost says whether what is declared would take the pool to another host than it is on. Declaring no
// host, or the one that the manager chose, does not.
func movesHost(prior tftypes.Value, after declared) bool {
	if after.unknown[hostPath] {
		return true
	}
	host := after.spec.Runtime.Host()
	return host != "" && host != textAt(prior, "host")
}

// warnOfHost warns ahead of a replacement that would destroy the pool and then find that no manager is there
// to create it: one manager runs the processes of one host.
func warnOfHost(prior tftypes.Value, after declared) (diags diag.Diagnostics) {
	if after.unknown[hostPath] || !movesHost(prior, after) {
		return nil
	}
	name, host, wanted := textAt(prior, "name"), textAt(prior, "host"), after.spec.Runtime.Host()
	diags.AddAttributeWarning(attributePath(hostPath), fmt.Sprintf("Pool %q: no other host can be had from this manager", name),
		fmt.Sprintf("The manager of this provider runs processes of host %q only. An apply would destroy the pool, and the creation on host %q would then be refused. Leave %s out to keep the pool where it is. To move it, destroy it here and declare it under a provider whose endpoint is the manager of host %q.", host, wanted, hostPath, wanted))
	return diags
}
