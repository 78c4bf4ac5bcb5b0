package repo

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/golden"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apt"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

func readerOf(t testing.TB, r Repository) reader { return reader{t, r.Dir, ours()} }

// packed is what another Go or another library may write otherwise.
var packed = regexp.MustCompile(`(?m)^ [0-9a-f]{64} [0-9]+ (main/\S+\.(gz|xz))$`)

func TestPublish(t *testing.T) {
	needs(t)
	r := newRepository(t)
	report := publish(t, r, day, append(signed(t, "1.13.3", 1), keyring(t, "1.0.0")...)...)
	if report.Unchanged || report.Resumed || !report.Until.Equal(days(14)) || len(report.Retired) > 0 {
		t.Errorf("the report is %+v", report)
	}
	var tree strings.Builder
	for _, name := range slices.Sorted(maps.Keys(snapshot(t, r.Dir))) {
		if !strings.Contains(name, "by-hash/SHA256/") && !strings.HasPrefix(name, "ledger/") && !strings.Contains(name, ".xml.gz") {
			fmt.Fprintln(&tree, name)
		}
	}
	golden.Check(t, "tree.golden", tree.String())
	for _, name := range []string{"main/binary-amd64/Packages", "main/source/Sources", "main/Contents-arm64", "Release"} {
		content, err := os.ReadFile(r.path(path.Join(dists, name)))
		must(t, err)
		golden.Check(t, path.Base(name)+".golden", packed.ReplaceAllString(string(content), " DIGEST SIZE $1"))
	}
	// Of the other architectures there are the keys alone.
	debs, rpms := readerOf(t, r).all()
	if others := len(architecture.All()) - 2; len(debs) != 3+3+others+4 || len(rpms) != 3+3+others+1 {
		t.Errorf("clients find %q and %q", debs, rpms)
	}
}

// Everything is readable for a web server, whatever the umask.
func TestModes(t *testing.T) {
	needs(t)
	r := newRepository(t)
	old := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(old) })
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	for name, what := range snapshot(t, r.Dir) {
		if what != "drwxr-xr-x" && !strings.HasPrefix(what, "-rw-r--r-- ") {
			t.Errorf("%s is %s", name, what)
		}
	}
}

// The same files at the same time give the same bytes, in whatever order and
// however often.
func TestReproducible(t *testing.T) {
	needs(t)
	one, two := newRepository(t), newRepository(t)
	older, newer := signed(t, "1.13.2", 1), signed(t, "1.13.3", 1)
	publish(t, one, day, older...)
	publish(t, one, days(1), newer...)
	reversed := slices.Clone(older)
	slices.Reverse(reversed)
	for _, file := range older { // their times are nobody's business
		must(t, os.Chtimes(file, days(7), days(7)))
	}
	publish(t, two, day, reversed...)
	publish(t, two, days(1), append(older, newer...)...)
	if diff := difference(snapshot(t, one.Dir), snapshot(t, two.Dir)); diff != "" {
		t.Error(diff)
	}
	report, err := two.Publish(t.Context(), Publication{Now: days(1), Refresh: true, Pages: pages})
	must(t, err)
	if report.Unchanged {
		t.Error("nothing was done")
	}
	if diff := difference(snapshot(t, one.Dir), snapshot(t, two.Dir)); diff != "" {
		t.Errorf("the same again: %s", diff)
	}
}

