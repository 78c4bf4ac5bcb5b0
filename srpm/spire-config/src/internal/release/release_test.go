package release

import (
	"strings"
	"testing"
)

func parse(t *testing.T, text string) Version {
	t.Helper()
	version, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return version
}

func TestServer(t *testing.T) {
	for _, test := range []struct{ from, to, words string }{
		{"1.14.5", "1.14.6", ""},
		{"1.14.5", "1.14.0", ""},
		{"1.13.2", "1.14.5", ""},
		{"1.14.5", "1.13.2", ""},
		{"1.12.0", "1.14.5", "upgrade to 1.13 first"},
		{"1.14.5", "1.12.0", "by none that is older"},
	} {
		check(t, test.from+" to "+test.to, Server(parse(t, test.from), parse(t, test.to)), test.words)
	}
}

func TestAgent(t *testing.T) {
	for _, test := range []struct{ agent, server, words string }{
		{"1.14.5", "1.14.0", ""},
		{"1.13.2", "1.14.0", ""},
		{"1.14.0", "1.13.9", "is newer than its server"},
		{"1.12.0", "1.14.0", "2 minor versions older"},
	} {
		check(t, test.agent+" with "+test.server, Agent(parse(t, test.agent), parse(t, test.server)), test.words)
	}
}

func check(t *testing.T, name string, err error, words string) {
	t.Helper()
	if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
		t.Errorf("%s: %v, want %q", name, err, words)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]Version{"1.14.5": {1, 14, 5}, "v1.15.0-dev": {1, 15, 0}, "1.14.5-2~deb": {1, 14, 5}} {
		if got := parse(t, text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "1.14", "1.x.0", "1.-1.0"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is a version", text)
		}
	}
}
