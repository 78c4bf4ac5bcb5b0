// Package source turns module@version, or a local directory, into a source
// tree that is verified, patched and vendored.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tarball"
)

// Request says which source is wanted.
type Request struct {
	Version string // bare version; for a local directory empty means the directory's own
	Dir     string // local directory instead of the module proxy
	// AllowUnchecked takes a module although Go's checksum database is switched
	// off for it. The result is marked as unverified.
	AllowUnchecked bool
	// Part leaves out dependencies that cannot be had: for who builds programs only
	// that do without.
	Part bool
}

// Fetcher makes source trees.
type Fetcher struct {
	Source pkgdef.Source
	Dist   artifact.Dist
	Log    io.Writer // progress, a line each step
	// Databases are values of GOSUMDB that count beside Go's own public database:
	// that of a test.
	Databases []string
	// Background runs beside the making of a tree, most of which keeps one
	// processor busy; its context ends with it. nil means nothing does.
	Background func(context.Context)
}

// Fetch gives the tree for the request: the one that an earlier run made, when
// nothing that it was made from has changed, or a new one. What cannot be
// verified is an error.
func (f Fetcher) Fetch(ctx context.Context, want Request) (artifact.Tree, error) {
	asked, err := f.ask(ctx, want)
	if err != nil {
		return artifact.Tree{}, err
	}
	if earlier, ok := f.earlier(asked); ok {
		return earlier, nil
	}
	tree, err := f.make(ctx, asked)
	if err != nil {
		return artifact.Tree{}, fmt.Errorf("preparing the source of %s %s: %w", f.Source.Module, asked.tree.Version, err)
	}
	return tree, nil
}

// asked is a request whose words have been checked.
type asked struct {
	Request
	tree artifact.Tree // what is known of it before anything was fetched
	key  string        // names all that the tree is made from

	folder folder // local directory, if it is no module
}

func (f Fetcher) ask(ctx context.Context, want Request) (asked, error) {
	result := asked{Request: want, tree: artifact.Tree{Module: f.Source.Module, Version: want.Version, Verified: true}}
	content := ""
	var err error
	switch {
	case want.Dir != "":
		result.tree, result.folder, err = f.local(ctx, want)
		if err == nil {
			content, err = result.folder.hash()
		}
	case f.Source.Own != "":
		result.tree, result.folder, err = f.own(ctx, want.Version)
	default:
		err = pkgdef.CheckVersion(want.Version)
	}
	if err != nil {
		return asked{}, err
	}
	if result.tree.Patches, err = digests(f.Source.Patches); err != nil {
		return asked{}, err
	}
	result.key = artifact.Key(result.tree, content, f.Source.Toolchain, f.Source.Releases[result.tree.Version], want.Part)
	return result, nil
}

// record is what a later run needs to know of a finished tree.
type record struct {
	Key  string
	Tree artifact.Tree
}

func (f Fetcher) dir(tree artifact.Tree) string { return f.Dist.Work(tree.FullVersion(), "source") }
func (f Fetcher) record(tree artifact.Tree) string {
	return f.Dist.Work(tree.FullVersion(), "source.json")
}
func (f Fetcher) upstream(tree artifact.Tree) string {
	return f.Dist.Work(tree.FullVersion(), "upstream.tar")
}

// earlier finds the tree of an earlier run, if it was made from the same.
// Whether its files are still as they were is checked by whoever compiles
// them (Check): most runs need none of them.
func (f Fetcher) earlier(want asked) (artifact.Tree, bool) {
	found, ok, err := artifact.Load[record](f.record(want.tree))
	if err != nil || !ok || found.Key != want.key {
		return artifact.Tree{}, false
	}
	found.Tree.Dir, found.Tree.Upstream = f.dir(found.Tree), f.upstream(found.Tree)
	_, err = os.Stat(found.Tree.Dir)
	_, err2 := os.Stat(found.Tree.Upstream)
	return found.Tree, err == nil && err2 == nil
}