// twin is a copy of the repository, to go on with.
func twin(t testing.TB, r Repository) Repository {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dist", "repo")
	must(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	must(t, run.New("cp", "-a", r.Dir, dir).Run(t.Context()))
	r.Dir = dir
	return r
}

func TestUnchanged(t *testing.T) {
	needs(t)
	r := newRepository(t)
	files := signed(t, "1.13.3", 1)
	publish(t, r, day, files...)
	for name, test := range map[string]struct {
		days      int
		refresh   bool
		unchanged bool
	}{
		"at once":               {0, false, true},
		"half way":              {7, false, true},
		"less than 7 days left": {8, false, false},
		"on demand":             {1, true, false},
		"when it is too late":   {40, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := twin(t, r)
			before := snapshot(t, r.Dir)
			report, err := r.Publish(t.Context(), Publication{Files: files, Now: days(test.days), Refresh: test.refresh, Pages: pages})
			must(t, err)
			diff := difference(before, snapshot(t, r.Dir))
			if report.Unchanged != test.unchanged || test.unchanged != (diff == "") || len(report.Added) > 0 {
				t.Errorf("the report is %+v; changed is\n%s", report, diff)
			}
			if test.unchanged {
				test.days = 0
			}
			release, err := os.ReadFile(r.path(dists + "/Release"))
			must(t, err)
			if want := "Valid-Until: " + days(test.days+14).Format("Mon, 02 Jan 2006 15:04:05 UTC"); !strings.Contains(string(release), want) || !report.Until.Equal(days(test.days+14)) {
				t.Errorf("no %q in\n%s", want, release)
			}
			readerOf(t, r).all()
		})
	}
}

