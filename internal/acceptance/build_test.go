//go:build linux

package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The versions of the program that are built.
const (
	older = "0.1.0"
	newer = "0.2.0"
	// failing is the older one, with its failpoints.
	failing = "failing"
)

// parts are the programs that the tests put together.
type parts struct {
	root      string
	worker    string
	terraform string
}

func theParts() parts {
	root := os.Getenv(envRoot)
	return parts{root: root, worker: filepath.Join(root, "bin", "testworker"), terraform: filepath.Join(root, "bin", "terraform")}
}

// provider is the program of a version; nothing else is in its directory.
func (p parts) provider(version string) string {
	return filepath.Join(p.root, "bin", version, "terraform-provider-poolkeeper")
}

func buildAll(ctx context.Context, root string) error {
	p := theParts()
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o700); err != nil {
		return err
	}
	terraform, err := findTerraform()
	if err != nil {
		return err
	}
	if err := os.Symlink(terraform, p.terraform); err != nil {
		return err
	}
	race := raceFlags(ctx)
	for _, version := range []string{older, newer} {
		err := build(ctx, p.provider(version), append(race, "-ldflags=-s -w -X main.version="+version), "../..")
		if err != nil {
			return err
		}
	}
	if err := build(ctx, p.provider(failing), append(race, "-tags=failpoints", "-ldflags=-s -w -X main.version="+older), "../.."); err != nil {
		return err
	}
	return build(ctx, p.worker, nil, "./testworker")
}

// findTerraform is the path of the Terraform or OpenTofu to test with.
func findTerraform() (string, error) {
	if named := os.Getenv("TF_ACC_TERRAFORM_PATH"); named != "" {
		return filepath.Abs(named)
	}
	for _, name := range []string{"terraform", "tofu"} {
		if path, err := exec.LookPath(name); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", errors.New("the acceptance tests need terraform or tofu on the PATH, or TF_ACC_TERRAFORM_PATH")
}

// raceFlags turn the race detector on where it can be had: it needs a C compiler.
func raceFlags(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "go", "env", "CGO_ENABLED").Output()
	if err != nil || string(out) != "1\n" {
		fmt.Fprintln(os.Stderr, "no C compiler: the programs are built without the race detector")
		return nil
	}
	return []string{"-race"}
}

func build(ctx context.Context, to string, flags []string, pkg string) error {
	args := append([]string{"build", "-o", to}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
