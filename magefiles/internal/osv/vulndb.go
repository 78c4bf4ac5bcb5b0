package osv

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/mod/semver"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// vulndbModule is what Go's own database of vulnerabilities is made of. It is for machines that
// reach the module proxy and nothing else: nothing in it is about what is not Go.
const vulndbModule = "golang.org/x/vulndb"

// Vulndb is that database, as a version of the module has it.
type Vulndb struct {
	Version string
	records []record
	texts   map[string][]byte // of the records, by id
}

// FetchVulndb downloads the newest version of the module, verified as all modules are.
func FetchVulndb(ctx context.Context) (*Vulndb, error) {
	said, err := run.New("go", "mod", "download", "-json", vulndbModule+"@latest").In(os.TempDir()).Output(ctx)
	var got struct{ Dir, Version, Error string }
	if json.Unmarshal([]byte(said), &got) == nil && got.Error != "" {
		err = fmt.Errorf("%s", got.Error)
	}
	if err != nil {
		return nil, fmt.Errorf("downloading %s: %w", vulndbModule, err)
	}
	d := &Vulndb{Version: got.Version, texts: map[string][]byte{}}
	files, err := filepath.Glob(filepath.Join(got.Dir, "data", "osv", "*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%s@%s has no data/osv", vulndbModule, got.Version)
	}
	for _, file := range files {
		err = cmp.Or(err, d.read(file))
	}
	return d, err
}

func (d *Vulndb) read(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var one record
	if err := json.Unmarshal(content, &one); err != nil {
		return fmt.Errorf("%s is no advisory: %w", filepath.Base(file), err)
	}
	if !idForm.MatchString(one.ID) {
		return fmt.Errorf("%s is no advisory: its id is %.40q", filepath.Base(file), one.ID)
	}
	if one.Withdrawn == "" {
		d.records, d.texts[one.ID] = append(d.records, one), content
	}
	return nil
}

// Ask gives the vulnerabilities that each of the packages has. Of those that are not Go's it
// knows nothing: Knows says of which.
func (d *Vulndb) Ask(_ context.Context, packages []Package) (map[Package][]Advisory, error) {
	found := map[Package][]Advisory{}
	for _, one := range packages {
		for _, r := range d.records {
			if d.Knows(one) && r.affects(one) {
				found[one] = append(found[one], r.of(one))
			}
		}
	}
	return found, nil
}

// Knows says whether it is about such packages at all.
func (*Vulndb) Knows(p Package) bool { return p.Ecosystem == "Go" }

// affects says whether a version of a package is in one of the record's ranges.
func (r record) affects(p Package) bool {
	for _, affected := range r.Affected {
		if affected.Package.Name != p.Name || affected.Package.Ecosystem != p.Ecosystem {
			continue
		}
		for _, span := range affected.Ranges {
			in := false
			for _, event := range span.Events {
				switch {
				case event.Introduced != "" && (event.Introduced == "0" || !before(p.Version, event.Introduced)):
					in = true
				case event.Fixed != "" && !before(p.Version, event.Fixed):
					in = false
				}
			}
			if in {
				return true
			}
		}
	}
	return false
}

// before compares versions as the database writes them, without a v.
func before(a, b string) bool { return semver.Compare("v"+a, "v"+b) < 0 }

type (
	moduleIndex struct {
		Path  string       `json:"path"`
		Vulns []indexEntry `json:"vulns"`
	}
	indexEntry struct {
		ID       string `json:"id"`
		Modified string `json:"modified"`
		Fixed    string `json:"fixed,omitempty"`
	}
)

// Write writes it into a folder in the form in which govulncheck reads it, as a file:// address
// (https://go.dev/doc/security/vuln/database).
func (d *Vulndb) Write(dir string) error {
	modules, entries := map[string]*moduleIndex{}, []indexEntry{}
	stamp := time.Unix(0, 0).UTC().Format(time.RFC3339) // the module says no times
	for _, r := range d.records {
		if err := artifact.WriteBytes(filepath.Join(dir, "ID", r.ID+".json"), 0o644, d.texts[r.ID]); err != nil {
			return err
		}
		entries = append(entries, indexEntry{ID: r.ID, Modified: stamp})
		for _, affected := range r.Affected {
			name := affected.Package.Name
			if modules[name] == nil {
				modules[name] = &moduleIndex{Path: name}
			}
			entry := indexEntry{r.ID, stamp, r.lastFix(name)}
			if of := modules[name]; !slices.Contains(of.Vulns, entry) {
				of.Vulns = append(of.Vulns, entry)
			}
		}
	}
	list := []*moduleIndex{}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		list = append(list, modules[name])
	}
	for name, value := range map[string]any{"db": map[string]string{"modified": stamp}, "vulns": entries, "modules": list} {
		content, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("writing the database: %w", err)
		}
		if err := artifact.WriteBytes(filepath.Join(dir, "index", name+".json"), 0o644, content); err != nil {
			return err
		}
	}
	return nil
}

// lastFix is the latest version that mends it in a module; empty where a version after it is
// affected too.
func (r record) lastFix(module string) (last string) {
	for _, affected := range r.Affected {
		if affected.Package.Name != module {
			continue
		}
		for _, span := range affected.Ranges {
			if n := len(span.Events); n == 0 || span.Events[n-1].Fixed == "" {
				return ""
			}
			for _, event := range span.Events {
				if event.Fixed != "" && (last == "" || before(last, event.Fixed)) {
					last = event.Fixed
				}
			}
		}
	}
	return last
}