// Names are taken for ever, and nothing is written when something is wrong.
func TestRefused(t *testing.T) {
	needs(t)
	r := newRepository(t)
	published := signed(t, "1.13.3", 1)
	publish(t, r, day, published...)
	for name, test := range map[string]struct {
		change func(f *folder)
		want   []string
	}{
		"other bytes under a published name": {
			func(f *folder) { f.add("spire_1.13.3-1_amd64.buildinfo", []byte("other")) },
			[]string{sum([]byte("other")), sum([]byte("buildinfo 1.13.3-1")), "raise its release"},
		},
		"other checksums of a published version": {
			func(f *folder) {
				f.add("spire_1.13.3-1_arm64.buildinfo", []byte("late"))
				f.sums()
			},
			[]string{"files/1.13.3-1/SHA256SUMS was published with", "never changes"},
		},
		"a name of no form": {
			func(f *folder) { f.add("spire-agent_1.13.4_amd64.deb", nil) },
			[]string{`"spire-agent_1.13.4_amd64.deb" is not the name`},
		},
		"a version of no form": {
			func(f *folder) { f.add("spire-agent_1.13-1_amd64.deb", nil) },
			[]string{`version "1.13" is not of the form`},
		},
		"an unverified version": {
			func(f *folder) { f.add("spire-agent_1.13.4~unverified-1_amd64.deb", nil) },
			[]string{"is not the name of a file that is published"},
		},
		"a deb cut short": {
			func(f *folder) {
				deb := makeDeb(t, "spire-agent", "1.13.4-1", "amd64", "spire")
				f.add("spire-agent_1.13.4-1_amd64.deb", deb[:len(deb)/2])
			},
			[]string{"spire-agent_1.13.4-1_amd64.deb is no deb that apt-ftparchive can read", "E: "},
		},
		"a deb of another version": {
			func(f *folder) {
				f.add("spire-agent_1.13.4-1_amd64.deb", makeDeb(t, "spire-agent", "1.13.4-2", "amd64", "spire"))
			},
			[]string{`has the Version "1.13.4-2", and its name and content say "1.13.4-1"`},
		},
		"a deb of another package": {
			func(f *folder) {
				f.add("spire-agent_1.13.4-1_amd64.deb", makeDeb(t, "sudo", "1.13.4-1", "amd64", "spire"))
			},
			[]string{`has the Package "sudo"`},
		},
		"a deb of a foreign name": {
			func(f *folder) {
				f.add("sudo_99.0.0-1_all.deb", makeDeb(t, "sudo", "99.0.0-1", "all", ""))
			},
			[]string{"sudo_99.0.0-1_all.deb is a file of sudo, which is none of the packages that are published: spire, spire-agent"},
		},
		"an rpm of a foreign name": {
			func(f *folder) {
				f.add("openssl-99.0.0-1.x86_64.rpm", makeRPM(t, "openssl", "99.0.0", 1, "x86_64", "openssl-99.0.0-1.src.rpm"))
			},
			[]string{"openssl-99.0.0-1.x86_64.rpm is a file of openssl, which is none of the packages"},
		},
		"a deb of another architecture": {
			func(f *folder) {
				f.add("spire-agent_1.13.4-1_amd64.deb", makeDeb(t, "spire-agent", "1.13.4-1", "arm64", "spire"))
			},
			[]string{`has the Architecture "arm64"`},
		},
		"no rpm at all": {
			func(f *folder) { f.add("spire-agent-1.13.4-1.x86_64.rpm", []byte("x")) },
			[]string{"reading rpms: running rpm"},
		},
		"an rpm of another release": {
			func(f *folder) {
				f.add("spire-agent-1.13.4-1.x86_64.rpm", makeRPM(t, "spire-agent", "1.13.4", 2, "x86_64", "spire-1.13.4-2.src.rpm"))
			},
			[]string{"is, by what is in it, spire-agent 1.13.4-2 x86_64", "not spire-agent 1.13.4-1 x86_64"},
		},
		"an rpm of another architecture": {
			func(f *folder) {
				f.add("spire-agent-1.13.4-1.x86_64.rpm", makeRPM(t, "spire-agent", "1.13.4", 1, "aarch64", "spire-1.13.4-1.src.rpm"))
			},
			[]string{"spire-agent 1.13.4-1 aarch64"},
		},
		"a source rpm in a binary one's clothes": {
			func(f *folder) {
				f.add("spire-agent-1.13.4-1.x86_64.rpm", makeSourceRPM(t, "1.13.4", 1))
			},
			[]string{"spire 1.13.4-1 src"},
		},
		"an unsigned rpm": {
			func(f *folder) {
				f.add("spire-agent-1.13.4-1.x86_64.rpm", bytes.ReplaceAll(makeRPM(t, "spire-agent", "1.13.4", 1, "x86_64", "spire-1.13.4-1.src.rpm"), []byte(fakeSignature), []byte(strings.Repeat("x", len(fakeSignature)))))
			},
			[]string{"spire-agent-1.13.4-1.x86_64.rpm: it is not signed"},
		},
		"a source package without its archives": {
			func(f *folder) {
				f.add("spire_1.13.4.orig.tar.xz", []byte("archive"))
				f.add("spire_1.13.4-1.dsc", makeDSC(f.dir, "1.13.4-1", []string{"spire_1.13.4.orig.tar.xz"}))
				f.files = f.files[1:]
			},
			[]string{"is made of spire_1.13.4.orig.tar.xz with the SHA-256 " + sum([]byte("archive")) + ", which is not published"},
		},
		"a .dsc of another version": {
			func(f *folder) { f.add("spire_1.13.4-1.dsc", makeDSC(f.dir, "1.13.4-2", nil)) },
			[]string{`has the Version "1.13.4-2"`},
		},
		"no .dsc at all": {
			func(f *folder) { f.add("spire_1.13.4-1.dsc", []byte("x")) },
			[]string{"is no source package"},
		},
		"an SBOM of nothing": {
			func(f *folder) { f.add("spire-agent_1.13.4-1_amd64.deb.spdx.json", []byte("{}")) },
			[]string{"describes spire-agent_1.13.4-1_amd64.deb, which is not published"},
		},
		"a file that changed after it was signed": {
			func(f *folder) {
				f.add("spire_1.13.4-1_source.changes", []byte("a"))
				f.sums()
				must(f, os.WriteFile(f.files[0], []byte("b"), 0o600))
			},
			[]string{"spire_1.13.4-1_source.changes has the SHA-256 " + sum([]byte("b")), `says "` + sum([]byte("a")), "sign the version again"},
		},
		"a file that was forgotten": {
			func(f *folder) {
				f.add("spire_1.13.4-1_source.changes", []byte("a"))
				f.add("spire_1.13.4-1_arm64.buildinfo", []byte("b"))
				f.sums()
				f.files = f.files[1:]
			},
			[]string{"SHA256SUMS lists spire_1.13.4-1_source.changes, which is not published with it"},
		},
		"two versions in one folder": {
			func(f *folder) {
				f.add("spire_1.13.4-1_source.changes", []byte("a"))
				f.add("spire_1.13.5-1_source.changes", []byte("b"))
				f.sums()
			},
			[]string{"they are of 1.13.4-1 and 1.13.5-1"},
		},
		"checksums of nothing": {
			func(f *folder) { f.sums() },
			[]string{"there is no package beside them"},
		},
		"one name twice": {
			func(f *folder) {
				f.add("spire_1.13.4-1_source.changes", []byte("a"))
				f.files = append(f.files, f.files[0])
			},
			[]string{"have the same name: publish one of them"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := &folder{TB: t, dir: t.TempDir()}
			test.change(f)
			got := publishFails(t, r, days(1), f.files...)
			for _, want := range test.want {
				if !strings.Contains(got, want) {
					t.Errorf("no %q in the error:\n%s", want, got)
				}
			}
		})
	}
}

