package sandbox

import (
	"os"
	"strings"

	"github.com/spiffe-experimental/spire-config/internal/change"
	"github.com/spiffe-experimental/spire-config/internal/config"
	"github.com/spiffe-experimental/spire-config/internal/layout"
)

// description is what systemd calls the unit in its own words.
const description = "Look at a configuration of SPIRE"

// The [Unit] of the unit is not taken: it may require other services, and have conditions
// by which nothing would be run, and all would seem well.
const head = `[Unit]
Description=` + description + `
CollectMode=inactive-or-failed
`

// The folder of the sockets must outlive the commands, as the service may be running.
const once = `Type=oneshot
Restart=no
RemainAfterExit=no
RuntimeDirectoryPreserve=yes
TimeoutStartSec=60
WatchdogSec=0
SuccessExitStatus=
StandardInput=null
StandardOutput=journal
StandardError=journal
ExecCondition=
ExecStartPre=
ExecStartPost=
ExecStop=
ExecStopPost=
ExecReload=
ExecStart=
`

// text is the unit, with the commands in the place of its own.
func (s Sandbox) text(staged change.Staged, commands [][]string) (string, error) {
	var unit strings.Builder
	unit.WriteString(head)
	// It makes the folder that the unit shows its service as that of the state.
	if state := layout.StateUnit(s.unit); state != "" {
		unit.WriteString("Wants=" + state + "\nAfter=" + state + "\n")
	}
	unit.WriteString("\n[Service]\n")
	for _, path := range s.files {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		for _, line := range service(string(text)) {
			unit.WriteString(s.line(line, staged) + "\n")
		}
	}
	unit.WriteString(once)
	for _, command := range commands {
		unit.WriteString("ExecStart=" + quoted(command) + "\n")
	}
	return unit.String(), nil
}

// service are the lines of [Service], without comments.
func service(text string) []string {
	var lines []string
	within, continued := false, false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		bare := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(bare, "#"), strings.HasPrefix(bare, ";"):
			// Also among continued lines, as systemd has it.
			continue
		case !continued && strings.HasPrefix(bare, "["):
			within = bare == "[Service]"
		case within && (continued || bare != ""):
			lines = append(lines, line)
		}
		continued = strings.HasSuffix(line, `\`)
	}
	return lines
}

// line is one of the unit's as it has to stand in another unit: with the names of the
// former, and with what is staged in the place of what is not there yet.
func (s Sandbox) line(line string, staged change.Staged) string {
	name := strings.TrimSuffix(s.unit, ".service")
	line = strings.NewReplacer("%%", "%%", "%n", s.unit, "%N", name, "%p", name, "%P", name, "%i", "", "%I", "").Replace(line)
	key, value, _ := strings.Cut(line, "=")
	if strings.TrimSpace(key) != "EnvironmentFile" {
		return line
	}
	value = strings.TrimSpace(value)
	path := strings.TrimPrefix(value, "-")
	if at := staged.At(path); at != path {
		return "EnvironmentFile=" + strings.ReplaceAll(at, "%", "%%")
	}
	return line
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`)

// quoted is a command as ExecStart= has it. The folder of credentials is known to systemd
// alone.
func quoted(command []string) string {
	var words []string
	for _, word := range command {
		rest, handed := strings.CutPrefix(word, config.Credentials+"/")
		word = escape.Replace(word)
		if handed {
			word = "${CREDENTIALS_DIRECTORY}/" + escape.Replace(rest)
		}
		words = append(words, `"`+word+`"`)
	}
	return strings.Join(words, " ")
}
