package repo

import (
	"io"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile/apkfiletest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/layout"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/ledger"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/mirror"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
)

const apkHead = "apk/x86_64/APKINDEX.tar.gz"

// withAPKs is a small version with apks.
func withAPKs(t *testing.T, version string) []string {
	t.Helper()
	f := &folder{TB: t, dir: t.TempDir()}
	f.add("spire-agent_"+version+"-1_amd64.deb", makeDeb(t, "spire-agent", version+"-1", "amd64", "spire"))
	for _, of := range [][2]string{{"spire-agent", "aarch64"}, {"spire-agent", "x86_64"}, {"spire-server", "noarch"}} {
		name := of[0] + "_" + version + "-r1_" + of[1] + ".apk"
		file := apkfiletest.Package(t, of[0], version+"-r1", of[1], version+of[1])
		f.add(name, apkfiletest.Bytes(t, file))
		f.add(name+".cdx.json", []byte(`{"describes": "`+name+`"}`))
	}
	return f.sums()
}

// apks are the packages that a client of an architecture is offered; none where there is no
// index.
func apks(t *testing.T, r Repository, head string) (names []string) {
	t.Helper()
	if _, err := os.Stat(r.path(head)); err != nil {
		return nil
	}
	s := &site{TB: t, tree: r}
	server := httptest.NewServer(s)
	defer server.Close()
	s.url = server.URL
	published := s.index(head)
	must(t, s.client(ours()).Served(t.Context(), published.Offers))
	for _, offer := range published.Offers {
		names = append(names, path.Base(offer.Path))
	}
	return names
}

// What is published for apk is where apk looks for it, and known by the name that it was
// released under.
func TestAPK(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, small(t, "1.12.0")...)
	if _, err := os.Stat(r.path("apk")); err == nil {
		t.Error("there is something for apk, and nothing was published for it")
	}
	publish(t, r, days(1), withAPKs(t, "1.13.3")...)
	for head, want := range map[string][]string{
		apkHead:                       {"spire-agent-1.13.3-r1.apk", "spire-server-1.13.3-r1.apk"},
		"apk/aarch64/APKINDEX.tar.gz": {"spire-agent-1.13.3-r1.apk", "spire-server-1.13.3-r1.apk"},
	} {
		if got := apks(t, r, head); !slices.Equal(got, want) {
			t.Errorf("%s offers %q", head, got)
		}
	}
	l, err := ledger.Load(r.Dir, r.Trusted)
	must(t, err)
	const agent = "spire-agent_1.13.3-r1_x86_64.apk"
	if found := l.Find(agent); len(found) != 1 || found[0].Path != "apk/x86_64/spire-agent-1.13.3-r1.apk" {
		t.Errorf("%s is %+v", agent, found)
	}
	listed := transparency.List(logSeen(t, r, filepath.Join(t.TempDir(), "seen")))
	must(t, listed.Has(layout.Base(agent), l.Find(agent)[0].SHA256))
	if len(listed[path.Base(apkHead)]) != len(architecture.All()) {
		t.Errorf("the log has %d indexes for apk", len(listed[path.Base(apkHead)]))
	}
}

// An apk that was published under a name never changes, also when it is long gone.
func TestAPKChanges(t *testing.T) {
	needs(t)
	r := newRepository(t)
	publish(t, r, day, withAPKs(t, "1.11.0")...)
	other := &folder{TB: t, dir: t.TempDir()}
	other.add("spire-agent_1.11.0-r1_x86_64.apk", apkfiletest.Bytes(t, apkfiletest.Package(t, "spire-agent", "1.11.0-r1", "x86_64", "other")))
	const want = "but spire-agent_1.11.0-r1_x86_64.apk was published with"
	if got := publishFails(t, r, days(1), other.files...); !strings.Contains(got, want) {
		t.Error(got)
	}
	for i, version := range []string{"1.12.0", "1.13.0", "1.14.0"} {
		publish(t, r, days(100*(i+1)), withAPKs(t, version)...)
	}
	if _, err := os.Stat(r.path("apk/x86_64/spire-agent-1.11.0-r1.apk")); err == nil {
		t.Error("it is not gone")
	}
	if got := publishFails(t, r, days(400), other.files...); !strings.Contains(got, want) {
		t.Error(got)
	}
	if got := apks(t, r, apkHead); !slices.Contains(got, "spire-agent-1.14.0-r1.apk") || slices.Contains(got, "spire-agent-1.11.0-r1.apk") {
		t.Errorf("offered are %q", got)
	}
}

// A tree with apks comes to another machine as it is.
func TestAPKFetched(t *testing.T) {
	needs(t)
	s := &site{TB: t, tree: newRepository(t)}
	publish(t, s.tree, day, withAPKs(t, "1.13.3")...)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	to := newRepository(t)
	_, err := mirror.Mirror{Tree: to.tree(day), Trusted: to.Trusted, Public: to.Public, Keys: to.keys(), Log: io.Discard}.Fetch(t.Context(), server.URL, false)
	must(t, err)
	if diff := difference(snapshot(t, s.tree.Dir), snapshot(t, to.Dir)); diff != "" {
		t.Error(diff)
	}
}

// A publication that is cut off anywhere leaves a state that apk's users can use, and the
// next one finishes it.
func TestAPKCutOff(t *testing.T) {
	needs(t)
	before := newRepository(t)
	publish(t, before, day, withAPKs(t, "1.13.2")...)
	files, whole := withAPKs(t, "1.13.3"), twin(t, before)
	var changes []string
	whole.after = func(change string) error {
		changes = append(changes, change)
		return nil
	}
	publish(t, whole, days(1), files...)
	old, wanted := apks(t, before, apkHead), apks(t, whole, apkHead)
	for n, change := range changes {
		if !strings.Contains(change, " apk/") {
			continue // the other tests cut those off
		}
		r := twin(t, before)
		r.after = stop(n)
		if _, err := r.Publish(t.Context(), Publication{Files: files, Now: days(1), Pages: pages}); err == nil {
			t.Fatalf("after it %s nothing was cut off", change)
		}
		if got := apks(t, r, apkHead); !slices.Equal(got, old) && !slices.Equal(got, wanted) {
			t.Errorf("after it %s, apk finds a third state: %q", change, got)
		}
		r.after = nil
		publish(t, r, days(1), files...)
		if diff := difference(snapshot(t, whole.Dir), snapshot(t, r.Dir)); diff != "" {
			t.Errorf("after it %s, finished: %s", change, diff)
		}
	}
}
