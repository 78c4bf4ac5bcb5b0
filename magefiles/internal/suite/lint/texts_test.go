package lint

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
)

var (
	// toSecrets is a command that makes a file with secrets in it, or the start of
	// one: what is before it on the same command line counts.
	toSecrets = regexp.MustCompile(`((^|[\s&\d])>+ *|\btee (-a )?|(^|\s)--?(o|out|keyout|output)[ =]|(^|\s)(cp|install|mv) .*)\S*` +
		`(?i:\.env\b|/env\b|token|invitation|credstore|smbios|passw|passphrase|pgpass|secret|private|\.key\b|key\.pem\b|\.p12\b)`)
	// writtenClosed is such a command that closes what it makes.
	writtenClosed = regexp.MustCompile(`\(umask 0?077(;| &&) |\binstall .*-m 0?[46]00\b`)
	umask         = regexp.MustCompile(`^\s*umask (\d+)\b`)
)

// openSecrets are the command lines of a text that write a secret into a file that others
// can read, whatever the umask, and how many write one at all.
func openSecrets(path, content string) (found int, open []string) {
	closed, fenced := false, false
	for _, line := range commandLines(content) {
		if strings.HasSuffix(path, ".md") {
			fence := strings.HasPrefix(line, "```")
			fenced = fenced != fence
			// A block of commands ends with its fence, or where the text goes on.
			closed = closed && !fence && (fenced || line == "" || strings.HasPrefix(line, "    "))
		}
		if set := umask.FindStringSubmatch(line); set != nil {
			closed = set[1] == "077" || set[1] == "0077"
		}
		if toSecrets.MatchString(line) {
			found++
			if !closed && !writtenClosed.MatchString(line) {
				open = append(open, strings.TrimSpace(line))
			}
		}
	}
	return found, open
}

// commandLines are the lines of a text; those that a backslash or a pipe continues are
// one, and those of a table are none of these.
func commandLines(content string) []string {
	var lines []string
	continues := false
	for line := range strings.SplitSeq(content, "\n") {
		if continues {
			last := len(lines) - 1
			lines[last] = strings.TrimSuffix(lines[last], "\\") + " " + strings.TrimSpace(line)
		} else {
			lines = append(lines, line)
		}
		continues = strings.HasSuffix(line, "\\") || strings.HasSuffix(line, "|") && !strings.HasPrefix(line, "|")
	}
	return lines
}

// TestSecretsAreWrittenClosed: no text tells anybody to write a secret into a file
// that others can read, whatever the umask.
func TestSecretsAreWrittenClosed(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range texts(t) {
		content := suitetest.Text(t, path)
		number, open := openSecrets(path, content)
		found += number
		for _, line := range open {
			t.Errorf("%s: %s", path, line)
		}
		if strings.Contains(content, "-joinToken ") || strings.Contains(content, "-joinToken\"") {
			t.Errorf("%s has a token as an argument, which everybody can read", path)
		}
	}
	if found < 12 {
		t.Errorf("found only %d places that write a secret", found)
	}
}

func TestOpenSecrets(t *testing.T) {
	t.Parallel()
	const fence = "```\n"
	for text, want := range map[string]struct{ found, open int }{
		"x > agent.env\n": {1, 1},
		"(umask 077; x |\n  sed p > /etc/spire/agent.env)\n":           {1, 0},
		"(umask 077 && x >main/env)\n":                                 {1, 0},
		"x >web1.invitation\n":                                         {1, 1},
		"x >\"$dir/web1.Invitation\"\n":                                {1, 1},
		"cat >/etc/credstore/spire <<'END'\n":                          {1, 1},
		"x >>web1.smbios\n":                                            {1, 1},
		"x | tee -a ~/.pgpass\n":                                       {1, 1},
		"x >db.password\n":                                             {1, 1},
		"openssl genpkey -algorithm ED25519 -out host.key\n":           {1, 1},
		"openssl req -keyout /etc/ssl/private/a.pem -out a.crt\n":      {1, 1},
		"spire-config invite web1 --output=-\n":                        {0, 0},
		"curl https://example.org/ -o svid_key.pem\n":                  {1, 1},
		"cp host.key /srv/\n":                                          {1, 1},
		"install -D -m 0644 -t /srv host.key\n":                        {1, 1},
		"install -D -m 0400 -t /srv \\\n  host.key\n":                  {1, 0},
		"install -m 0600 /dev/stdin server.env <<EOF\n":                {1, 0},
		"install -m 0644 root-only-keys.conf db-ca.crt bundle.pem /\n": {0, 0},
		"<a b=\"c\"><key>the-secret</key></a>\n":                       {0, 0},
		"test -O private\n":                                            {0, 0},
		"x > bundle.crt\n":                                             {0, 0},
		"umask 077\nx >host.key\n":                                     {1, 0},
		"  umask 0077 # for root alone\n\n  x >host.key\n":             {1, 0},
		"umask 022\nx >host.key\n":                                     {1, 1},
		"umask 077\numask 022\nx >host.key\n":                          {1, 1},
		"x >host.key\numask 077\n":                                     {1, 1},
		"#md\n    umask 077\n\n    x >host.key\n":                      {1, 0},
		"#md\n    umask 077\n\nThere:\n\n    x >host.key\n":            {1, 1},
		"#md\n" + fence + "umask 077\nx >host.key\n" + fence:           {1, 0},
		"#md\n" + fence + "umask 077\n" + fence + fence + "x >a.key\n": {1, 1},
		"#md\n| a | b |\n|---|---|\n\n    umask 077\n    x >a.key\n":   {1, 0},
	} {
		path := "x.sh"
		if strings.HasPrefix(text, "#md\n") {
			path = "x.md"
		}
		if found, open := openSecrets(path, text); found != want.found || len(open) != want.open {
			t.Errorf("%q: found %d, open %q; want %+v", text, found, open, want)
		}
	}
}

// texts are those that people or systemd follow.
func texts(t *testing.T) []string {
	t.Helper()
	paths := []string{"README.md"}
	for _, dir := range []string{"packages", "units"} {
		err := filepath.WalkDir(filepath.Join(suitetest.Root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				relative, _ := filepath.Rel(suitetest.Root, path)
				paths = append(paths, relative)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(paths)
	return paths
}

// A drop-in that lets the agent look into other processes says what that comes to:
// with it, a process of root's was read by /proc/PID/mem.
func TestDropInSaysWhatItWeakens(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range texts(t) {
		content := suitetest.Text(t, path)
		if !strings.Contains(path, "/drop-ins/") || !regexp.MustCompile(`(?m)^[A-Za-z]+=.*CAP_(SYS_PTRACE|DAC_READ_SEARCH)`).MatchString(content) {
			continue
		}
		found++
		words := strings.Join(strings.Fields(strings.ReplaceAll(content, "\n#", " ")), " ")
		if want := "the agent can read every file and, by /proc/PID/mem, the memory of every process of this host, keys included"; !strings.Contains(words, want) {
			t.Errorf("%s does not say that %s", path, want)
		}
	}
	if found == 0 {
		t.Error("no drop-in has such a capability")
	}
}
