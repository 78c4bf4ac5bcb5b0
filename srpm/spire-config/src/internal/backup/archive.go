// Package backup keeps a server in one file, and brings it back: its configuration, its
// keys and its datastore. Without the last two, the file is for another server of the
// same trust domain.
package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// form is the one that this program writes and reads.
const form = 1

// The folders of the archive.
const (
	configFolder = "config"
	stateFolder  = "state"
	unitFolder   = "unit"
)

const manifestName = "manifest.json"

// A manifest says what an archive has. It is the archive's first file.
type manifest struct {
	Form        int       `json:"spire_server_archive"`
	TrustDomain string    `json:"trust_domain"`
	Version     string    `json:"spire_version"`
	Database    string    `json:"database"`
	DataDir     string    `json:"data_dir"`
	Created     time.Time `json:"created"`
	Files       []file    `json:"files"`
	// Roots are the SHA-256 digests of the trust domain's root certificates, where the
	// archive is an invitation for another server, without any keys.
	Roots []string `json:"roots,omitempty"`
}

// invitation says that the archive is for another server, and not the same one again.
func (m manifest) invitation() bool { return len(m.Roots) > 0 }

// A file is one of the archive.
type file struct {
	// Name is below one of the archive's folders.
	Name   string      `json:"name"`
	Mode   fs.FileMode `json:"mode"`
	Size   int64       `json:"size"`
	SHA256 string      `json:"sha256"`
	// Service says that it is the service's own, and not root's.
	Service bool `json:"service,omitempty"`
	// source is where it is on the disk.
	source string
}

// The reasons not to take a file.
var (
	errForeign  = errors.New("it is no archive of a SPIRE server, as spire-config server backup and server invite make them")
	errNewer    = errors.New("it is of a newer form than this spire-config knows: upgrade the package spire-config here")
	errChecksum = errors.New("checksum mismatch: it was cut off or changed on the way")
	// Of two servers with the same keys each would undo what the other has made.
	errBackup     = errors.New("it is a backup, whose keys two servers must not have: spire-config server invite makes an invitation for another one")
	errInvitation = errors.New("it is an invitation for another server, and has neither keys nor entries: take it by spire-config server join")
)

func write(out io.Writer, m manifest) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	archive := tar.NewWriter(out)
	if err := archive.WriteHeader(header(manifestName, int64(len(text)), 0o600, m.Created)); err != nil {
		return err
	}
	if _, err := archive.Write(text); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := f.write(archive, m.Created); err != nil {
			return fmt.Errorf("backing up %s: %w", f.source, err)
		}
	}
	return archive.Close()
}

func header(name string, size int64, mode fs.FileMode, when time.Time) *tar.Header {
	return &tar.Header{Name: name, Size: size, Mode: int64(mode.Perm()), ModTime: when, Format: tar.FormatPAX}
}

func (f file) write(archive *tar.Writer, when time.Time) error {
	if err := archive.WriteHeader(header(f.Name, f.Size, f.Mode, when)); err != nil {
		return err
	}
	source, err := f.open()
	if err != nil {
		return err
	}
	defer source.Close()
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(archive, sum), source); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return errors.New("it changes while it is read")
	}
	return nil
}

// errPlanted is what a file of the state is not read for. A second name of another's file is
// as good as a link to it.
var errPlanted = errors.New("it is a link, a second name of another file, or no file at all: whoever owns the folder may have put it there, and root does not read it")

// open opens the file on the disk. The state's folder is the service's, who can put
// something else in its place at any time: what is open is looked at, and not its name.
func (f file) open() (*os.File, error) {
	if !strings.HasPrefix(f.Name, stateFolder+"/") {
		return os.Open(f.source)
	}
	// Nor does a fifo without a writer keep this waiting.
	source, err := os.OpenFile(f.source, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) { // a link, or a socket
		return nil, errPlanted
	}
	if err != nil {
		return nil, err
	}
	info, err := source.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Sys().(*syscall.Stat_t).Nlink != 1) {
		err = errPlanted
	}
	if err != nil {
		return nil, errors.Join(err, source.Close())
	}
	return source, nil
}

// read goes through an archive: it hands each file to take, and then says whether it was
// whole.
func read(in io.Reader, take func(file, io.Reader) error) (manifest, error) {
	archive := tar.NewReader(in)
	m, err := readManifest(archive)
	if err != nil {
		return m, err
	}
	for _, f := range m.Files {
		head, err := archive.Next()
		if err != nil || head.Name != f.Name || head.Size != f.Size {
			return m, errChecksum
		}
		if err := f.read(archive, take); err != nil {
			return m, err
		}
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return m, errChecksum
	}
	return m, nil
}

func (f file) read(archive io.Reader, take func(file, io.Reader) error) error {
	sum := sha256.New()
	content := io.TeeReader(archive, sum)
	if err := take(f, content); errors.Is(err, io.ErrUnexpectedEOF) {
		return errChecksum
	} else if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return errChecksum
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
		return errChecksum
	}
	return nil
}

// No configuration has so many files.
const longestManifest = 1 << 20

func readManifest(archive *tar.Reader) (manifest, error) {
	var m manifest
	head, err := archive.Next()
	if err != nil || head.Name != manifestName || head.Size > longestManifest {
		return m, errForeign
	}
	if err := json.NewDecoder(archive).Decode(&m); err != nil || m.Form < 1 {
		return m, errForeign
	}
	if m.Form > form {
		return m, errNewer
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		if !sound(f.Name) || seen[f.Name] {
			return m, fmt.Errorf("%w: a file of it is called %q", errForeign, f.Name)
		}
		seen[f.Name] = true
	}
	return m, nil
}

// sound says whether a name stays in its folder.
func sound(name string) bool {
	folder, rest, ok := strings.Cut(name, "/")
	known := folder == configFolder || folder == stateFolder || folder == unitFolder
	return ok && known && rest != "" && fs.ValidPath(rest) && path.Clean(name) == name
}
