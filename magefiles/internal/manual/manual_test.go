package manual

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func explore(t *testing.T, file, name string) Command {
	t.Helper()
	c, err := Explore(t.Context(), Program{Path: file, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// page reads our text for a fake program.
func page(t *testing.T, name string) Page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	// Late on 31 December in a zone where it is already January.
	date := time.Date(2026, 1, 1, 3, 0, 0, 0, time.FixedZone("east", 9*3600))
	c := explore(t, filepath.Join("testdata", name), name)
	return Page{Command: c, Text: string(text), Title: "Fake", Version: "1.2.3", Date: date}
}

func TestExplore(t *testing.T) {
	socket := Flag{Name: "socketPath", Type: "string", Usage: "Path to the API socket", Default: "/run/fake/api.sock"}
	format := Flag{Name: "format", Type: "string", Usage: `The format. Either "pem" or "spiffe".`, Default: "pem"}
	path := Flag{Name: "path", Type: "string", Usage: "Path to the data. If set to '-', read from stdin", Default: ""}
	want := Command{
		Name:  "installed",
		Flags: []Flag{{Name: "help", Usage: "Print help"}, {Name: "version", Usage: "Print the version"}},
		Sub: []Command{
			{Name: "bundle", Sub: []Command{
				{Name: "set", Synopsis: "Creates or updates *all* bundle_data in <place>", Runs: true, Flags: []Flag{format, path, socket}},
				{Name: "show", Synopsis: "Prints the bundle to stdout", Runs: true, Flags: []Flag{socket}},
			}},
			{Name: "fetch", Synopsis: "Fetches things", Runs: true, Flags: []Flag{socket}, Sub: []Command{
				{Name: "jwt", Synopsis: "Fetches a token", Runs: true, Flags: []Flag{format, path, socket}},
			}},
			{Name: "run", Synopsis: "Runs the server", Runs: true, Flags: []Flag{
				{Name: "config", Type: "string", Usage: "Path to a config file", Default: ""},
				{Name: "dataDir", Type: "string", Usage: "Directory for *_data_*, `a`, a\\b, [x](y) & <name>;\nit stays (really)", Default: ""},
				{Name: "logLevel", Type: "string", Usage: "'debug', 'info', or 'error'", Default: "info"},
				{Name: "q", Type: "", Usage: "quiet", Default: ""},
				{Name: "ttl", Type: "duration", Usage: ".starts with a dot", Default: "1h0m0s"},
			}},
		},
	}
	if diff := cmp.Diff(want, explore(t, "testdata/fake-server", "installed")); diff != "" {
		t.Errorf("the command tree differs (-want +got):\n%s", diff)
	}
}

// Flags with two dashes, as cobra prints them, level by level.
func TestExploreCobra(t *testing.T) {
	long := func(name, kind, usage string) Flag { return Flag{Name: name, Type: kind, Usage: usage, Long: true} }
	want := Command{
		Name: "installed", Flags: []Flag{long("debug", "", "Enable debug logging"), {Name: "version", Usage: "version for fake-cobra", Short: "v", Long: true}},
		Sub: []Command{
			{Name: "run", Synopsis: "Start it", Runs: true, Flags: []Flag{
				{Name: "addr", Type: "strings", Usage: "set listening address (e.g., [ip]:<port>)", Default: "[localhost:8181]", Short: "a", Long: true},
				{Name: "auth", Type: "{token,tls,off}", Usage: "set authentication", Default: "off", Long: true},
				{Name: "config-file", Type: "string", Usage: "set path of configuration file", Short: "c", Long: true},
				{Name: "history", Type: "string", Usage: "where it is", Default: "~/.fake_history", Long: true},
				{Name: "server", Usage: "start in server mode", Short: "s", Long: true},
				long("skip", `string[="all"]`, "skip some, or\nall"),
			}},
			{Name: "sign", Synopsis: "Sign *things*", Runs: true, Sub: []Command{
				{Name: "all", Synopsis: "Sign all", Args: "KEY|- [FILE...]", Runs: true, Flags: []Flag{long("key", "file", "key to sign with")}},
			}},
		},
	}
	if diff := cmp.Diff(want, explore(t, "testdata/fake-cobra", "installed")); diff != "" {
		t.Errorf("the command tree differs (-want +got):\n%s", diff)
	}
}

// Likewise kingpin's, which says everything at once.
func TestExploreKingpin(t *testing.T) {
	long := func(name, kind, usage string) Flag { return Flag{Name: name, Type: kind, Usage: usage, Long: true} }
	want := Command{
		Name: "installed",
		Flags: []Flag{
			long("connect-timeout", "10s", "Timeout for establishing connections."),
			long("quiet", "", "Silence log messages (can be all, conns; repeat flag)"),
			long("store", "PATH", "Path to store (combined), or with\n--long-words-here of all. ($STORE_PATH)"),
			long("use-workload-api", "", "If true, ask."), long("version", "", "Show application version."),
		},
		Sub: []Command{
			{Name: "server", Synopsis: "Server mode (TLS listener -> plain target).", Runs: true, Flags: []Flag{
				long("allow-all", "", "Allow all."), long("allow-uri", "URI", "Allow clients (can be repeated)."),
				long("ca", "https://some-ca.example.com/a/long/one/", "The CA."), long("listen", "ADDR", "Address to listen on (can be HOST:PORT, unix:PATH)."),
			}},
			{Name: "client", Synopsis: "Client mode.", Runs: true, Flags: []Flag{long("listen", "ADDR", "Address to listen on.")}},
		},
	}
	if diff := cmp.Diff(want, explore(t, "testdata/fake-kingpin", "installed")); diff != "" {
		t.Errorf("the command tree differs (-want +got):\n%s", diff)
	}
}

// Nothing of the machine may come into a package by way of the help.
func TestExploreIsClosed(t *testing.T) {
	t.Setenv("SECRET", "in the environment")
	t.Setenv("HOME", "/home/somebody")
	c := explore(t, "testdata/fake-flags", "fake-flags")
	want := "HOME=~ in /"
	if got := c.Flags[1].Usage; got != want {
		t.Errorf("the program saw %q, want %q", got, want)
	}
}

func TestExplorePrefix(t *testing.T) {
	p := Program{Path: "testdata/fake-flags", Prefix: []string{"/bin/sh", "-e"}, Name: "fake-flags"}
	if c, err := Explore(t.Context(), p); err != nil || len(c.Flags) != 3 {
		t.Errorf("Explore = %v, %v; want three flags", c, err)
	}
}

func TestExploreErrors(t *testing.T) {
	tests := map[string]struct {
		program Program
		says    []string
		noHelp  bool
	}{
		"no help":          {Program{Path: "testdata/silent", Name: "tool"}, []string{"exploring the help of tool: --help: "}, true},
		"subcommand mute":  {Program{Path: "testdata/nested-silent", Name: "tool"}, []string{"of tool: lost --help: "}, true},
		"no such file":     {Program{Path: "testdata/missing", Name: "tool"}, []string{"of tool: ", "missing"}, false},
		"no such emulator": {Program{Path: "testdata/silent", Prefix: []string{"no-such-emulator"}, Name: "tool"}, []string{"no-such-emulator"}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Explore(t.Context(), test.program)
			if err == nil || errors.Is(err, ErrNoHelp) != test.noHelp {
				t.Fatalf("error %v, want ErrNoHelp: %t", err, test.noHelp)
			}
			for _, text := range test.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("error %q does not say %q", err, text)
				}
			}
		})
	}
}

func TestExploreCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Explore(ctx, Program{Path: "testdata/fake-server", Name: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestMan(t *testing.T) {
	for _, name := range []string{"fake-server", "fake-flags", "fake-cobra", "fake-kingpin"} {
		t.Run(name, func(t *testing.T) {
			got, err := page(t, name).Man()
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, name+".8", string(got))
			checkMan(t, filepath.Join("testdata", name+".8"))
		})
	}
}

// What a reader sees must be what the help says, character for character.
func TestManReads(t *testing.T) {
	text := read(t, "testdata/fake-server.8")
	for _, want := range []string{
		"fake-server(8)", "2025-12-31", "Fake 1.2.3",
		"Creates or updates *all* bundle_data in <place>.",
		`Directory for *_data_*, ` + "`a`" + `, a\b, [x](y) & <name>; it stays (really).`,
		"'debug', 'info', or 'error'. Default: info.", ".starts with a dot. Default: 1h0m0s.",
		"-socketPath string", "fake-server run -config 'a b'", "~/x^y",
		"fake-server run \\", "# it's here", "It doesn't do", "https://example.org/a-b",
	} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
			t.Errorf("the page does not show %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "wrong") {
		t.Error("the page gives a command the flags of its subcommand")
	}
}

// read is the page as man shows it in an ideal terminal: wide, without
// justification, each run of blanks as one.
func read(t *testing.T, file string) string {
	t.Helper()
	needMan(t)
	text, err := run.New("man", "--nj", "-P", "cat", "-l", file).WithEnv("MANWIDTH=300", "LC_ALL=C.UTF-8", "TERM=dumb", "MANROFFOPT=-c").Output(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text = overstrike(text)
	return strings.Join(strings.Fields(text), " ")
}

// overstrike removes how old terminals print bold: a character, a backspace
// and the character again.
func overstrike(text string) string {
	var kept []rune
	for _, r := range text {
		if r == '\b' {
			kept = kept[:len(kept)-1]
			continue
		}
		kept = append(kept, r)
	}
	return string(kept)
}

func needMan(t *testing.T) {
	t.Helper()
	if !run.Have("man") || !run.Have("groff") {
		t.Skip("NOT CHECKED: man or groff is missing, so nothing formats the page; install man-db and groff")
	}
}

// checkMan is lintian's check: man must format the page without a warning.
func checkMan(t *testing.T, file string) {
	t.Helper()
	needMan(t)
	cmd := run.New("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", file).
		WithEnv("LC_ALL=C.UTF-8", "MANWIDTH=80", "MANROFFSEQ=")
	var warnings strings.Builder
	cmd.Stderr = &warnings
	if err := cmd.Run(t.Context()); err != nil || warnings.Len() > 0 {
		t.Errorf("man warns of %s: %v\n%s", file, err, warnings.String())
	}
}

func TestManErrors(t *testing.T) {
	tests := map[string]struct {
		change func(*Page)
		says   string
	}{
		"topic's":    {func(p *Page) { p.Topic = p.Command.Name }, "has 1 lines {{COMMANDS}}; 0 is needed"},
		"no marker":  {func(p *Page) { p.Text = strings.Replace(p.Text, Marker, "", 1) }, "has 0 lines {{COMMANDS}}"},
		"two":        {func(p *Page) { p.Text += "\n" + Marker + "\n" }, "has 2 lines {{COMMANDS}}"},
		"in a line":  {func(p *Page) { p.Text = strings.Replace(p.Text, Marker, "see "+Marker, 1) }, "has 0 lines"},
		"no NAME":    {func(p *Page) { p.Text = "# DESCRIPTION\n" + p.Text }, `begins with "# DESCRIPTION"`},
		"other name": {func(p *Page) { p.Command.Name = "other" }, `no line "other - DESCRIPTION"`},
		"no date":    {func(p *Page) { p.Date = time.Time{} }, "no date"},
		"no version": {func(p *Page) { p.Version = "" }, "no version"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := page(t, "fake-flags")
			test.change(&p)
			_, err := p.Man()
			if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), p.Command.Name) {
				t.Errorf("error %v, want one that names the command and says %q", err, test.says)
			}
		})
	}
}