// A folder without a list of checksums may have whatever it likes.
func TestMixedFolder(t *testing.T) {
	needs(t)
	r := newRepository(t)
	f := &folder{TB: t, dir: t.TempDir()}
	for _, version := range []string{"1.13.2", "1.13.3"} {
		f.add("spire-agent_"+version+"-1_amd64.deb", makeDeb(t, "spire-agent", version+"-1", "amd64", "spire"))
	}
	publish(t, r, day, f.files...)
	if debs, _ := readerOf(t, r).all(); len(debs) != 2 {
		t.Errorf("clients find %q", debs)
	}
}

// A .dsc may be signed, and a second release has its upstream's archive from the
// first.
func TestSecondRelease(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	second := signed(t, "1.13.3", 2)
	dsc := named(t, second, "spire_1.13.3-2.dsc")
	plain, err := os.ReadFile(dsc)
	must(t, err)
	text, err := ours().Clear(t.Context(), plain)
	must(t, err)
	must(t, os.WriteFile(dsc, text, 0o600))
	second = slices.DeleteFunc(second, func(file string) bool {
		return strings.Contains(file, ".orig") || strings.Contains(file, "SHA256SUMS")
	})
	publish(t, r, days(1), second...)
	debs, _ := readerOf(t, r).all()
	for _, want := range []string{"spire_1.13.3-1.dsc", "spire_1.13.3-2.dsc", "spire-agent_1.13.3-2_arm64.deb"} {
		if !slices.Contains(debs, want) {
			t.Errorf("%s is not among %q", want, debs)
		}
	}
}

// What is there already is not opened again: nothing of it but its size is
// looked at.
func TestIncremental(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.2", 1)...)
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	for _, f := range l.Files {
		must(t, os.WriteFile(r.path(f.Path), bytes.Repeat([]byte("x"), int(f.Size)), 0o600))
	}
	publish(t, r, days(1), signed(t, "1.13.3", 1)...)
	for _, f := range l.Files {
		index, err := os.ReadFile(r.path(dists + "/main/binary-amd64/Packages"))
		must(t, err)
		if f.Kind == "deb" && f.Arch == "amd64" && !strings.Contains(string(index), f.SHA256) {
			t.Errorf("%s is not in the index any more", f.Path)
		}
	}
}

