package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/suite/testkey"
)

// breakage is one way to break a repository. The scripts in tests/trust know
// the names, and what each client says to it.
type breakage struct {
	name string
	// do breaks the repository in dir.
	do func(ctx context.Context, r *rehearsal, dir string) error
}

var cases = []breakage{
	{"tampered", inRelease(func(text []byte) []byte {
		return bytes.Replace(text, []byte("Suite: stable"), []byte("Suite: stablf"), 1)
	})},
	{"unsigned", func(_ context.Context, _ *rehearsal, dir string) error {
		return errors.Join(os.Remove(dists(dir, "InRelease")), os.Remove(dists(dir, "Release.gpg")))
	}},
	{"foreign", resigned(func(ctx context.Context, r *rehearsal, text []byte) ([]byte, error) {
		return r.foreign.Signer.Clear(ctx, text)
	})},
	{"sha1", resigned(func(ctx context.Context, r *rehearsal, text []byte) ([]byte, error) {
		return r.ours.GPG(ctx, text, "--digest-algo", "SHA1", "--clear-sign")
	})},
	{"expired", resigned(func(ctx context.Context, r *rehearsal, text []byte) ([]byte, error) {
		at := r.now.Add(-30 * 24 * time.Hour)
		text = regexp.MustCompile(`(?m)^Date: .*`).ReplaceAll(text, []byte("Date: "+at.Format(time.RFC1123)))
		text = regexp.MustCompile(`(?m)^Valid-Until: .*`).ReplaceAll(text, []byte("Valid-Until: "+at.Add(14*24*time.Hour).Format(time.RFC1123)))
		return r.ours.Signer.At(at).Clear(ctx, text)
	})},
	{"packages-tampered", packageIndexes(flipped)},
	{"packages-truncated", packageIndexes(func(content []byte) []byte { return content[:len(content)/2] })},
	{"deb-tampered", matching("apt/pool/main/s/spire/"+smallest+"_*.deb", flipped)},

	// Nothing is broken there, and yet:
	{"surplus", surplus},

	{"repomd-tampered", repomd("", func(text []byte) []byte { return bytes.Replace(text, []byte("<revision>1"), []byte("<revision>2"), 1) })},
	{"repomd-signature-tampered", repomd(".asc", func(text []byte) []byte {
		lines := bytes.Split(text, []byte("\n"))
		middle := lines[len(lines)/2]
		middle[0] ^= 1 << 1 // another letter of the same alphabet
		return bytes.Join(lines, []byte("\n"))
	})},
	{"repomd-unsigned", func(_ context.Context, _ *rehearsal, dir string) error {
		return os.Remove(filepath.Join(dir, repodata, "repomd.xml.asc"))
	}},
	{"repomd-foreign", func(ctx context.Context, r *rehearsal, dir string) error {
		return signMetadata(ctx, r.foreign, dir)
	}},
	{"payload-tampered", matching(ownRPMs+"/"+smallest+"-*.rpm", flipped)},
	{"rpm-unsigned", otherRPM(func(ctx context.Context, r *rehearsal, from, to string) error {
		return r.Command(ctx, "cp", "--remove-destination", from, to)
	})},
	{"rpm-foreign", otherRPM(func(ctx context.Context, r *rehearsal, from, to string) error {
		return r.foreign.Signer.RPM(ctx, from, to)
	})},
}

// smallest is the package that is installed, or not, because it is the fastest.
const smallest = "spiffe-oidc-discovery-provider"

// ownRPMs is the folder of the rpms that the clients read, which run on this machine,
// and repodata its metadata.
var (
	ownRPMs  = "rpm/" + architecture.Own().RPM
	repodata = ownRPMs + "/repodata"
)

func dists(dir, name string) string { return filepath.Join(dir, "apt/dists/stable", name) }

// change puts another content in the place of a file, which other repositories
// share with this one.
func change(path string, with func([]byte) []byte) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := with(bytes.Clone(content))
	if bytes.Equal(content, changed) {
		return fmt.Errorf("%s is as it was", path)
	}
	return artifact.WriteBytes(path, 0o644, changed)
}

// flipped has one bit changed, in the middle.
func flipped(content []byte) []byte {
	content[len(content)/2] ^= 1
	return content
}

// matching changes the files of the given pattern.
func matching(pattern string, with func([]byte) []byte) func(context.Context, *rehearsal, string) error {
	return func(_ context.Context, _ *rehearsal, dir string) error {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err == nil && len(paths) == 0 {
			err = fmt.Errorf("there is no %s", pattern)
		}
		for _, path := range paths {
			err = errors.Join(err, change(path, with))
		}
		return err
	}
}

func inRelease(with func([]byte) []byte) func(context.Context, *rehearsal, string) error {
	return matching("apt/dists/stable/InRelease", with)
}

func repomd(suffix string, with func([]byte) []byte) func(context.Context, *rehearsal, string) error {
	return matching(repodata+"/repomd.xml"+suffix, with)
}

// resigned signs the index in another way.
func resigned(signed func(ctx context.Context, r *rehearsal, text []byte) ([]byte, error)) func(context.Context, *rehearsal, string) error {
	return func(ctx context.Context, r *rehearsal, dir string) error {
		text, err := os.ReadFile(dists(dir, "Release"))
		if err != nil {
			return err
		}
		text, err = signed(ctx, r, text)
		if err != nil {
			return err
		}
		return errors.Join(os.Remove(dists(dir, "Release.gpg")), artifact.WriteBytes(dists(dir, "InRelease"), 0o644, text))
	}
}

// packageIndexes changes the lists of packages, under all their names.
func packageIndexes(with func([]byte) []byte) func(context.Context, *rehearsal, string) error {
	return func(ctx context.Context, r *rehearsal, dir string) error {
		return errors.Join(
			matching("apt/dists/stable/main/binary-*/Packages*", with)(ctx, r, dir),
			matching("apt/dists/stable/main/binary-*/by-hash/*/*", with)(ctx, r, dir))
	}
}

// otherRPM puts another rpm in the place of the smallest one, and makes
// metadata of it that are signed as they should be.
func otherRPM(put func(ctx context.Context, r *rehearsal, from, to string) error) func(context.Context, *rehearsal, string) error {
	return func(ctx context.Context, r *rehearsal, dir string) error {
		for _, file := range r.Files("rpm") {
			if !strings.HasPrefix(filepath.Base(file), smallest) {
				continue
			}
			if err := put(ctx, r, file, filepath.Join(dir, ownRPMs, filepath.Base(file))); err != nil {
				return err
			}
		}
		return r.reindex(ctx, dir)
	}
}

// reindex makes the metadata of a repository's rpms anew, and signs them.
func (r *rehearsal) reindex(ctx context.Context, dir string) error {
	return r.ours.Reindex(ctx, r.Checkout, filepath.Join(dir, ownRPMs))
}

func signMetadata(ctx context.Context, key *testkey.Key, dir string) error {
	index := filepath.Join(dir, repodata, "repomd.xml")
	return key.Signer.File(ctx, index, index+".asc")
}