func TestMarkerAtTheEnd(t *testing.T) {
	p := page(t, "fake-flags")
	p.Text = strings.TrimRight(p.Text, "\n") // an editor that ends files without a newline
	got, err := p.Man()
	if err != nil || !strings.Contains(string(got), "environment") {
		t.Errorf("the reference is missing (%v):\n%s", err, got)
	}
}

func TestCompletion(t *testing.T) {
	for _, name := range []string{"fake-server", "fake-flags", "fake-cobra", "fake-kingpin"} {
		t.Run(name, func(t *testing.T) {
			golden.Check(t, name+".bash", string(Completion(explore(t, "testdata/"+name, name))))
			checkShell(t, filepath.Join("testdata", name+".bash"))
		})
	}
}

func checkShell(t *testing.T, file string) {
	t.Helper()
	if !run.Have("shellcheck") {
		t.Skip("NOT CHECKED: shellcheck is missing")
	}
	if out, err := run.New("shellcheck", "-s", "bash", "-o", "all", "-e", "SC2250,SC2312", file).Combined(t.Context()); err != nil {
		t.Errorf("shellcheck: %v\n%s", err, out)
	}
}

// TestCompletionWorks asks a bash without bash-completion.
func TestCompletionWorks(t *testing.T) {
	if !run.Have("bash") {
		t.Skip("NOT CHECKED: bash is missing")
	}
	dir := t.TempDir()
	for _, name := range []string{"a file", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ line, want string }{
		{"''", "bundle|fetch|run"},
		{"f", "fetch"},
		{"-", "-help|-version"},
		{"bundle ''", "set|show"},
		{"bundle set -s", "-socketPath"},
		{"bundle set --s", "--socketPath"},
		{"bundle set -format ''", "pem|spiffe"},
		{"bundle set -format = s", "spiffe"},
		{"bundle set --format =", "pem|spiffe"},
		{"fetch ''", "jwt"},
		{"fetch -", "-help|-socketPath"},
		{"fetch jwt -p", "-path"},
		{"run ''", "-help|-config|-dataDir|-logLevel|-q|-ttl"},
		{"run -config ''", "a file|b|dir"},
		{"run -config a", "a file"},
		{"run -dataDir ''", "dir"},
		{"run -logLevel e", "error"},
		{"run -ttl ''", ""},
		{"run -q ''", "-help|-config|-dataDir|-logLevel|-q|-ttl"},
		{"run -config bundle -d", "-dataDir"},
		{"nosuch x", ""},
		{"fake-cobra ''", "run|sign"},
		{"fake-cobra -", "--help|--debug|--version"},
		{"fake-cobra run --s", "--server|--skip"},
		{"fake-cobra run --auth =", "token|tls|off"},
		{"fake-cobra run -c a", "a file"},
		{"fake-cobra run --config-file = a", "a file"},
		{"fake-cobra sign all --", "--help|--key|--debug"},
	}
	for _, test := range tests {
		t.Run(test.line, func(t *testing.T) {
			line := test.line
			if !strings.HasPrefix(line, "fake-") {
				line = "fake-server " + line
			}
			program, _, _ := strings.Cut(line, " ")
			script, _ := filepath.Abs("testdata/" + program + ".bash")
			ask := "set -eu; . " + script + "; COMP_WORDS=(" + line + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _" + strings.ReplaceAll(program, "-", "_") + " || true; IFS='|'; echo \"${COMPREPLY[*]-}\""
			got, err := run.New("bash", "--norc", "--noprofile", "-c", ask).In(dir).WithEnv("LC_ALL=C").Output(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if words := strings.Split(got, "|"); strings.Contains(test.line, "-config") {
				slices.Sort(words) // files come as the file system has them
				got = strings.Join(words, "|")
			}
			if got != test.want {
				t.Errorf("completes to %q, want %q", got, test.want)
			}
		})
	}
}

// What is no command has its text alone.
func TestTopic(t *testing.T) {
	page, err := Page{Topic: "word", Text: "# NAME\n\nword - a plugin\n\n# FILES\n\nNone.\n", Section: 7, Title: "Fake", Version: "1.2.3", Date: time.Unix(0, 0)}.Man()
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	if !strings.Contains(text, ".TH WORD 7 ") || !strings.Contains(text, ".SH FILES") || strings.Contains(text, "SYNOPSIS") || strings.Contains(text, "OPTIONS") {
		t.Errorf("the page:\n%s", text)
	}
}
