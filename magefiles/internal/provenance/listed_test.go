package provenance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is read is what is written.
func TestReadBill(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", "spire-server_1.2.3-1_amd64.deb.cdx.golden"))
	if err != nil {
		t.Fatal(err)
	}
	bill, err := ReadBill(content)
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2025, 10, 23, 12, 39, 57, 0, time.UTC); bill.Version != "1.2.3-1" || bill.PURL != "pkg:deb/spire-packages/spire-server@1.2.3-1?arch=amd64" || !bill.Time.Equal(want) {
		t.Errorf("it is of %q, %s, %s", bill.Version, bill.PURL, bill.Time)
	}
	for _, part := range []Part{
		{"example.org/New/v2", "v2.0.1", "pkg:golang/example.org/new/v2@v2.0.1", true},
		{"stdlib", "1.26.8", "pkg:golang/stdlib@1.26.8", true},
		{"musl", "1.2.3", "pkg:generic/musl@1.2.3", false},
		{"sqlite3", "3.50.4", "pkg:generic/sqlite3@3.50.4", false},
	} {
		if !slices.Contains(bill.Parts, part) {
			t.Errorf("it lacks %v: %v", part, bill.Parts)
		}
	}
	if slices.ContainsFunc(bill.Parts, func(p Part) bool { return strings.HasPrefix(p.Name, "/") }) {
		t.Error("a file is taken for a part")
	}
	if content, err = os.ReadFile(filepath.Join("testdata", "spire-release-1-1.noarch.rpm.cdx.golden")); err != nil {
		t.Fatal(err)
	}
	if bill, err = ReadBill(content); err != nil || len(bill.Parts) > 0 || bill.Version != "1-1" {
		t.Errorf("a package without a program: %+v, %v", bill, err)
	}
	another := strings.Replace(string(content), `"assemblies": [
        "pkg:rpm`, `"assemblies": [
        "pkg:other`, 1)
	for text, want := range map[string]string{another: "of no package", "{": "reading an SBOM", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}`: "of no package"} {
		if _, err := ReadBill([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
