package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/apkfile"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/verify"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/apkindex"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/client"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/repo/host"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// apkKeys is the package for apk that every repository has: the one with the keys.
const apkKeys = "spire-keys"

// apkHead is the index for apk on this machine.
var apkHead = "apk/" + architecture.Own().RPM + "/APKINDEX.tar.gz"

// apkCase is a way to break what apk reads, and what is said to it.
type apkCase struct {
	name string
	do   func(ctx context.Context, r *rehearsal, dir string) error
	want string
}

var apkCases = []apkCase{
	{"apk-foreign", apkChanged(apkHead, func(ctx context.Context, r *rehearsal, f *apkfile.File) (err error) {
		f.Signature, err = r.foreign.Signer.Raw(ctx, f.Control)
		return err
	}), "bad signature"},
	{"apk-foreign-named", apkChanged(apkHead, func(ctx context.Context, r *rehearsal, f *apkfile.File) (err error) {
		f.Key = r.foreign.Signer.RawKey()
		f.Signature, err = r.foreign.Signer.Raw(ctx, f.Control)
		return err
	}), "it is signed by the key"},
	{"apk-unsigned", apkChanged(apkHead, func(_ context.Context, _ *rehearsal, f *apkfile.File) error {
		f.Signature = nil
		return nil
	}), "it is not signed"},
	{"apk-list", apkChanged(apkHead, func(_ context.Context, _ *rehearsal, f *apkfile.File) error {
		entries, err := apkfile.Entries(f.Control)
		if err != nil {
			return err
		}
		last := len(entries) - 1
		entries[last].Content = bytes.Replace(entries[last].Content, []byte("P:"+apkKeys), []byte("P:other"), 1)
		f.Control, err = apkfile.Stream(true, entries...)
		return err
	}), "bad signature"},
	{"apk-payload", apkChanged("apk/*/"+apkKeys+"-*.apk", func(_ context.Context, _ *rehearsal, f *apkfile.File) (err error) {
		f.Data, err = apkfile.Stream(true)
		return err
	}), "reading a part of it"},
	{"apk-other", apkChanged("apk/*/"+apkKeys+"-*.apk", func(_ context.Context, _ *rehearsal, f *apkfile.File) (err error) {
		*f, err = f.WithFields(time.Now(), apkfile.Field{Name: "depend", Value: "other"})
		return err
	}), "it has more than "}, // bytes than the index says: what has as many is asked for its checksum
}

// apkChanged changes the files of the given pattern.
func apkChanged(pattern string, with func(context.Context, *rehearsal, *apkfile.File) error) func(context.Context, *rehearsal, string) error {
	return func(ctx context.Context, r *rehearsal, dir string) error {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err == nil && len(paths) == 0 {
			err = fmt.Errorf("there is no %s", pattern)
		}
		for _, path := range paths {
			err = errors.Join(err, r.changeAPK(ctx, path, with))
		}
		return err
	}
}

func (r *rehearsal) changeAPK(ctx context.Context, path string, with func(context.Context, *rehearsal, *apkfile.File) error) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := apkfile.Read(content)
	if err == nil {
		err = with(ctx, r, &file)
	}
	if err != nil {
		return err
	}
	changed, err := file.Bytes()
	if err != nil {
		return err
	}
	return artifact.WriteBytes(path, 0o644, changed)
}

// apk has our own reader, as no suite has apk, read the repository as that does, and refuse
// it broken.
func (r *rehearsal) apk(ctx context.Context) error {
	if err := r.readAPK(ctx, good, r.now); err != nil {
		return fmt.Errorf("the repository that nobody has broken: %w", err)
	}
	errs := []error{r.replayedAPK(ctx)}
	for _, broken := range apkCases {
		if err := r.clone(ctx, broken.name); err != nil {
			return err
		}
		if err := broken.do(ctx, r, filepath.Join(r.www, broken.name)); err != nil {
			return fmt.Errorf("making the repository %s: %w", broken.name, err)
		}
		errs = append(errs, refused(broken.name, r.readAPK(ctx, broken.name, r.now), broken.want))
	}
	return errors.Join(errs...)
}

// refused is an error unless a repository was refused with these words.
func refused(name string, err error, want string) error {
	if err != nil && strings.Contains(err.Error(), want) {
		return nil
	}
	return fmt.Errorf("%s: expected to be refused with %q, got %w", name, want, err)
}

// readAPK reads the package with the keys in the repository of a name, at a time.
func (r *rehearsal) readAPK(ctx context.Context, name string, at time.Time) error {
	from, err := host.New(r.reads+"/"+name, host.Patience{Attempts: 1, Stall: time.Minute}, r.Log)
	if err != nil {
		return err
	}
	_, err = apkindex.Package(ctx, from, sign.NewKeyring(r.ours.Signer.Certificate()), apkHead, apkKeys, at)
	return err
}

// replayedAPK has an index that was signed earlier refused: by its age, or, if it is of
// these days, by who knows the public log.
func (r *rehearsal) replayedAPK(ctx context.Context) error {
	keys := sign.NewKeyring(r.ours.Signer.Certificate())
	log := verify.PublicLog{At: filepath.Join(r.www, good), Seen: filepath.Join(r.place, "seen"), Out: r.Log}
	listed, err := log.Read(ctx, keys)
	if err != nil {
		return err
	}
	old, err := client.Client{URL: r.reads + "/replayed", Trusted: keys, Log: r.Log}.Index(ctx, apkHead)
	if err != nil {
		return err
	}
	return errors.Join(
		refused("replayed", r.readAPK(ctx, "replayed", r.now.Add(8*24*time.Hour)), "it is stale"),
		refused("replayed, by the log", verify.Current(listed, old.Text, old.Signed), "the public log has it last at"))
}