// make makes the tree: located, copied, patched, vendored.
func (f Fetcher) make(ctx context.Context, want asked) (artifact.Tree, error) {
	if want.Dir == "" {
		verified, err := f.checkable(ctx, want)
		if err != nil {
			return artifact.Tree{}, err
		}
		want.tree.Verified = verified
	}
	goTool, err := gotool.Verified(ctx, f.Source.Toolchain)
	if err != nil {
		return artifact.Tree{}, err
	}
	from, err := f.origin(ctx, goTool, want)
	if err != nil {
		return artifact.Tree{}, err
	}
	defer run.Beside(ctx, f.Background)()
	tree := from.tree
	tree.Dir, tree.Upstream = f.dir(tree), f.upstream(tree)
	// The folder is made inside the archive's making, so that both get their
	// names, one right after the other, only when both are whole.
	err = artifact.Write(tree.Upstream, 0o644, func(w io.Writer) error {
		return artifact.MakeDir(tree.Dir, func(dir string) error {
			return f.fill(ctx, goTool, dir, from, &tree, w)
		})
	})
	if err != nil {
		return artifact.Tree{}, err
	}
	tree.Fresh = true
	return tree, artifact.Save(f.record(tree), record{Key: want.key, Tree: tree})
}

// origin finds where the tree comes from.
func (f Fetcher) origin(ctx context.Context, goTool gotool.Go, want asked) (origin, error) {
	if want.folder.dir != "" {
		return origin{tree: want.tree, folder: want.folder, part: want.Part}, nil
	}
	return f.download(ctx, goTool, want)
}

// origin is where a tree comes from, and what is known of it.
type origin struct {
	tree   artifact.Tree
	zip    string // verified module zip; empty for a local directory
	folder folder // local directory, if it is no module
	part   bool   // see Request
}

// checkable says whether the checksum database will vouch for the module, and
// for the toolchain that compiles it.
func (f Fetcher) checkable(ctx context.Context, want asked) (bool, error) {
	settings, err := gotool.Find(ctx, "local")
	if err != nil {
		return false, err
	}
	modules := []string{f.Source.Module, gotool.Module}
	if f.Source.Own != "" { // whoever vouches for the checkout does so for it
		modules = modules[1:]
	}
	for _, module := range modules {
		why := settings.Unchecked(module, f.Databases...)
		switch {
		case why == "":
		case want.AllowUnchecked:
			fmt.Fprintf(f.Log, "source: NOT VERIFIED: %s\n", why)
			return false, nil
		default:
			return false, fmt.Errorf("the checksum database cannot vouch for %s: %s; or say -unchecked (SPIRE_UNCHECKED=1) to build packages that are marked as unverified", module, why)
		}
	}
	return true, nil
}

// downloaded is the part of `go mod download -json` that is used here.
type downloaded struct {
	Info, Zip, Sum, Error string
}

func (f Fetcher) download(ctx context.Context, goTool gotool.Go, want asked) (origin, error) {
	fmt.Fprintf(f.Log, "source: downloading %s@v%s\n", f.Source.Module, want.Version)
	out, err := goTool.Command("mod", "download", "-json", f.Source.Module+"@v"+want.Version).In(os.TempDir()).Output(ctx)
	var got downloaded
	if json.Unmarshal([]byte(out), &got) != nil && err != nil {
		return origin{}, fmt.Errorf("the go command could not download it: %w", err)
	}
	if got.Error != "" {
		return origin{}, fmt.Errorf("the go command could not download it: %s", got.Error)
	}
	if err := checkZip(got); err != nil {
		return origin{}, err
	}
	tree := want.tree
	tree.Sum = got.Sum
	err = f.identify(&tree, got.Info)
	return origin{tree: tree, zip: got.Zip, part: want.Part}, err
}

