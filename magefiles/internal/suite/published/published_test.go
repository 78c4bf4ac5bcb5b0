package published

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/publication"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/client"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/transparency"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/subject"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/suitetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/tally"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
)

// served is a repository of the packages that were built.
type served struct{ *suitetest.Served }

// publish publishes, some time ago, and gives the folder and a visit to it that goes well.
func (s served) publish(ago time.Duration) (dir string, to Visit) {
	s.Helper()
	dir, url := s.Publish(ago)
	return dir, Visit{URL: url, Keys: []sign.Certificate{s.Key.Signer.Certificate()}, Versions: map[string]string{"spire": s.Version}, Arches: []string{runtime.GOARCH}, Seen: s.TempDir()}
}

// said are the checks of all that is signed and listed that fail, and what is said of
// each.
func said(t *testing.T, to Visit) map[string]string {
	t.Helper()
	var log bytes.Buffer
	v, err := newVisitor(subject.Checkout{Root: suitetest.Root, Log: io.Discard}, to)
	if err != nil {
		t.Fatal(err)
	}
	v.client.Attempts = 1
	counts := &tally.Tally{Log: &log}
	counts.Run(t.Context(), v.checks(t.Context())...)
	all := 2 + len(client.Indexes()) // with the keys and the public log
	if got := strings.Count(log.String(), "\nok   ") + strings.Count(log.String(), "\nFAIL "); got != all {
		t.Errorf("%d checks have passed or failed, of %d:\n%s", got, all, &log)
	}
	found := map[string]string{}
	for part := range strings.SplitSeq(log.String(), "=== ") {
		name, rest, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(rest, "FAIL ") {
			found[name] = rest
		}
	}
	return found
}

// finds wants those checks to fail that are named, each with its words, and all others
// to pass.
func finds(t *testing.T, to Visit, want map[string]string) {
	t.Helper()
	got := said(t, to)
	for name, words := range want {
		if !strings.Contains(got[name], words) {
			t.Errorf("%s: it does not say %q, but %q", name, words, got[name])
		}
		delete(got, name)
	}
	for name, words := range got {
		t.Errorf("%s: %s", name, words)
	}
}

const (
	debsIndex    = "apt/dists/stable/InRelease"
	fixesIndex   = "apt/dists/stable-security/InRelease"
	rpmsIndex    = "rpm/x86_64/repodata/repomd.xml"
	armIndex     = "rpm/aarch64/repodata/repomd.xml"
	sourcesIndex = "rpm/source/repodata/repomd.xml"
)

const day = 24 * time.Hour

// each has the same words for several checks.
func each(words string, checks ...string) map[string]string {
	want := map[string]string{}
	for _, name := range checks {
		want[name] = words
	}
	return want
}

// A repository as users shall find it, and the ways in which it is not.
func TestPublished(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the paths are amd64's")
	}
	s := served{suitetest.NewServed(t)}
	dir, good := s.publish(time.Hour)
	indexes := client.Indexes()
	all := append([]string{"keys"}, indexes...)
	other := somebody(t)
	ours := s.Key.Signer.Fingerprint()

	finds(t, good, nil)
	t.Run("a slash at its end", func(t *testing.T) {
		to := good
		to.URL += "/"
		finds(t, to, nil)
	})
	t.Run("stale", func(t *testing.T) {
		_, to := s.publish(8 * day)
		finds(t, to, each("it is stale", indexes...))
	})
	t.Run("three days before its end", func(t *testing.T) {
		_, to := s.publish(11*day + time.Hour)
		want := each("it is stale", indexes...)
		want[debsIndex] = "in 70 hours, and then apt refuses it"
		want[fixesIndex] = want[debsIndex]
		finds(t, to, want)
	})
	t.Run("an older version", func(t *testing.T) {
		to := good
		to.Versions = map[string]string{"spire": "999.0.0-1"}
		finds(t, to, each("the newest is "+s.Version+", and it is to be 999.0.0-1", debsIndex, rpmsIndex, sourcesIndex))
	})
	t.Run("an architecture that is missing", func(t *testing.T) {
		to := good
		to.Arches = []string{"amd64", "arm64"}
		finds(t, to, each("spire-agent for arm64: the newest is none", debsIndex, armIndex))
	})
	t.Run("another's key", func(t *testing.T) {
		to := good
		to.Keys = []sign.Certificate{other}
		want := each("it is signed by the key "+ours+", not by "+other.Fingerprint(), indexes...)
		for _, name := range indexes {
			if strings.HasPrefix(name, "apk/") {
				want[name] = fmt.Sprintf("it is signed by the key %q", strings.ToLower(ours)+pkgdef.RawKey)
			}
		}
		want["public log"] = "no trusted key has signed the log's checkpoint"
		want["keys"] = "the key " + ours + " is none of the archive's: " + other.Fingerprint()
		finds(t, to, want)
	})
	t.Run("another's key beside ours", func(t *testing.T) {
		replaced(t, filepath.Join(dir, publication.KeysArmoured), func([]byte) []byte { return sign.Armoured(s.Key.Signer.Certificate(), other) })
		finds(t, good, each("the key "+other.Fingerprint()+" is none of the archive's: "+ours, all...))
	})
	// That of the certificate which clients get.
	t.Run("the key ends", func(t *testing.T) {
		replaced(t, filepath.Join(dir, publication.KeysArmoured), func([]byte) []byte { return ending(t, s.Key, "89d") })
		finds(t, good, each("the key "+ours+" ends on ", indexes...))
	})
	for name, file := range map[string]struct{ path, index string }{
		"deb":        {"apt/pool/main/s/spire/spire-agent_" + s.Version + "_amd64.deb", debsIndex},
		"dsc":        {"apt/pool/main/s/spire/spire_" + s.Version + ".dsc", debsIndex},
		"rpm":        {"rpm/x86_64/spire-agent-" + s.Version + ".x86_64.rpm", rpmsIndex},
		"source rpm": {"rpm/source/spire-" + s.Version + ".src.rpm", sourcesIndex},
	} {
		t.Run("no "+name, func(t *testing.T) {
			replaced(t, filepath.Join(dir, file.path), nil)
			finds(t, good, each("fetching "+file.path+": the host answered 404", file.index))
		})
	}
	t.Run("no log", func(t *testing.T) {
		replaced(t, filepath.Join(dir, transparency.Checkpoint), nil)
		finds(t, good, each("the host answered 404", "public log"))
	})
	t.Run("an index that is not in the log", func(t *testing.T) {
		earlier, to := s.publish(2 * time.Hour)
		folder := filepath.Dir(rpmsIndex)
		if err := errors.Join(os.RemoveAll(filepath.Join(earlier, folder)), os.CopyFS(filepath.Join(earlier, folder), os.DirFS(filepath.Join(dir, folder)))); err != nil {
			t.Fatal(err)
		}
		finds(t, to, each("checksum mismatch: the public log has it last at", rpmsIndex))
	})
	t.Run("a log that was rolled back", func(t *testing.T) {
		_, to := s.publish(2 * time.Hour)
		seen := filepath.Join(to.Seen, url.QueryEscape(to.URL))
		if err := artifact.WriteBytes(seen, 0o644, tlog.FormatTree(tlog.Tree{N: 99_999})); err != nil {
			t.Fatal(err)
		}
		finds(t, to, each("the log was rolled back: it has ", "public log"))
	})
	t.Run("a version that does not come", func(t *testing.T) {
		to := good
		to.Versions, to.Wait = map[string]string{"spire": "999.0.0-1"}, 3*time.Millisecond
		waits(t, to, 3)
	})
	t.Run("a version that is there", func(t *testing.T) {
		to := good
		to.Wait = time.Hour
		waits(t, to, 0)
	})
	t.Run("users", func(t *testing.T) { s.users(t, dir, good) })
}

