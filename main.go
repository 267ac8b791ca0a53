// Command terraform-provider-poolkeeper is Poolkeeper's Terraform provider, its lifecycle manager and its
// command line in one program. Started by Terraform it is the provider.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/cli"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/parent"
	"github.com/poolkeeper/terraform-provider-poolkeeper/internal/provider"
)

// version is set when a release is built.
var version = "dev"

const address = "registry.terraform.io/poolkeeper/poolkeeper"

func main() {
	debug := len(os.Args) == 2 && slices.Contains([]string{"-debug", "--debug", "-debug=true", "--debug=true"}, os.Args[1])
	// Terraform marks the programs that it starts as plugins with this variable.
	if os.Getenv("TF_PLUGIN_MAGIC_COOKIE") == "" && !debug {
		os.Exit(cli.Run(version, os.Args[1:]))
	}
	if err := serve(debug); err != nil {
		fmt.Fprintln(os.Stderr, "Error: serve the provider:", err)
		os.Exit(1)
	}
}

// serve is the provider until Terraform ends it, or is gone itself. A provider under debug is started by
// hand and serves one Terraform after another.
func serve(debug bool) error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if !debug {
		go func() {
			if parent.Await(ctx) == nil {
				os.Exit(1) // nobody is left to answer to; what was asked for is the manager's to finish
			}
		}()
	}
	return providerserver.Serve(ctx, provider.New(version, executable), providerserver.ServeOpts{Address: address, Debug: debug})
}