// checkZip hashes the zip itself: the go command trusts what is in its cache.
func checkZip(got downloaded) error {
	sum, err := dirhash.HashZip(got.Zip, dirhash.Hash1)
	if err != nil {
		return fmt.Errorf("hashing %s: %w: the module cache is damaged, remove it with `go clean -modcache`", got.Zip, err)
	}
	if sum != got.Sum {
		return fmt.Errorf("%s has the hash %s, but the checksum database says %s: the module cache is damaged or was tampered with; remove it with `go clean -modcache`", got.Zip, sum, got.Sum)
	}
	return nil
}

// identify sets the tree's commit and time, from what the module proxy says
// and from what source.yaml knows, which must agree.
func (f Fetcher) identify(tree *artifact.Tree, infoFile string) error {
	content, err := os.ReadFile(infoFile)
	if err != nil {
		return fmt.Errorf("reading what the module proxy says of the version: %w", err)
	}
	var info struct {
		Time   time.Time
		Origin struct{ Hash string }
	}
	if err := json.Unmarshal(content, &info); err != nil {
		return fmt.Errorf("%s: %w", infoFile, err)
	}
	tree.Time, tree.Commit = info.Time.UTC(), info.Origin.Hash
	pin, known := f.Source.Releases[tree.Version]
	if !known {
		if tree.Commit != "" {
			tree.CommitBy = artifact.ProxysWord
		}
		return nil
	}
	tree.CommitBy = "srpm/" + f.Source.Name + "/source.yaml"
	if tree.Commit == "" {
		tree.Commit = pin.Commit // not every proxy passes the origin on
	}
	if tree.Sum != pin.Sum || tree.Commit != pin.Commit || !tree.Time.Equal(pin.Time) {
		return fmt.Errorf("checksum mismatch: version %s is not what it was: sum %s, commit %s, time %s; srpm/%s/source.yaml has sum %s, commit %s, time %s: find out why before anything is built from it",
			tree.Version, tree.Sum, tree.Commit, tree.Time.Format(time.RFC3339), f.Source.Name, pin.Sum, pin.Commit, pin.Time.Format(time.RFC3339))
	}
	return nil
}

// baseVersion is upstream's line that names the version of a source tree.
var baseVersion = regexp.MustCompile(`(?m)^\s*Base = "([^"]*)"$`)

// local takes a directory as it is, and says which content it has. Its version
// is its own; its time is the release's, or fixed, because a directory has
// none that two people would agree on.
func (f Fetcher) local(ctx context.Context, want Request) (tree artifact.Tree, from folder, err error) {
	dir, err := filepath.Abs(want.Dir)
	if err != nil {
		return artifact.Tree{}, from, err
	}
	version, err := f.localVersion(dir, want.Version)
	if err != nil {
		return artifact.Tree{}, from, err
	}
	if want.Version != "" && want.Version != version {
		return artifact.Tree{}, from, fmt.Errorf("%s holds version %s, not %s", dir, version, want.Version)
	}
	if from, err = open(ctx, dir); err != nil {
		return artifact.Tree{}, from, err
	}
	fmt.Fprintf(f.Log, "source: NOT VERIFIED: local directory %s\n", dir)
	for _, note := range from.notes {
		fmt.Fprintf(f.Log, "source: %s\n", note)
	}
	tree = artifact.Tree{Module: f.Source.Module, Version: version, Time: time.Unix(0, 0).UTC()}
	if pin, ok := f.Source.Releases[version]; ok {
		tree.Time = pin.Time.UTC()
	}
	return tree, from, nil
}

// own takes the source that is in the checkout, whose sum is the one that the checksum
// database would have of it as a module.
func (f Fetcher) own(ctx context.Context, version string) (tree artifact.Tree, from folder, err error) {
	if version != f.Source.Version {
		return tree, from, fmt.Errorf("%s %s is not in this checkout, which has %s: take the checkout of its release", f.Source.Name, version, f.Source.Version)
	}
	if from, err = open(ctx, f.Source.Own); err != nil {
		return tree, from, err
	}
	tree = artifact.Tree{Module: f.Source.Module, Version: version, Time: f.Source.Time.UTC(), Verified: true}
	tree.Sum, err = artifact.HashFiles(from.dir, tree.Module+"@v"+version, from.files)
	return tree, from, err
}

