package setup

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-config/internal/layout"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

func says(t *testing.T, err error, words string) {
	t.Helper()
	if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
		t.Fatalf("error %v, want %q", err, words)
	}
}

func TestInit(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	before := bed.Read(bed.ServerConfig())
	asked := Server{TrustDomain: "prod.test", Address: "spire.prod.test", Port: 18443}
	says(t, asked.Run(t.Context(), bed.Machine), "")
	want := before
	for old, new := range map[string]string{`"example.org"`: `"prod.test"`, `"127.0.0.1"`: `"0.0.0.0"`, `"8081"`: `"18443"`} {
		want = strings.Replace(want, "= "+old, "= "+new, 1)
	}
	if diff := cmp.Diff(want, bed.Read(bed.ServerConfig())); diff != "" {
		t.Error(diff)
	}
	if kept := bed.Read(bed.ServerConfig() + ".before-spire-config"); kept != before {
		t.Error("the former configuration was not kept")
	}
	files := bed.Snapshot()
	bed.Out.Reset()
	says(t, asked.Run(t.Context(), bed.Machine), "")
	if diff := cmp.Diff(files, bed.Snapshot()); diff != "" || !strings.Contains(bed.Out.String(), "nothing to change") {
		t.Errorf("twice is not once: %s %s", diff, bed.Out)
	}
	if len(bed.Systemd.Calls) > 0 {
		t.Errorf("nothing was to be started: %v", bed.Systemd.Calls)
	}
}

func TestStart(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	asked := Server{TrustDomain: "prod.test", Port: testbed.FreePort(t), Start: true}
	for range 2 {
		says(t, asked.Run(t.Context(), bed.Machine), "")
	}
	want := []string{"daemon-reload", "enable " + layout.ServerUnit, "restart " + layout.ServerUnit}
	if diff := cmp.Diff(want, bed.Systemd.Calls); diff != "" {
		t.Error(diff)
	}
	says(t, Server{TrustDomain: "other.test"}.Run(t.Context(), bed.Machine), "this server is of the trust domain prod.test already")
}

func TestRefusals(t *testing.T) {
	testbed.Programs(t)
	for name, test := range map[string]struct {
		asked Server
		spoil func(*testbed.Bed)
		words string
	}{
		"no trust domain":         {asked: Server{TrustDomain: "a b"}, words: `trust domain "a b"`},
		"no port":                 {asked: Server{TrustDomain: "prod.test", Port: 70000}, words: "want one from 1 to 65535"},
		"no address":              {asked: Server{TrustDomain: "prod.test", Address: `a"b`}, words: "no name or address"},
		"keys of another":         {asked: Server{TrustDomain: "prod.test"}, spoil: func(b *testbed.Bed) { b.Write(filepath.Join(b.ServerState(""), "keys.json"), 0o600, "{}") }, words: "cannot be renamed"},
		"a configuration as JSON": {asked: Server{TrustDomain: "prod.test"}, spoil: func(b *testbed.Bed) { b.Write(b.ServerConfig(), 0o644, `{"server": {}}`) }, words: "it is JSON"},
		"not valid otherwise":     {asked: Server{TrustDomain: "prod.test"}, spoil: func(b *testbed.Bed) { b.Replace(b.ServerConfig(), `"INFO"`, `"LOUD"`) }, words: "spire-server validate refuses the configuration"},
	} {
		t.Run(name, func(t *testing.T) {
			bed := testbed.New(t)
			if test.spoil != nil {
				test.spoil(bed)
			}
			before := bed.Snapshot()
			says(t, test.asked.Run(t.Context(), bed.Machine), test.words)
			if diff := cmp.Diff(before, bed.Snapshot()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDryRun(t *testing.T) {
	bed := testbed.New(t)
	bed.DryRun = true
	before := bed.Snapshot()
	says(t, Server{TrustDomain: "prod.test", Start: true}.Run(t.Context(), bed.Machine), "")
	for _, words := range []string{"+    trust_domain = \"prod.test\"\n", "would enable and start spire-server.service\n"} {
		if !strings.Contains(bed.Out.String(), words) {
			t.Errorf("it does not show %q:\n%s", words, bed.Out)
		}
	}
	if diff := cmp.Diff(before, bed.Snapshot()); diff != "" || len(bed.Systemd.Calls) > 0 {
		t.Errorf("a dry run changes something: %s %v", diff, bed.Systemd.Calls)
	}
}

func TestReached(t *testing.T) {
	for address, want := range map[string]string{"": "HOST", "0.0.0.0": "HOST", "::": "HOST", "spire.prod.test": "spire.prod.test", "192.0.2.1": "192.0.2.1"} {
		if got := (Server{Address: address}).reached(); got != want {
			t.Errorf("%q: %s, want %s", address, got, want)
		}
	}
}

func TestBindAddress(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1":       "127.0.0.1",
		"0.0.0.0":         "0.0.0.0",
		"::":              "::",
		"spire.prod.test": "0.0.0.0",
		// Behind a translation of addresses.
		"192.0.2.1": "0.0.0.0",
	} {
		if got := BindAddress(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