// waits wants the newest version to be waited for, a millisecond each time.
func waits(t *testing.T, to Visit, times int) {
	t.Helper()
	var log bytes.Buffer
	v, err := newVisitor(subject.Checkout{Root: suitetest.Root, Log: &log}, to)
	if err != nil {
		t.Fatal(err)
	}
	v.await(t.Context(), time.Millisecond)
	if got := strings.Count(log.String(), to.Versions["spire"]+" is not there yet: again in 1ms\n"); got != times {
		t.Errorf("%d times, not %d:\n%s", got, times, &log)
	}
}

// ending is the key's public part with another end, counted from now; as gpg has it.
func ending(t *testing.T, k *testkey.Key, life string) []byte {
	t.Helper()
	if _, err := k.GPG(t.Context(), nil, "--passphrase", "", "--quick-set-expire", k.Signer.Fingerprint(), life); err != nil {
		t.Fatal(err)
	}
	public, err := k.GPG(t.Context(), nil, "--armor", "--export")
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// somebody is a certificate of somebody else's.
func somebody(t *testing.T) sign.Certificate {
	t.Helper()
	key, err := testkey.New(t.Context(), testkey.Other, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	return key.Signer.Certificate()
}

// replaced puts another content in the place of a file, or takes it away, until the
// test ends.
func replaced(t *testing.T, file string, with func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err == nil {
		err = os.Remove(file)
	}
	if err == nil && with != nil {
		err = artifact.WriteBytes(file, 0o644, with(content))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := artifact.WriteBytes(file, 0o644, content); err != nil {
			t.Fatal(err)
		}
	})
}

// users is that nobody runs lines that take another key, or add another repository; and
// that nothing is known where no machine could be had.
func (s served) users(t *testing.T, dir string, to Visit) {
	ours, theirs := s.Key.Signer.Fingerprint(), strings.Repeat("0123456789", 4)
	t.Setenv("PATH", t.TempDir()) // no Docker
	for name, c := range map[string]struct{ from, to, want string }{
		"no machine":         {"", "", "no machine could be had"},
		"another's key":      {ours, theirs, "the lines for zypper: the key " + theirs + " is none of the archive's: " + ours},
		"no key":             {ours, "", "the lines for apt do not take a key by its fingerprint"},
		"another repository": {to.URL, "http://127.0.0.1:1", "from " + to.URL + "/spire-archive-keyring.asc"},
		"no lines for dnf":   {`id="setup-dnf"`, `id="other"`, "the lines for dnf do not"},
	} {
		t.Run(name, func(t *testing.T) {
			replaced(t, filepath.Join(dir, "index.html"), func(page []byte) []byte {
				return []byte(strings.ReplaceAll(string(page), c.from, c.to))
			})
			var log bytes.Buffer
			err := Check(t.Context(), subject.Checkout{Root: suitetest.Root, Pipeline: s.Pipeline, Log: &log}, to)
			if err == nil || err.Error() != "1 test failed" || !strings.Contains(log.String(), c.want) {
				t.Errorf("%v, want %q in\n%s", err, c.want, &log)
			}
			if name == "no machine" && !strings.Contains(log.String(), "SKIP debian-13 user (0.0 s): cannot run on this host: Docker's client is missing") {
				t.Errorf("nobody learns why:\n%s", &log)
			}
		})
	}
}
