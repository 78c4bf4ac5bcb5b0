package hosted

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
)

// canary stands in the way of every program that a step starts, and looks for
// secrets in its environment, and in that of the program that started it, and so on.
const canary = `#!/bin/sh
pid=$$
while [ "$pid" -gt 1 ] && [ -r /proc/$pid/environ ]; do
	grep -qsaFf ` + inside + `/canary/secrets /proc/$pid/environ && echo "${0##*/}: of the process $pid ($(tr '\0' ' ' </proc/$pid/cmdline))" >>` + storeDir + `/canary/found
	pid=$(sed 's/.*) . //; s/ .*//' /proc/$pid/stat)
done
echo "${0##*/}" >>` + storeDir + `/canary/seen
PATH=${PATH#` + inside + `/canary/bin:}
exec "${0##*/}" "$@"
`

// programs are those that the steps of workflows start.
func programs() []string {
	return append([]string{"go", "git", "gpg", "gpgconf", "apt-get", "dpkg-query", "sudo", "env", "sh"}, tool.All()...)
}

// watch puts the canary beside the stand-ins, which looks for the texts.
func (m Machine) watch(secrets []string) error {
	dir := filepath.Join(m.Place, "canary")
	err := artifact.WriteBytes(filepath.Join(dir, "secrets"), 0o644, []byte(strings.Join(secrets, "\n")+"\n"))
	for _, program := range programs() {
		err = errors.Join(err, artifact.WriteBytes(filepath.Join(dir, "bin", program), 0o755, []byte(canary)))
	}
	// Root inside sings too, by sudo.
	for _, file := range []string{m.seen(), m.found()} {
		err = errors.Join(err, artifact.WriteBytes(file, 0o666, nil))
	}
	return err
}

func (m Machine) seen() string { return m.Store("canary", "seen") }

func (m Machine) found() string { return m.Store("canary", "found") }

// Forget begins anew with what was watched.
func (m Machine) Forget() error {
	return errors.Join(os.Truncate(m.seen(), 0), os.Truncate(m.found(), 0))
}

// Watched says in the environments of which programs there were secrets. That none
// was looked at is an error.
func (m Machine) Watched() (found string, err error) {
	seen, err := os.ReadFile(m.seen())
	if err == nil && len(seen) == 0 {
		err = errors.New("no program was looked at for secrets in its environment")
	}
	secrets, err2 := os.ReadFile(m.found())
	return string(secrets), errors.Join(err, err2)
}
