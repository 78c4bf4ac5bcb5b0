package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// What a repository that says nothing but SPIRE must never bring, though it is
// signed as it should be: something that every Debian in the tests has, and
// something that none has.
var surplusNames = []string{"openssl", "sudo"}

// surplus adds such packages, of a high version, to the repository.
func surplus(ctx context.Context, r *rehearsal, dir string) error {
	scratch := filepath.Join(r.place, "surplus")
	return errors.Join(r.surplusDebs(ctx, scratch, dir), r.surplusRPM(ctx, scratch, dir))
}

// surplusDebs puts debs into the pool, and an index of them and of ours in the
// place of the one that is there.
func (r *rehearsal) surplusDebs(ctx context.Context, scratch, dir string) error {
	list := "main/binary-" + architecture.Own().Debian + "/Packages"
	index, err := os.ReadFile(dists(dir, list))
	if err != nil {
		return err
	}
	for _, name := range surplusNames {
		control := fmt.Sprintf("Package: %s\nVersion: 99\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: of another name\n", name)
		root, deb := filepath.Join(scratch, name), fmt.Sprintf("pool/main/s/spire/%s_99_all.deb", name)
		if err := os.MkdirAll(filepath.Join(root, "DEBIAN"), 0o755); err != nil {
			return err
		}
		if err := artifact.WriteBytes(filepath.Join(root, "DEBIAN/control"), 0o644, []byte(control)); err != nil {
			return err
		}
		file := filepath.Join(dir, "apt", deb)
		if err := r.Command(ctx, "dpkg-deb", "--root-owner-group", "--build", root, file); err != nil {
			return err
		}
		sum, size, err := artifact.Digest(file)
		if err != nil {
			return err
		}
		index = fmt.Appendf(index, "\n%sFilename: %s\nSize: %d\nSHA256: %s\n", control, deb, size, sum)
	}
	if err := artifact.WriteBytes(dists(dir, list), 0o644, index); err != nil {
		return err
	}
	return resigned(func(ctx context.Context, r *rehearsal, text []byte) ([]byte, error) {
		// Nothing but the plain one, by its name, is what it was.
		text = regexp.MustCompile(`(?m)^ .* `+list+`(\..*)?\n|^Acquire-By-Hash: .*\n`).ReplaceAll(text, nil)
		line := fmt.Sprintf("SHA256:\n %s %d %s\n", artifact.DigestBytes(index), len(index), list)
		return r.ours.Signer.Clear(ctx, bytes.Replace(text, []byte("SHA256:\n"), []byte(line), 1))
	})(ctx, r, dir)
}

// surplusRPM puts the rpm of tests/trust/rpm/sudo.spec among ours.
func (r *rehearsal) surplusRPM(ctx context.Context, scratch, dir string) error {
	err := r.Command(ctx, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+scratch, "--define", "number 99",
		filepath.Join(r.Root, "tests/trust/rpm/sudo.spec"))
	if err != nil {
		return err
	}
	const name = "sudo-99-1.noarch.rpm"
	if err := r.ours.Signer.RPM(ctx, filepath.Join(scratch, "RPMS/noarch", name), filepath.Join(dir, ownRPMs, name)); err != nil {
		return err
	}
	return r.reindex(ctx, dir)
}
