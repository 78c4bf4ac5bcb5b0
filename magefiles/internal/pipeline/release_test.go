package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/hub/hubtest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/record"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// errTouched is what the key says here when it is asked for.
var errTouched = errors.New("the key was touched")

func untouched(context.Context, artifact.Tree) (*sign.Signer, error) { return nil, errTouched }

// digestsOf are those of all files of all machines, as builds on others would
// have found them.
func digestsOf(t *testing.T, o Options) string {
	t.Helper()
	var all strings.Builder
	for _, arch := range o.Arches {
		files, err := artifact.Sums(filepath.Join(o.Prebuilt, arch))
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(Result{Files: files}.Digests())
	}
	return all.String()
}

// Any job of a run can change what another one has left. Whatever it changes, the
// one that signs refuses it by name, and does not even open the key.
func TestPoisoned(t *testing.T) {
	replace := func(name string) func(*testing.T, string) {
		return func(t *testing.T, prebuilt string) {
			for _, arch := range []string{"amd64", "arm64"} {
				if file := filepath.Join(prebuilt, arch, name); exists(file) {
					put(t, file, "poisoned")
					list(t, filepath.Dir(file))
				}
			}
		}
	}
	for name, c := range map[string]struct {
		poison func(t *testing.T, prebuilt string)
		want   []string
	}{
		"nothing": {func(*testing.T, string) {}, []string{errTouched.Error()}},
		"a surplus file": {func(t *testing.T, prebuilt string) {
			put(t, filepath.Join(prebuilt, "amd64", "extra_1.13.3-2_amd64.deb"), "poisoned")
			list(t, filepath.Join(prebuilt, "amd64"))
		}, []string{"amd64/extra_1.13.3-2_amd64.deb is not one of the files of spire 1.13.3-2 for amd64, arm64"}},
		"a surplus file that is not listed": {func(t *testing.T, prebuilt string) {
			put(t, filepath.Join(prebuilt, "amd64", "extra"), "poisoned")
		}, []string{"amd64/extra is not one of the files of spire 1.13.3-2"}},
		"a replaced package, with its sums": {
			replace("spire-agent_1.13.3-2_amd64.deb"),
			[]string{"spire-agent_1.13.3-2_amd64.deb has the SHA-256 ", ", and the build on another machine made "},
		},
		"a list of contents is missing": {func(t *testing.T, prebuilt string) {
			if err := os.Remove(filepath.Join(prebuilt, "arm64", "spire-agent_1.13.3-2_arm64.deb.cdx.json")); err != nil {
				t.Fatal(err)
			}
			list(t, filepath.Join(prebuilt, "arm64"))
		}, []string{"spire 1.13.3 lacks spire-agent_1.13.3-2_arm64.deb.cdx.json"}},
		"the record of a version that nobody knows": {forge(func(made *record.Record) {
			made.Tree.Version, made.Tree.Sum, made.Tree.Commit = "1.13.99", "h1:forged", strings.Repeat("f", 40)
		}), []string{`amd64 was, by its record, built from version "1.13.99", not 1.13.3`}},
		"the record of another toolchain": {forge(func(made *record.Record) {
			made.Toolchain = "go1.0"
		}), []string{`spire_1.13.3-2_amd64.build.json is not the record of a build from this checkout: it says toolchain "go1.0", and it is "go1.`}},
		"the record of another C compiler": {forge(func(made *record.Record) {
			made.Unpinned, made.Tools = "this machine has gcc-12 none instead of 12.2.0", nil
		}), []string{`it says why another C compiler was taken "this machine has gcc-12 none instead of 12.2.0", and it is ""`}},
		"the record of no C compiler": {forge(func(made *record.Record) {
			made.Machine, made.Tools = "", nil
		}), []string{`it says C compiler's packages "map[]", and it is "map[`}},
		"the record of other flags": {forge(func(made *record.Record) {
			made.Flags = append(made.Flags, "-overlay=x")
		}), []string{`it says flags `, "-overlay=x"}},
		"the record of another module": {forge(func(made *record.Record) {
			made.Tree.Module = "example.org/spire"
		}), []string{`it says module "example.org/spire"`}},
		"a changed archive of the source package": {
			replace("spire_1.13.3-2.debian.tar.xz"),
			[]string{"spire_1.13.3-2.debian.tar.xz has the SHA-256 ", ", and the build on another machine made "},
		},
		"a package of a foreign name": {func(t *testing.T, prebuilt string) {
			put(t, filepath.Join(prebuilt, "amd64", "sudo_99.0.0-1_all.deb"), "poisoned")
			list(t, filepath.Join(prebuilt, "amd64"))
		}, []string{"amd64/sudo_99.0.0-1_all.deb is not one of the files of spire 1.13.3-2"}},
		"a folder of another architecture": {func(t *testing.T, prebuilt string) {
			dir := filepath.Join(prebuilt, "riscv64")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(dir, "spire-agent_1.13.3-2_riscv64.deb"), "poisoned")
			list(t, dir)
		}, []string{"riscv64/spire-agent_1.13.3-2_riscv64.deb is not one of the files of spire 1.13.3-2"}},
		"a folder without a list": {func(t *testing.T, prebuilt string) {
			if err := os.Mkdir(filepath.Join(prebuilt, "x"), 0o755); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(prebuilt, "x", "sudo_99.0.0-1_all.deb"), "poisoned")
		}, []string{"x/sudo_99.0.0-1_all.deb is not one of the files"}},
		"a link": {func(t *testing.T, prebuilt string) {
			file := filepath.Join(prebuilt, "amd64", "spire-agent_1.13.3-2_amd64.deb")
			if err := errors.Join(os.Rename(file, file+".old"), os.Symlink(file+".old", file)); err != nil {
				t.Fatal(err)
			}
		}, []string{"spire-agent_1.13.3-2_amd64.deb is no file"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, o := machines(t, "1.13.3")
			o.Rebuilt = digestsOf(t, o)
			c.poison(t, o.Prebuilt)
			if strings.HasPrefix(name, "the record of") {
				o.Rebuilt = digestsOf(t, o) // by the records alone
			}
			_, err := p.Sign(t.Context(), o, untouched, Builder{ID: "a workflow"}, "")
			if err == nil {
				t.Fatal("it was signed")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
			if name != "nothing" && errors.Is(err, errTouched) {
				t.Error(err)
			}
			t.Log(err)
		})
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// forge changes the record of the build for amd64.
func forge(change func(*record.Record)) func(*testing.T, string) {
	return func(t *testing.T, prebuilt string) {
		t.Helper()
		b, err := real(t).load(Options{Version: "1.13.3"})
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(prebuilt, "amd64")
		recorded(t, b, filepath.Join(dir, record.Name(b.source, "1.13.3", "amd64")), "amd64", change)
		list(t, dir)
	}
}

// outputs are digests as a workflow has them of two machines, and of one that there
// is not.
func outputs(t *testing.T, digests string) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(digests), "\n")
	half := len(lines) / 2
	text, err := json.MarshalIndent(map[string]string{
		"amd64": strings.Join(lines[:half], " "), "arm64": strings.Join(lines[half:], " "), "riscv64": "",
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// What one machine alone says is not signed where it could be another's.
func TestUnvouched(t *testing.T) {
	p, o := machines(t, "1.13.3")
	vouched := digestsOf(t, o)
	for name, c := range map[string]struct{ rebuilt, want string }{
		"nothing":          {"", "give those that `vouch` prints there, in SPIRE_REBUILT"},
		"an odd word":      {vouched + " x", "words, and each digest has one name"},
		"no digest":        {"x y", `SPIRE_REBUILT: "x  y" is not a line of a checksum list`},
		"a path":           {strings.Replace(vouched, "  ", "  ../", 1), "is not a line of a checksum list"},
		"two machines":     {vouched + strings.Repeat("0", 64) + " spire_1.13.3-2.dsc", "two digests of spire_1.13.3-2.dsc"},
		"one architecture": {strings.Split(vouched, "\n")[0], "was not made by the build on another machine"},
		"on one line":      {strings.ReplaceAll(vouched, "\n", " "), errTouched.Error()},
		"a job's outputs":  {outputs(t, vouched), errTouched.Error()},
		"other JSON":       {`{"amd64": 1}`, "SPIRE_REBUILT is no JSON object of texts"},
	} {
		o.Rebuilt = c.rebuilt
		if _, err := p.Sign(t.Context(), o, untouched, Builder{}, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	o.Rebuilt = ""
	if _, err := p.Vouch(t.Context(), o); err == nil || !strings.Contains(err.Error(), "says nothing new about itself") {
		t.Errorf("vouching for what others have built: %v", err)
	}
}

// Where upstream's tag is another commit than the one that the files say they are
// of, nothing is signed, and the key is not even opened.
func TestUnconfirmed(t *testing.T) {
	const pinned, other = "191c76b489656502ff946afb486b47b83a376e81", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	for name, c := range map[string]struct {
		tags map[string]string
		want string
	}{
		"another commit": {map[string]string{"v1.13.3": other}, "nothing is signed: 1.13.3: upstream's tag v1.13.3 is the commit " + other + ", but"},
		"no tag":         {map[string]string{"v1.13.2": pinned}, "nothing is signed: upstream has no tag v1.13.3"},
		"the same":       {map[string]string{"v1.13.3": pinned}, errTouched.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			server := hubtest.New(t)
			for tag, commit := range c.tags {
				server.SetTag("spiffe/spire", tag, commit)
			}
			theirs, err := hub.Open(hub.Settings{API: server.API(), Server: server.URL()}, "spiffe/spire")
			if err != nil {
				t.Fatal(err)
			}
			p, o := machines(t, "1.13.3")
			o.Rebuilt = digestsOf(t, o)
			_, err = p.Sign(t.Context(), o, Confirmed(theirs, untouched), Builder{ID: "a workflow"}, "")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if name != "the same" && errors.Is(err, errTouched) {
				t.Error(err)
			}
			if exists(filepath.Join(string(p.Dist), "signed")) {
				t.Error("something was signed")
			}
		})
	}
}