// What somebody else changed in the tree is found, where a publication has to do
// with it, and never signed.
func TestTampered(t *testing.T) {
	needs(t)
	r := newRepository(t)
	files := signed(t, "1.13.3", 1)
	publish(t, r, day, files...)
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	deb := l.Find("spire-agent_1.13.3-1_amd64.deb")[0]
	edit := func(name string, change func([]byte) []byte) func(Repository) {
		return func(r Repository) {
			content, err := os.ReadFile(r.path(name))
			must(t, err)
			must(t, os.WriteFile(r.path(name), change(content), 0o600))
		}
	}
	flip := func(content []byte) []byte {
		if len(content) == 0 { // of an architecture that has no packages
			return []byte("1")
		}
		content[len(content)/2] ^= 1
		return content
	}
	for name, test := range map[string]struct {
		change func(Repository)
		want   string // empty if it is mended
	}{
		"a deb that is published again": {edit(deb.Path, flip), "the published file " + deb.Path + " was changed: checksum mismatch: its SHA-256 is"},
		"a deb cut short":               {edit(deb.Path, func(b []byte) []byte { return b[:9] }), deb.Path + " has 9 bytes"},
		"a deb removed":                 {func(r Repository) { must(t, os.Remove(r.path(deb.Path))) }, "a published file is not what it was"},
		"a record":                      {edit(ledger.RecordPath(deb.Record), flip), "the record of " + deb.Path + " is not what was published"},
		"the ledger":                    {edit(ledger.Name, flip), "is not what was published"},
		"the ledger removed":            {func(r Repository) { must(t, os.Remove(r.path(ledger.Name))) }, "but no ledger.json"},
		"the ledger's signature":        {edit(ledger.SignatureName, func([]byte) []byte { return nil }), "is not what was published"},
		"the ledger of somebody else": {func(r Repository) {
			content, err := os.ReadFile(r.path(ledger.Name))
			must(t, err)
			evil := repositoryIn(r.Dir, newKey(t))
			signature, err := evil.signing().Sign(t.Context(), content)
			must(t, err)
			must(t, os.WriteFile(r.path(ledger.SignatureName), signature, 0o600))
		}, "is not what was published"},
		"Packages": {edit(dists+"/main/binary-amd64/Packages", flip), ""},
		"Packages by hash": {func(r Repository) {
			for _, k := range l.Kept {
				if strings.Contains(k.Path, "by-hash") {
					edit(k.Path, flip)(r)
				}
			}
		}, ""},
		"InRelease":      {edit(apt.InRelease, flip), ""},
		"repomd.xml":     {edit("rpm/x86_64/repodata/repomd.xml", flip), ""},
		"repomd.xml.asc": {edit("rpm/x86_64/repodata/repomd.xml.asc", flip), ""},
		"primary.xml": {func(r Repository) {
			for _, k := range l.Kept {
				if strings.HasSuffix(k.Path, "primary.xml.gz") {
					edit(k.Path, flip)(r)
				}
			}
		}, ""},
		"primary.xml with other words under its name": {func(r Repository) { rewrite(t, r.path("rpm/x86_64/repodata"), false) }, ""},
		"all metadata with other words":               {func(r Repository) { rewrite(t, r.path("rpm/x86_64/repodata"), true) }, ""},
		"an index page":                               {edit("index.html", flip), ""},
		"the keys":                                    {edit("spire-archive-keyring.gpg", flip), ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := twin(t, r)
			_, err := want.Publish(t.Context(), Publication{Files: files, Now: days(1), Refresh: true, Pages: pages})
			must(t, err)
			r := twin(t, r)
			test.change(r)
			_, err = r.Publish(t.Context(), Publication{Files: files, Now: days(1), Refresh: true, Pages: pages})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("the error is %v, not %q", err, test.want)
			}
			if test.want == "" {
				readerOf(t, r).all()
				if diff := difference(snapshot(t, want.Dir), snapshot(t, r.Dir)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// Without metadata to go by all rpms are read anew: what is in them must be what
// was published.
func TestNoMetadata(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	again := func(r Repository) error {
		must(t, os.RemoveAll(r.path("rpm/x86_64/repodata")))
		_, err := r.Publish(t.Context(), Publication{Now: days(1), Refresh: true, Pages: pages})
		return err
	}
	want, mended, bad := twin(t, r), twin(t, r), twin(t, r)
	_, err := want.Publish(t.Context(), Publication{Now: days(1), Refresh: true, Pages: pages})
	must(t, err)
	rpm := "rpm/x86_64/spire-agent-1.13.3-1.x86_64.rpm"
	must(t, os.Chtimes(mended.path(rpm), days(5), days(5))) // as copies have it
	must(t, again(mended))
	have, wanted := snapshot(t, mended.Dir), snapshot(t, want.Dir)
	for name := range wanted { // the day before's are gone for good
		if _, ok := have[name]; !ok && strings.HasPrefix(name, "rpm/x86_64/repodata/") {
			delete(wanted, name)
		}
	}
	if diff := difference(wanted, have); diff != "" {
		t.Error(diff)
	}
	content, err := os.ReadFile(bad.path(rpm))
	must(t, err)
	content[len(content)-9] ^= 1
	must(t, os.WriteFile(bad.path(rpm), content, 0o644))
	if err := again(bad); err == nil || !strings.Contains(err.Error(), "it does not list what was published") {
		t.Errorf("the error is %v", err)
	}
}

// rewrite changes what metadata says of an rpm. consistent makes repomd.xml fit:
// only its signature does not.
func rewrite(t *testing.T, dir string, consistent bool) {
	t.Helper()
	repomd, err := os.ReadFile(filepath.Join(dir, "repomd.xml"))
	must(t, err)
	name := locations(repomd)[0]
	content, err := os.ReadFile(filepath.Join(dir, name))
	must(t, err)
	plain := unpack(t, name, content)
	changed := bytes.ReplaceAll(plain, []byte("<description>for tests<"), []byte("<description>of theirs<"))
	again, err := artifact.Gzip(changed)
	must(t, err)
	if bytes.Equal(plain, changed) || !strings.HasSuffix(name, "-primary.xml.gz") {
		t.Fatalf("%s has other words:\n%s", name, plain)
	}
	if consistent {
		for from, to := range map[string]string{
			sum(content): sum(again), sum(plain): sum(changed), fmt.Sprintf("<size>%d<", len(content)): fmt.Sprintf("<size>%d<", len(again)),
		} {
			repomd = bytes.ReplaceAll(repomd, []byte(from), []byte(to))
		}
		must(t, os.WriteFile(filepath.Join(dir, "repomd.xml"), repomd, 0o600))
		name = sum(again) + "-primary.xml.gz"
	}
	must(t, os.WriteFile(filepath.Join(dir, name), again, 0o600))
}

func TestOlderThanTheLast(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, days(1), signed(t, "1.13.3", 1)...)
	if got := publishFails(t, r, day, signed(t, "1.13.4", 1)...); !strings.Contains(got, "is the clock right?") {
		t.Error(got)
	}
}

func TestNothingToPublish(t *testing.T) {
	needs(t)
	if got := publishFails(t, newRepository(t), day); !strings.Contains(got, "build and sign a version first") {
		t.Error(got)
	}
}

// A signer that no client trusts would lock all of them out.
func TestForeignSigner(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	r.Signer = newKey(t)
	_, err := r.Publish(t.Context(), Publication{Now: days(1), Refresh: true, Pages: pages})
	if err == nil || !strings.Contains(err.Error(), "not one that clients trust") {
		t.Errorf("the error is %v", err)
	}
	readerOf(t, r).all()
}

// Another key is published at once.
func TestKeys(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, signed(t, "1.13.3", 1)...)
	both := append(slices.Clone(r.Keys["spire-archive-keyring.gpg"]), newKey(t).public()...)
	r.Keys = map[string][]byte{"spire-archive-keyring.gpg": both}
	if report := publish(t, r, day); report.Unchanged {
		t.Error("nothing was done")
	}
	if got, err := os.ReadFile(r.path("spire-archive-keyring.gpg")); err != nil || !bytes.Equal(got, both) {
		t.Errorf("the keys are not there (%v)", err)
	}
}

// Two publications do not mix: the second waits.
func TestLock(t *testing.T) {
	needs(t)
	one := newRepository(t)
	two := one
	first, second := signed(t, "1.13.2", 1), signed(t, "1.13.3", 1)
	begun, ended := make(chan bool), make(chan error, 1)
	changes := 0
	one.after = func(string) error {
		if changes++; changes == 1 {
			close(begun)
			time.Sleep(300 * time.Millisecond)
		}
		return nil
	}
	go func() {
		_, err := one.Publish(t.Context(), Publication{Files: first, Now: day, Pages: pages})
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatal(err)
	}
	publish(t, two, days(1), second...)
	must(t, <-ended)
	if debs, _ := readerOf(t, two).all(); len(debs) != 4*2+4*2 {
		t.Errorf("clients find %q", debs)
	}
}
