package embedded

import "strings"

// passedOn lists the variables a manager gets; a name that ends with * stands for all that begin so.
// Whatever else the caller's environment holds, tokens and keys above all, is not the manager's.
var passedOn = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_*", "TZ", "TMPDIR", "XDG_*"}

// inherited is the part of an environment that a manager gets.
func inherited(environ []string) []string {
	passed := []string{}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		for _, pattern := range passedOn {
			prefix, open := strings.CutSuffix(pattern, "*")
			if name == pattern || open && strings.HasPrefix(name, prefix) {
				passed = append(passed, variable)
				break
			}
		}
	}
	return passed
}