// localVersion is what the directory says that it is, in the file where SPIRE and what is
// made as SPIRE says it. Where that is not there, it is what was asked for.
func (f Fetcher) localVersion(dir, asked string) (string, error) {
	file := filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(variablePackage(f.Source), f.Source.Module+"/")), "version.go")
	content, err := os.ReadFile(file)
	if asked != "" && errors.Is(err, fs.ErrNotExist) {
		return asked, pkgdef.CheckVersion(asked)
	}
	if err != nil {
		return "", fmt.Errorf("%s is not a source tree of %s that says its version, which -version can say: %w", dir, f.Source.Module, err)
	}
	match := baseVersion.FindSubmatch(content)
	if match == nil {
		return "", fmt.Errorf("%s names no version", file)
	}
	if err := pkgdef.CheckVersion(string(match[1])); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return string(match[1]), nil
}

// variablePackage is the import path of the package with the version variable.
func variablePackage(s pkgdef.Source) string {
	return s.VersionVariable[:strings.LastIndex(s.VersionVariable, ".")]
}

// fill makes the tree in dir: copied, archived, patched, vendored. What it
// learns of the content goes into tree.
func (f Fetcher) fill(ctx context.Context, goTool gotool.Go, dir string, from origin, tree *artifact.Tree, archive io.Writer) (err error) {
	if err := f.copy(dir, from); err != nil {
		return err
	}
	// What upstream keeps of its dependencies is made anew, and then in an archive of its
	// own: a module's zip has no more than the list of it.
	if err := os.RemoveAll(filepath.Join(dir, "vendor")); err != nil {
		return fmt.Errorf("removing upstream's own vendor folder: %w", err)
	}
	if tree.UpstreamSHA256, err = f.archive(archive, dir, *tree); err != nil {
		return err
	}
	if err := f.patch(ctx, dir); err != nil {
		return err
	}
	if err := f.vendor(ctx, goTool, dir, from); err != nil {
		return err
	}
	if tree.Hash, err = artifact.HashTree(dir, ""); err != nil {
		return err
	}
	// What it says is not true of the tree that takes the old one's place.
	return os.RemoveAll(f.record(*tree))
}

// archive writes the tree as it came, for the source packages, and gives the
// archive's SHA-256.
func (f Fetcher) archive(w io.Writer, dir string, tree artifact.Tree) (string, error) {
	sum := sha256.New()
	archive := tarball.New(io.MultiWriter(w, sum), tree.Time)
	err := errors.Join(archive.Tree(f.Source.Name+"-"+tree.FullVersion(), dir), archive.Close())
	return hex.EncodeToString(sum.Sum(nil)), err
}

func (f Fetcher) copy(dir string, from origin) error {
	if from.zip == "" {
		fmt.Fprintf(f.Log, "source: copying %s\n", from.folder.dir)
		return from.folder.copy(dir)
	}
	fmt.Fprintf(f.Log, "source: unpacking %s\n", from.tree.Sum)
	// From the zip that was just hashed, not from the cache's unpacked copy,
	// which anybody could have edited.
	err := zip.Unzip(dir, module.Version{Path: f.Source.Module, Version: "v" + from.tree.Version}, from.zip)
	if err != nil {
		return fmt.Errorf("unpacking %s: %w", from.zip, err)
	}
	return nil
}

func (f Fetcher) patch(ctx context.Context, dir string) error {
	for _, path := range f.Source.Patches {
		if _, err := f.apply(ctx, dir, path, "-"); err != nil {
			return err
		}
	}
	return nil
}

