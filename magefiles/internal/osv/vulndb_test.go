package osv

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// made is a database of one record that is so, and of one that was withdrawn.
func made(t *testing.T) *Vulndb {
	t.Helper()
	d := &Vulndb{texts: map[string][]byte{}}
	for name, text := range map[string]string{
		"GO-1": `{"id":"GO-1","aliases":["CVE-1"],"affected":[
			{"package":{"name":"m","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"},{"introduced":"1.3.0-rc1"},{"fixed":"1.3.4"}]}]},
			{"package":{"name":"m/v2","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"2.1.0"}]}]}]}`,
		"GO-2": `{"id":"GO-2","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"name":"m","ecosystem":"Go"},"ranges":[{"events":[{"introduced":"0"}]}]}]}`,
	} {
		file := filepath.Join(t.TempDir(), name+".json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.read(file); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestVulndb(t *testing.T) {
	d := made(t)
	for p, hit := range map[Package]bool{
		{"Go", "m", "0.0.1"}: true, {"Go", "m", "1.1.9"}: true, {"Go", "m", "1.2.0"}: false, {"Go", "m", "1.2.9"}: false,
		{"Go", "m", "1.3.0-rc1"}: true, {"Go", "m", "1.3.3"}: true, {"Go", "m", "1.3.4"}: false, {"Go", "m", "1.10.0"}: false,
		{"Go", "m/v2", "2.0.9"}: false, {"Go", "m/v2", "2.10.0"}: true, {"Go", "other", "1.0.0"}: false, {"Alpine", "m", "1.0.0"}: false,
	} {
		found, err := d.Ask(t.Context(), []Package{p})
		if err != nil || (len(found[p]) == 1) != hit {
			t.Errorf("%v: %v, %v", p, found, err)
		}
	}
	found, _ := d.Ask(t.Context(), []Package{{"Go", "m", "1.0.0"}})
	want := Advisory{ID: "GO-1", Aliases: []string{"CVE-1"}, Fixed: []string{"1.2.0", "1.3.4"}}
	if diff := cmp.Diff(want, found[Package{"Go", "m", "1.0.0"}][0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// govulncheck finds the modules in the index, and fixed only what every range ends by.
func TestVulndbWritten(t *testing.T) {
	dir := t.TempDir()
	if err := made(t).Write(dir); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "index", "modules.json"))
	var modules []moduleIndex
	if err == nil {
		err = json.Unmarshal(content, &modules)
	}
	const never = "1970-01-01T00:00:00Z"
	want := []moduleIndex{{"m", []indexEntry{{"GO-1", never, "1.3.4"}}}, {"m/v2", []indexEntry{{"GO-1", never, ""}}}}
	if diff := cmp.Diff(want, modules); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for name, there := range map[string]bool{"ID/GO-1.json": true, "ID/GO-2.json": false, "index/db.json": true, "index/vulns.json": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is no advisory is no advisory without a vulnerability.
func TestVulndbRefused(t *testing.T) {
	for text, want := range map[string]string{"{": "GO-1.json is no advisory: unexpected end", `{"id":"../x"}`: `GO-1.json is no advisory: its id is "../x"`} {
		file := filepath.Join(t.TempDir(), "GO-1.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (&Vulndb{}).read(file); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
