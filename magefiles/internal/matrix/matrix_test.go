package matrix

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
)

const good = `
- name: debian-12
  format: deb
  image: {suite: bookworm, packages: [systemd, ca-certificates]}
  architectures: [amd64]
  tier: blocking
  end-of-life: 2028-06-30
`

func TestParse(t *testing.T) {
	rows, err := Parse([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	got := rows[0]
	if got.Name != "debian-12" || got.Format != pkgdef.Deb || got.Tier != Blocking || got.Image.Suite != "bookworm" ||
		!slices.Equal(got.Image.Packages, []string{"systemd", "ca-certificates"}) ||
		!got.EndOfLife.Equal(time.Date(2028, 6, 30, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("parsed %+v", got)
	}
}

func TestParseRefuses(t *testing.T) {
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the good row holds no %q", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, test := range map[string]struct{ text, want string }{
		"empty file":        {"", "there is no row"},
		"no row":            {"[]", "there is no row"},
		"unknown key":       {replace("tier:", "teir:"), "field teir not found"},
		"unknown image key": {replace("suite:", "siute:"), "field siute not found"},
		"same name twice":   {good + good, `the name "debian-12" is taken`},
		"name with a slash": {replace("debian-12", "../x"), `name "../x"`},
		"name with a space": {replace("debian-12", "a b"), `name "a b"`},
		"format":            {replace("deb\n", "apk\n"), `format "apk"`},
		"no suite":          {replace("suite: bookworm, ", ""), "a suite or a reference"},
		"suite and another": {replace("suite: bookworm", "suite: bookworm, reference: debian:12"), "a suite or a reference"},
		"local host":        {replace("suite: bookworm", "reference: localhost/debian:12"), "is not of the form"},
		"host and port":     {replace("suite: bookworm", "reference: 'mirror:5000/debian:12'"), "is not of the form"},
		"scheme":            {replace("suite: bookworm", "reference: 'docker://debian:12'"), "is not of the form"},
		"host alone":        {replace("suite: bookworm", "reference: 'registry.example/:12'"), "is not of the form"},
		"pin of a suite":    {replace("suite: bookworm", "suite: bookworm, digest: 'sha256:"+strings.Repeat("a", 64)+"'"), "is not of the form sha256"},
		"short pin":         {replace("suite: bookworm", "reference: debian:12, digest: 'sha256:aa'"), "is not of the form sha256"},
		"no tag":            {replace("suite: bookworm", "reference: debian"), `reference "debian" is not`},
		"digest":            {replace("suite: bookworm", "reference: 'debian@sha256:12'"), `reference "debian@sha256:12" is not`},
		"reference, option": {replace("suite: bookworm", "reference: '--x:1'"), `reference "--x:1" is not`},
		"pulled stand-in":   {replace("suite: bookworm", "reference: debian:12, stand-in: true"), "belong to a suite"},
		"pulled of any age": {replace("suite: bookworm", "reference: debian:12, any-age: true"), "belong to a suite"},
		"suite as option":   {replace("bookworm", "--x"), `suite "--x"`},
		"package as option": {replace("systemd", "--hook=x"), `"--hook=x" is not a package`},
		"two in one":        {replace("systemd", `"a,b"`), `"a,b" is not a package`},
		"no architecture":   {replace("[amd64]", "[]"), "there is no architecture"},
		"architecture":      {replace("amd64", "x86_64"), `architecture "x86_64"`},
		"tier":              {replace("blocking", "maybe"), `tier "maybe"`},
		"no end of life":    {replace("  end-of-life: 2028-06-30\n", ""), "no end-of-life"},
		"end of life":       {replace("2028-06-30", "soon"), `"soon" is neither a day`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestRows reads the real file, so that a bad edit is found without Docker.
func TestRows(t *testing.T) {
	rows, err := Load("../../../tests/distros.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.Format == pkgdef.RPM && row.Image.Suite != "" && !row.Image.StandIn {
			t.Errorf("%s: an rpm row made from a Debian suite is a stand-in", row.Name)
		}
	}
}

func TestEnded(t *testing.T) {
	var rows []Distribution
	for name, day := range map[string]string{"a": "2026-11-24", "b": "2026-11-25", "c": "rolling"} {
		row := Distribution{Name: name}
		if err := yaml.Unmarshal([]byte(day), &row.EndOfLife); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b Distribution) int { return strings.Compare(a.Name, b.Name) })
	for now, want := range map[string]string{
		"2026-11-24T23:59:59Z": "",
		"2026-11-25T00:00:00Z": "row a: support ended on 2026-11-24",
		"2026-11-25T23:59:59Z": "row a: support ended on 2026-11-24",
		"2026-11-26T00:00:00Z": "row b: support ended on 2026-11-25",
		"2099-01-01T00:00:00Z": "row a: support ended on 2026-11-24",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		err = Ended(rows, at)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("on %s: %v, want %q", now, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "row c") {
			t.Errorf("on %s: %v, but c goes on", now, err)
		}
	}
}

// The newest of each distribution is its row that is supported longest, wherever it is
// in the file.
func TestNewest(t *testing.T) {
	row := func(name, end string, tier Tier, standIn bool, arches ...string) Distribution {
		r := Distribution{Name: name, Tier: tier, Architectures: arches, Image: Image{StandIn: standIn}}
		if err := yaml.Unmarshal([]byte(end), &r.EndOfLife); err != nil {
			t.Fatal(err)
		}
		return r
	}
	rows := []Distribution{
		row("debian-13", "2030-06-30", Blocking, false, "amd64", "arm64"),
		row("debian-12", "2028-06-30", Blocking, false, "amd64", "arm64"),
		row("debian-sid", "rolling", Informing, false, "amd64"),
		row("opensuse-leap-15.6", "2026-04-30", Blocking, false, "amd64"),
		row("opensuse-leap-16.0", "2027-10-31", Blocking, false, "amd64"),
		row("opensuse-tumbleweed", "rolling", Informing, false, "amd64"),
		row("rpm-4.20", "2030-06-30", Blocking, true, "amd64", "arm64"),
		row("debian-13-services", "2031-06-30", Blocking, false, "amd64"),
	}
	rows[len(rows)-1].Scenarios = []string{"extras"}
	for arch, want := range map[string]string{"amd64": "debian-13 opensuse-leap-16.0", "arm64": "debian-13-arm64"} {
		var got []string
		for _, place := range Newest(rows, arch) {
			got = append(got, place.Name())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", arch, got, want)
		}
	}
}

// A visitor meets each family, on what the real file has of it.
func TestNewestOfAll(t *testing.T) {
	rows, err := Load("../../../tests/distros.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]int{}
	for _, place := range Newest(rows, "amd64") {
		known[distribution.FindString(place.Distribution.Name)]++
	}
	for _, name := range []string{"debian", "ubuntu", "fedora", "centos", "ubi", "opensuse"} {
		if known[name] != 1 {
			t.Errorf("%d rows of %s", known[name], name)
		}
	}
}

// TestJobs shows every target of the real file.
func TestJobs(t *testing.T) {
	rows, err := Load("../../../tests/distros.yaml")
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := Jobs(rows)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "matrix.golden", strings.ReplaceAll(string(jobs), "},", "},\n")+"\n")
}

// What is released for an architecture was tested on it, each format.
func TestEveryArchitecture(t *testing.T) {
	rows, err := Load("../../../tests/distros.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, arch := range architecture.Names(architecture.All()) {
		for _, format := range Formats() {
			if !slices.ContainsFunc(rows, func(r Distribution) bool {
				return r.Format == format && r.Tier == Blocking && len(r.Scenarios) == 0 && slices.Contains(r.Architectures, arch)
			}) {
				t.Errorf("no row that blocks has the %s of %s", format, arch)
			}
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.yaml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("x: y"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("bad file: %v", err)
	}
}

// A scenario that a row alone plays is played nowhere else, and nothing else there.
func TestPlays(t *testing.T) {
	rows := []Distribution{{Name: "debian-13"}, {Name: "debian-13-services", Scenarios: []string{"extras"}}}
	special := Special(rows)
	for i, want := range []string{"fresh works", "extras"} {
		if got := strings.Join(rows[i].Plays([]string{"extras", "fresh", "works"}, special), " "); got != want {
			t.Errorf("%s plays %q, want %s", rows[i].Name, got, want)
		}
	}
	if got := rows[0].Plays([]string{"extras"}, special); len(got) != 0 {
		t.Errorf("%s plays %v", rows[0].Name, got)
	}
}

func TestSelect(t *testing.T) {
	files := []string{"d/a_1-1_amd64.deb", "d/a_1-1_arm64.deb", "d/a-1-1.x86_64.rpm", "d/a-1-1.aarch64.rpm", "d/b_1-1_all.deb", "d/b-1-1.noarch.rpm", "d/SHA256SUMS"}
	for _, test := range []struct {
		format string
		arch   string
		want   []string
	}{
		{pkgdef.Deb, "amd64", []string{files[0], files[4]}},
		{pkgdef.Deb, "arm64", []string{files[1], files[4]}},
		{pkgdef.RPM, "amd64", []string{files[2], files[5]}},
		{pkgdef.RPM, "arm64", []string{files[3], files[5]}},
		{pkgdef.Deb, "riscv64", files[4:5]},
	} {
		if got := (Distribution{Format: test.format}).Select(files, test.arch); !slices.Equal(got, test.want) {
			t.Errorf("%s %s: %v, want %v", test.format, test.arch, got, test.want)
		}
	}
}