// apply applies one patch. What of it does not apply goes to the file rejects, or
// nowhere if that is "-"; said is what patch says.
func (f Fetcher) apply(ctx context.Context, dir, path, rejects string) (said string, err error) {
	patch, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("opening a patch: %w", err)
	}
	defer patch.Close()
	fmt.Fprintf(f.Log, "source: applying %s\n", filepath.Base(path))
	command := run.New("patch", "--strip=1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch", "--reject-file="+rejects, "--read-only=ignore").In(dir)
	command.Stdin = patch
	said, err = command.Combined(ctx)
	if err != nil {
		err = fmt.Errorf("patch %s does not apply: refresh it for this version: %w\n%s", path, err, strings.TrimSpace(said))
	}
	return said, err
}

// fetchedAtOnce is how many dependencies are fetched at once, where they are not
// in the module cache yet. The go command by itself fetches one for each
// processor: with two of them it took 62 s for 325 modules, and this way 36 s.
const fetchedAtOnce = 32

func (f Fetcher) vendor(ctx context.Context, goTool gotool.Go, dir string, from origin) error {
	fmt.Fprintln(f.Log, "source: vendoring the dependencies")
	before, err := goSum(dir)
	if err != nil {
		return err
	}
	// What this cannot get, the next command tries again, and says why.
	_ = goTool.Command("mod", "download").In(dir).WithEnv(fmt.Sprintf("GOMAXPROCS=%d", fetchedAtOnce)).Run(ctx)
	command := goTool.Command("mod", "vendor").In(dir)
	if from.part {
		command.Args, command.Stderr = append(command.Args, "-e"), f.Log // it says what it leaves out
	}
	if err := command.Run(ctx); err != nil {
		return fmt.Errorf("vendoring the dependencies: %w", err)
	}
	after, err := goSum(dir)
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("go.sum of %s lacks dependencies, so nothing vouches for them", f.Source.Module)
	}
	return f.checkVendor(ctx, goTool, dir, from)
}

func goSum(dir string) (string, error) {
	sum, _, err := artifact.Digest(filepath.Join(dir, "go.sum"))
	if err != nil {
		return "", fmt.Errorf("reading the dependencies' checksums: %w", err)
	}
	return sum, nil
}

// checkVendor makes sure of the dependencies' content, for the go command
// copies them out of its cache unseen: by the hash that is known, or else by
// hashing every one of the cache's zips and folders against go.sum.
func (f Fetcher) checkVendor(ctx context.Context, goTool gotool.Go, dir string, from origin) error {
	hash, err := vendorHash(dir)
	if err != nil {
		return err
	}
	switch known := f.Source.Releases[from.tree.Version].Vendor; {
	case known == hash && from.zip != "":
		return nil
	case from.part: // what is left out is not in the hash that is known
	case known != "" && from.zip != "":
		return fmt.Errorf("the vendored dependencies have the hash %s, but srpm/%s/source.yaml has %s: the module cache is damaged or was tampered with; remove it with `go clean -modcache`", hash, f.Source.Name, known)
	}
	fmt.Fprintf(f.Log, "source: verifying the dependencies one by one (vendor: %s)\n", hash)
	if err := goTool.Command("mod", "verify").In(dir).Run(ctx); err != nil {
		return fmt.Errorf("verifying the dependencies: %w", err)
	}
	return nil
}

// vendorHash is the hash of the dependencies' content.
func vendorHash(dir string) (string, error) {
	hash, err := artifact.HashTree(filepath.Join(dir, "vendor"), "vendor")
	if err != nil {
		return "", fmt.Errorf("hashing the dependencies: %w", err)
	}
	return hash, nil
}

func digests(paths []string) ([]artifact.Patch, error) {
	var patches []artifact.Patch
	for _, path := range paths {
		sum, _, err := artifact.Digest(path)
		if err != nil {
			return nil, fmt.Errorf("reading a patch: %w", err)
		}
		patches = append(patches, artifact.Patch{Name: filepath.Base(path), SHA256: sum})
	}
	return patches, nil
}
