package demand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// look says where the evidence was found in the checkout in a folder; the error is what
// is missing.
func (e Evidence) look(ctx context.Context, root string) (string, error) {
	switch {
	case e.SignedAfter != "":
		return signedOff(ctx, root, e.SignedAfter)
	case e.NoneTracked != "":
		return noneTracked(ctx, root, e.NoneTracked)
	}
	return e.read(root)
}

// lookAll is look for several; the places are joined by commas.
func lookAll(ctx context.Context, root string, all []Evidence) (string, error) {
	var places []string
	var errs []error
	for _, evidence := range all {
		place, err := evidence.look(ctx, root)
		places, errs = append(places, place), append(errs, err)
	}
	return strings.Join(places, ", "), errors.Join(errs...)
}

// read looks into files.
func (e Evidence) read(root string) (string, error) {
	files, err := fs.Glob(os.DirFS(root), e.Files)
	if err != nil {
		return "", fmt.Errorf("%s: %w", e.Files, err)
	}
	if len(files) == 0 {
		return "", fmt.Errorf("there is no %s", e.Files)
	}
	var errs []error
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root, file))
		errs = append(errs, err)
		if err == nil {
			errs = append(errs, e.faults(file, content)...)
		}
	}
	return e.Files, errors.Join(errs...)
}

// faults are what a file lacks, and what it should.
func (e Evidence) faults(file string, content []byte) (errs []error) {
	for _, pattern := range e.Has {
		if !pattern.Match(content) {
			errs = append(errs, fmt.Errorf("%s has nothing of the form %s", file, pattern))
		}
	}
	for _, pattern := range e.Lacks {
		if found := pattern.Find(content); found != nil {
			errs = append(errs, fmt.Errorf("%s has %q", file, found))
		}
	}
	return errs
}

// logFormat has of each commit its hash, its author's name and address, and those by
// whom it is signed off, each a line of "NAME <ADDRESS>"; after that a byte 0.
const logFormat = "--format=%h%n%an%n%ae%n%(trailers:key=Signed-off-by,valueonly)%x00"

// signedOff looks for commits after one that their authors have not signed off. Merges
// add nothing of their own; a bot, such as what opens the pull requests here, can certify
// nothing, and whoever merges its commits answers for them.
func signedOff(ctx context.Context, root, after string) (string, error) {
	if err := run.New("git", "merge-base", "--is-ancestor", after, "HEAD").In(root).Run(ctx); err != nil {
		return "", fmt.Errorf("the history does not go back to %.12s, so nothing is known of its commits; `git fetch --unshallow` gets the rest: %w", after, err)
	}
	log, err := run.New("git", "log", "--no-merges", "-z", logFormat, after+"..HEAD").In(root).Output(ctx)
	if err != nil {
		return "", err
	}
	var unsigned []string
	commits := 0
	for commit := range strings.SplitSeq(log, "\x00") {
		lines := strings.Split(strings.TrimSpace(commit), "\n")
		if len(lines) < 3 {
			continue // the end
		}
		if commits++; !isSigned(lines[1], lines[2], lines[3:]) {
			unsigned = append(unsigned, lines[0])
		}
	}
	if len(unsigned) > 0 {
		return "", fmt.Errorf("%s: not signed off by the author; `git rebase --signoff` mends what nobody else has", strings.Join(unsigned, ", "))
	}
	return fmt.Sprintf("commits after %.12s: %d", after, commits), nil
}

// isSigned says whether an author is among those who signed off.
func isSigned(name, address string, by []string) bool {
	if strings.HasSuffix(name, "[bot]") {
		return true
	}
	for _, one := range by {
		if strings.EqualFold(one, name+" <"+address+">") {
			return true
		}
	}
	return false
}

// magics are the first bytes of what no reviewer can read: programs, and archives of
// compiled code.
var magics = map[string]string{
	"\x7fELF":          "a program of ELF's",
	"MZ":               "a program of Windows'",
	"\xcf\xfa\xed\xfe": "a program of macOS'",
	"\xca\xfe\xba\xbe": "a program of macOS', or Java's",
	"\x00asm":          "WebAssembly",
	"!<arch>\n":        "an archive of ar's",
	"PK\x03\x04":       "a zip or jar",
	"\xed\xab\xee\xdb": "an rpm",
}

func program(content []byte) string {
	for magic, what := range magics {
		if bytes.HasPrefix(content, []byte(magic)) {
			return what
		}
	}
	return ""
}

// keyForm is a private key in PEM or armour, perhaps with headers: a first line alone, as
// tests and texts have it, is none.
var keyForm = regexp.MustCompile(`-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----\r?\n(.*\n){0,4}[A-Za-z0-9+/]{40}`)

func privateKey(content []byte) string {
	if keyForm.Match(content) {
		return "a private key"
	}
	return ""
}

// untracked are the kinds of file that nobody commits; each says what a content is, if it
// is of that kind.
var untracked = map[string]func(content []byte) string{"programs": program, "private keys": privateKey}

// noneTracked looks for files of a kind among those that git tracks.
func noneTracked(ctx context.Context, root, kind string) (string, error) {
	list, err := run.New("git", "ls-files", "-z").In(root).Output(ctx)
	if err != nil {
		return "", err
	}
	files := strings.Split(strings.TrimSuffix(list, "\x00"), "\x00")
	var errs []error
	for _, file := range files {
		content, err := regular(filepath.Join(root, file))
		if what := untracked[kind](content); what != "" {
			err = fmt.Errorf("%s is %s", file, what)
		}
		errs = append(errs, err)
	}
	return fmt.Sprintf("no %s among %d files", kind, len(files)), errors.Join(errs...)
}

// regular is the content of a file; nothing of a link, and of what is deleted and still
// tracked.
func regular(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	return os.ReadFile(path)
}
