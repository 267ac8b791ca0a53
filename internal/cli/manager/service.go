package manager

import (
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"unicode"

	_ "embed"
)

// service is a manager as the system runs it: from the machine's start on, and again whenever it ends.
type service struct {
	Unit    string   // what the system calls it
	Command []string // program and arguments, with absolute paths
	Path    string   // PATH of the manager, which its workers inherit; empty leaves it to the system
	User    string   // whose a service of the system is; empty for a user's own
	Log     string   // file for its output, where the system keeps none
}

// kindOf names a sort of service.
type kindOf struct {
	os     string // as in runtime.GOOS
	system bool   // one for the whole machine, not of a user
}

// kind is one sort of service: how it is written, where its file lies, and the commands that concern it.
type kind struct {
	template string
	quote    map[string]func(string) string
	folder   func() (string, error)
	prefix   string // of the unit's name
	suffix   string // of its file
	wanted   string // folder beside the file in which a link to it starts it with the machine
	dataDir  string // if no other is named; empty: the user's own

	state   string // says whether the system runs it; prints "inactive" or "failed", or fails, if it does not
	start   string // in commands, UNIT and FILE stand for the service's own
	restart string
	stop    string
	reload  string // after its file has gone
	caveat  string // for people
}

var kinds = map[kindOf]kind{
	{"linux", false}: {
		template: systemdTemplate, quote: systemdQuotes, folder: userUnits, suffix: ".service", wanted: "default.target.wants",
		state:   "systemctl --user show --property=ActiveState --value UNIT",
		start:   "loginctl enable-linger && systemctl --user daemon-reload && systemctl --user enable --now UNIT",
		restart: "systemctl --user daemon-reload && systemctl --user restart UNIT",
		stop:    "systemctl --user disable --now UNIT",
		reload:  "systemctl --user daemon-reload",
		caveat:  "Without enable-linger systemd would end it at your log-out, and its workers with it.",
	},
	{"linux", true}: {
		template: systemdTemplate, quote: systemdQuotes, folder: always("/etc/systemd/system"), suffix: ".service", wanted: "multi-user.target.wants",
		dataDir: "/var/lib/poolkeeper",
		state:   "systemctl show --property=ActiveState --value UNIT",
		start:   "systemctl daemon-reload && systemctl enable --now UNIT",
		restart: "systemctl daemon-reload && systemctl restart UNIT",
		stop:    "systemctl disable --now UNIT",
		reload:  "systemctl daemon-reload",
	},
	{"darwin", false}: {
		template: launchdTemplate, quote: launchdQuotes, folder: userAgents, prefix: labelPrefix, suffix: ".plist",
		state:   "launchctl print gui/" + userID + "/UNIT",
		start:   "launchctl bootstrap gui/" + userID + " FILE",
		restart: "launchctl bootout gui/" + userID + "/UNIT; launchctl bootstrap gui/" + userID + " FILE",
		stop:    "launchctl bootout gui/" + userID + "/UNIT",
		caveat:  "It runs from your log-in to your log-out; one of --system runs from the start of the machine on.",
	},
	{"darwin", true}: {
		template: launchdTemplate, quote: launchdQuotes, folder: always("/Library/LaunchDaemons"), prefix: labelPrefix, suffix: ".plist",
		dataDir: "/usr/local/var/poolkeeper",
		state:   "launchctl print system/UNIT",
		start:   "launchctl bootstrap system FILE",
		restart: "launchctl bootout system/UNIT; launchctl bootstrap system FILE",
		stop:    "launchctl bootout system/UNIT",
	},
}

// labelPrefix makes a name one of launchd's, which are domains turned round.
const labelPrefix = "io.github.poolkeeper."

// userID is who runs this program, in a domain of launchd.
var userID = strconv.Itoa(os.Getuid())

// marker is in every file that install writes, and in nobody else's.
const marker = "Written by poolkeeper manager install; poolkeeper manager uninstall removes it."

var (
	//go:embed service.systemd.tmpl
	systemdTemplate string
	//go:embed service.launchd.tmpl
	launchdTemplate string
)

func always(folder string) func() (string, error) {
	return func() (string, error) { return folder, nil }
}

// userUnits is where systemd looks for a user's own units.
func userUnits() (string, error) {
	config, err := os.UserConfigDir()
	return filepath.Join(config, "systemd", "user"), err
}

// userAgents is where launchd looks for a user's own agents.
func userAgents() (string, error) {
	home, err := os.UserHomeDir()
	return filepath.Join(home, "Library", "LaunchAgents"), err
}

// text is the service's file.
func (k kind) text(s service) (string, error) {
	for _, written := range append([]string{s.Unit, s.Path, s.User, s.Log}, s.Command...) {
		if strings.ContainsFunc(written, unicode.IsControl) {
			return "", fmt.Errorf("%q has control characters, which the file of a service cannot hold", written)
		}
	}
	if k.wanted != "" && strings.ContainsAny(s.Command[0], `"'\`) { // which systemd refuses however they are written
		return "", fmt.Errorf("%q has quotes or backslashes, with which systemd runs no program; choose another data directory", s.Command[0])
	}
	functions := template.FuncMap{"marker": func() string { return marker }}
	for name, quote := range k.quote {
		functions[name] = quote
	}
	parsed, err := template.New("").Funcs(functions).Parse(k.template)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = parsed.Execute(&text, s)
	return text.String(), err
}

// systemdQuotes write values in a unit (systemd.syntax(7), systemd.service(5)).
var systemdQuotes = map[string]func(string) string{
	// A program's path takes no variables, as its arguments do.
	"program":  func(s string) string { return quoted(specifiers.Replace(s)) },
	"argument": func(s string) string { return quoted(variables.Replace(specifiers.Replace(s))) },
	"value":    func(s string) string { return quoted(specifiers.Replace(s)) },
}

var (
	specifiers = strings.NewReplacer("%", "%%")
	variables  = strings.NewReplacer("$", "$$")
	escapes    = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
)

// quoted is a word of a unit; the most are words as they are.
func quoted(s string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+=:,@%$", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return `"` + escapes.Replace(s) + `"`
}

// launchdQuotes write values in a property list (launchd.plist(5)).
var launchdQuotes = map[string]func(string) string{
	"program": element, "argument": element, "value": element,
}

func element(s string) string {
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(s)) // a strings.Builder takes everything
	return "<string>" + text.String() + "</string>"
}

// errNoServices is where neither systemd nor launchd is.
var errNoServices = errors.New("there is no systemd or launchd on this operating system that a manager could be a service of")
