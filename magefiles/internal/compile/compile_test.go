package compile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/architecture"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/gotool/gotooltest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pkgdef"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/tool"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/toolroot"
)

var source = pkgdef.Source{
	Name:            "upstream",
	VersionVariable: "example.org/upstream/pkg/version.gittag", CommitVariable: "example.org/upstream/pkg/version.githash",
}

// Every path that makes a binary must use the same flags; a change of them
// changes every binary, so it is made here too.
func TestFlags(t *testing.T) {
	for stamp, tree := range map[string]artifact.Tree{
		"example.org/upstream/pkg/version.gittag=1.2.3":       {Version: "1.2.3", Verified: true},
		"example.org/upstream/pkg/version.githash=unverified": {Version: "1.2.3"},
	} {
		want := []string{
			"-trimpath", "-tags=netgo,osusergo", "-gcflags=all=-dwarf=false", "-mod=vendor", "-buildvcs=false",
			"-ldflags=-s -w -X " + stamp + " -extldflags -static",
		}
		if diff := cmp.Diff(want, Flags(source, tree)); diff != "" {
			t.Error(diff)
		}
	}
}

// Upstream may have one variable alone.
func TestStampOfOneVariable(t *testing.T) {
	one := pkgdef.Source{Name: "upstream", VersionVariable: "main.version"}
	for stamp, tree := range map[string]artifact.Tree{
		"main.version=1.2.3":                {Version: "1.2.3", Verified: true},
		"main.version=1.2.3-dev-unverified": {Version: "1.2.3"},
	} {
		if flags := strings.Join(Flags(one, tree), " "); !strings.Contains(flags, "-X "+stamp+" -extldflags") {
			t.Errorf("%s, want %s", flags, stamp)
		}
	}
}

func TestEnv(t *testing.T) {
	want := []string{
		"GOOS=linux", "GOARCH=arm64", "GOAMD64=v1", "GOARM64=v8.0", "GOPPC64=power8", "GORISCV64=rva20u64", "GOFIPS140=off",
		"CGO_ENABLED=1", "CC=x-gcc", "CGO_CFLAGS=-O2 -fno-ident", "CGO_CPPFLAGS=", "CGO_LDFLAGS=-O2",
	}
	if diff := cmp.Diff(want, Env("arm64", "x-gcc")); diff != "" {
		t.Error(diff)
	}
	if env := Env("ppc64le", "x-gcc"); !slices.Contains(env, "CGO_CFLAGS=-O2 -fno-ident -mlong-double-64") {
		t.Errorf("for ppc64le it is %q", env)
	}
}

func TestReported(t *testing.T) {
	for want, tree := range map[string]artifact.Tree{
		"1.2.3":                {Version: "1.2.3", Verified: true},
		"1.2.3-dev-unverified": {Version: "1.2.3"},
	} {
		if got := Reported(tree); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func needMusl(t *testing.T) {
	t.Helper()
	if err := tool.Need("musl-gcc"); err != nil {
		t.Skip(err)
	}
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCheckStatic(t *testing.T) {
	needMusl(t)
	dir := t.TempDir()
	program := write(t, filepath.Join(dir, "main.c"), "#include <stdio.h>\nint main(void) { return puts(\"x\"); }\n")
	machine := architecture.Own().ELF
	other := elf.EM_S390
	for name, test := range map[string]struct {
		flags   []string
		machine elf.Machine
		want    string // of the error
	}{
		"static":                          {[]string{"-static"}, machine, ""},
		"wrong machine":                   {[]string{"-static"}, other, "it is for " + machine.String() + ", not EM_S390"},
		"dynamic":                         {nil, machine, "it is not static: it names an interpreter"},
		"needs a library, no interpreter": {[]string{"-shared", "-fPIC"}, machine, "it is not static: it needs libc.so"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if said, err := run.New("musl-gcc", append(test.flags, "-o", out, program)...).Combined(t.Context()); err != nil {
				t.Fatal(err, said)
			}
			wantError(t, CheckStatic(out, test.machine), test.want)
		})
	}
	wantError(t, CheckStatic(program, machine), "reading it as ELF")
	wantError(t, CheckStatic(filepath.Join(dir, "absent"), machine), "reading it as ELF")
}

// A program is read in its own byte order.
func TestByteOrder(t *testing.T) {
	for order, data := range map[binary.ByteOrder]elf.Data{binary.LittleEndian: elf.ELFDATA2LSB, binary.BigEndian: elf.ELFDATA2MSB} {
		head := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_S390), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64}
		copy(head.Ident[:], []byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(data), byte(elf.EV_CURRENT)})
		var file bytes.Buffer
		if err := binary.Write(&file, order, head); err != nil {
			t.Fatal(err)
		}
		path := write(t, filepath.Join(t.TempDir(), "program"), file.String())
		wantError(t, CheckStatic(path, elf.EM_S390), "")
		wantError(t, CheckStatic(path, elf.EM_X86_64), "it is for EM_S390, not EM_X86_64")
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("the error is %v, want %q", err, want)
	}
}

// versionSource is upstream's way of knowing its own version.
const versionSource = `package version

const Base = "1.2.3"

var gittag, githash string

func Version() string {
	switch {
	case gittag != "":
		return gittag
	case githash != "":
		return Base + "-dev-" + githash
	}
	return Base + "-dev-unk"
}
`

// tree is a source tree with a command in Go alone and one with C.
func tree(t *testing.T, verified bool) artifact.Tree {
	t.Helper()
	dir := t.TempDir()
	// println has no dependencies, so that little must be compiled.
	const body = "package main\n\nimport %\n\nfunc main() { println(version.Version()) }\n"
	imports := `"example.org/upstream/pkg/version"`
	for name, content := range map[string]string{
		"go.mod":                 "module example.org/upstream\n\ngo 1.21\n",
		"vendor/modules.txt":     "",
		"pkg/version/version.go": versionSource,
		"cmd/plain/main.go":      strings.Replace(body, "%", imports, 1),
		"cmd/with-c/main.go": `package main

/*
#cgo CFLAGS: -I.
#include <string.h>
*/
import "C"

import ` + imports + `

func main() {
	if C.strlen(C.CString("four")) != 4 {
		panic("C does not work")
	}
	println(version.Version())
}
`,
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), content)
	}
	tree := artifact.Tree{Module: "example.org/upstream", Version: "1.2.3", Verified: verified, Dir: dir}
	return rehash(t, tree)
}

func rehash(t *testing.T, tree artifact.Tree) artifact.Tree {
	t.Helper()
	hash, err := artifact.HashTree(tree.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	tree.Hash = hash
	return tree
}

// other is an architecture that is not this machine's.
var other = map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]

var commands = []string{"cmd/plain", "cmd/with-c"}

func compiler(t *testing.T) (c Compiler, log *strings.Builder) {
	t.Helper()
	needMusl(t)
	log = new(strings.Builder)
	source := source
	source.Toolchain, source.Tools = gotooltest.Install(t), ownTools(t)
	return Compiler{
		Source: source, Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")),
		Tools: toolroot.Finder{Cache: t.TempDir(), Log: io.Discard}, Log: log,
	}, log
}

// ownTools are those that this machine has; where it is no Debian, others.
func ownTools(t *testing.T) pkgdef.Tools {
	t.Helper()
	tools := pkgdef.Tools{
		Suite: "bookworm", Native: map[string]string{"musl-dev": "0"}, Linked: map[string]string{"the-c-library": "musl-dev"}, Compilers: []string{"musl-dev"},
	}
	if version, err := run.New("dpkg-query", "--show", "--showformat=${Version}", "musl-dev").Output(t.Context()); err == nil {
		tools.Native["musl-dev"] = version
	}
	return tools
}

func compiled(t *testing.T, c Compiler, tree artifact.Tree) (Info, bool) {
	t.Helper()
	info, done, err := c.Compile(t.Context(), tree, commands, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	return info, done
}

func TestCompile(t *testing.T) {
	c, log := compiler(t)
	for _, verified := range []bool{true, false} {
		tree := tree(t, verified)
		info, done := compiled(t, c, tree)
		if done {
			t.Error("nothing was compiled")
		}
		if len(info.Binaries) != 2 || info.Binaries[0].Name != "plain" || info.Binaries[1].Name != "with-c" {
			t.Fatalf("%+v", info.Binaries)
		}
		for _, binary := range info.Binaries {
			said, err := run.New(binary.Path).Combined(t.Context())
			if want := Reported(tree) + "\n"; err != nil || said != want {
				t.Errorf("%s says %q, %v; want %q", binary.Name, said, err, want)
			}
			sum, size, err := artifact.Digest(binary.Path)
			if err != nil || binary.SHA256 != sum || binary.Size != size || filepath.Dir(binary.Path) != c.Dist.Work(tree.FullVersion(), runtime.GOARCH, "bin") {
				t.Errorf("%+v is not what is there (%v)", binary, err)
			}
			wantMade(t, c, binary)
		}
	}
	if !strings.Contains(log.String(), "compile "+runtime.GOARCH+": ") || !strings.Contains(log.String(), " packages compiled, the rest was there, ") {
		t.Errorf("the log: %s", log)
	}
}

// wantMade makes sure that Go is named, and, only where there is C, what the source says
// of the C compiler.
func wantMade(t *testing.T, c Compiler, binary artifact.Binary) {
	t.Helper()
	version := strings.TrimPrefix(runtime.Version(), "go")
	goPart := fmt.Sprintf("golang-%s (= %s)", strings.Join(strings.Split(version, ".")[:2], "."), version)
	linked, compilers := []string{goPart}, []string{goPart}
	if musl := c.Source.Tools.Native["musl-dev"]; binary.Name == "with-c" && musl != "0" {
		linked, compilers = append(linked, "the-c-library (= "+musl+")"), append(compilers, "musl-dev (= "+musl+")")
	}
	if diff := cmp.Diff([][]string{linked, compilers}, [][]string{binary.Linked, binary.Compilers}); diff != "" {
		t.Errorf("%s is made of and by (-want +got):\n%s", binary.Name, diff)
	}
}

func TestCompileTwiceIsTheSame(t *testing.T) {
	c, _ := compiler(t)
	other, _ := compiler(t)
	first, _ := compiled(t, c, tree(t, true))
	t.Setenv("GOFLAGS", "-tags=stray")
	t.Setenv("CGO_CFLAGS", "-O0 -g")
	second, _ := compiled(t, other, tree(t, true))
	for i := range first.Binaries {
		if first.Binaries[i].SHA256 != second.Binaries[i].SHA256 {
			t.Errorf("%s differs by the place that it was built in, or by the user's settings", first.Binaries[i].Name)
		}
	}
}

// Packages with C are found in the go command's cache again, wherever the tree is.
func TestCompileElsewhereCompilesNoC(t *testing.T) {
	first, _ := compiler(t)
	compiled(t, first, tree(t, true))
	second, log := compiler(t)
	compiled(t, second, tree(t, true))
	if !strings.Contains(log.String(), ": 0 packages compiled, the rest was there, ") {
		t.Errorf("the log: %s", log)
	}
}

func TestCompileAgain(t *testing.T) {
	c, log := compiler(t)
	from := tree(t, true)
	first, _ := compiled(t, c, from)
	for name, test := range map[string]struct {
		change func(t *testing.T)
		done   bool
	}{
		"nothing changed":     {func(*testing.T) {}, true},
		"a binary is another": {func(t *testing.T) { write(t, first.Binaries[0].Path, "harm") }, false},
		"a binary is gone": {func(t *testing.T) {
			if err := os.Remove(first.Binaries[1].Path); err != nil {
				t.Fatal(err)
			}
		}, false},
		"the record is gone": {func(t *testing.T) {
			if err := os.Remove(c.Dist.Work("1.2.3", runtime.GOARCH, "binaries.json")); err != nil {
				t.Fatal(err)
			}
		}, false},
		"the record is half": {func(t *testing.T) { write(t, c.Dist.Work("1.2.3", runtime.GOARCH, "binaries.json"), "{") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			test.change(t)
			log.Reset()
			if _, ok := c.Earlier(t.Context(), from, commands, runtime.GOARCH); ok != test.done {
				t.Errorf("Earlier: %v, want %v", ok, test.done)
			}
			again, done := compiled(t, c, from)
			if done != test.done || done != (log.Len() == 0) {
				t.Errorf("done: %v, want %v; it said %q", done, test.done, log)
			}
			if diff := cmp.Diff(first, again); diff != "" {
				t.Error(diff)
			}
		})
	}
	write(t, filepath.Join(from.Dir, "new.txt"), "")
	if _, done := compiled(t, c, rehash(t, from)); done {
		t.Error("another tree, the old binaries")
	}
}

func TestCompileErrors(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, dir string)
		arch   string
		keep   bool // the hash of before the change
		want   []string
	}{
		"the binary lies": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "pkg", "version", "version.go"), strings.ReplaceAll(versionSource, "return gittag", `return "1.2.4"`))
		}, runtime.GOARCH, false, []string{"compiling upstream 1.2.3 for " + runtime.GOARCH, `plain: its version is "1.2.4", not "1.2.3"`}},
		"the binary fails": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "cmd", "with-c", "main.go"), "package main\n\nfunc main() { panic(\"no\") }\n")
		}, runtime.GOARCH, false, []string{"with-c: asking it for its version", "panic: no"}},
		"it does not compile": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "cmd", "with-c", "main.go"), "package main\n\nfunc main() { undefined() }\n")
		}, runtime.GOARCH, false, []string{"undefined: undefined", "cmd/with-c/main.go:3"}},
		"the tree is not what was verified": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "cmd", "plain", "harm.go"), "package main\n")
		}, runtime.GOARCH, true, []string{"is not what was verified", "remove it and run again"}},
		"no such architecture":                 {func(*testing.T, string) {}, "mips", false, []string{`"mips" is not one of amd64, arm64`}},
		"no compiler for another architecture": {func(*testing.T, string) {}, other, false, []string{"finding the C compiler for " + other + ": source.yaml names no tools that compile on " + runtime.GOARCH + " for " + other}},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := compiler(t)
			from := tree(t, true)
			test.change(t, from.Dir)
			if !test.keep {
				from = rehash(t, from)
			}
			info, done, err := c.Compile(t.Context(), from, commands, test.arch)
			if err == nil || done || info.Binaries != nil {
				t.Fatalf("%+v, %v, %v", info, done, err)
			}
			for _, word := range test.want {
				wantError(t, err, word)
			}
			wantNothing(t, c)
		})
	}
}

// wantNothing makes sure that no file has its final name, or is half-made.
func wantNothing(t *testing.T, c Compiler) {
	t.Helper()
	err := filepath.WalkDir(string(c.Dist), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (!d.IsDir() || d.Name() == "bin") {
			t.Errorf("there is %s", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestNoCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	source := source
	source.Tools = pkgdef.Tools{Suite: "bookworm", Native: map[string]string{"musl-dev": "0"}}
	c := Compiler{Source: source, Dist: artifact.Dist(filepath.Join(t.TempDir(), "dist")), Tools: toolroot.Finder{Cache: t.TempDir(), Log: io.Discard}}
	_, _, err := c.Compile(t.Context(), artifact.Tree{Version: "1.2.3"}, commands, runtime.GOARCH)
	wantError(t, err, "musl-gcc is missing (it compiles and links the server's sqlite): install what is needed with `"+tool.Setup+"`")
	wantNothing(t, c)
}

// Where the source's C compiler cannot be had, this machine's compiles, and the record
// says so.
func TestUnpinned(t *testing.T) {
	c, _ := compiler(t)
	from := tree(t, true)
	if info, _ := compiled(t, c, from); info.Unpinned != "" || info.Tools == nil {
		t.Errorf("with the source's: %+v", info)
	}
	musl := c.Source.Tools.Native["musl-dev"]
	c.Source.Tools.Native["musl-dev"] = "0"
	c.Source.Tools.Suite = "none"
	info, done := compiled(t, c, from)
	if done || !strings.Contains(info.Unpinned, "instead of 0, and no root with those of Debian's none can be made and entered") || info.Tools != nil {
		t.Errorf("with another: %v, %+v", done, info)
	}
	// What this machine's compiler brings is not what the source names.
	if diff := cmp.Diff([]string{"musl (= " + musl + ")"}, info.Linked); diff != "" || info.Compilers != nil {
		t.Errorf("with another: %s, %q", diff, info.Compilers)
	}
}

func TestProgress(t *testing.T) {
	var log strings.Builder
	p := &progress{log: &log, arch: "amd64", start: time.Now(), ended: make(chan struct{})}
	wantState := func(want string) {
		t.Helper()
		if got := p.state(); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	say := func(text string) {
		t.Helper()
		if n, err := p.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	wantState("compile amd64: 0 packages, ")
	say("internal/abi\nruntime\nexample.org/up")
	wantState("compile amd64: 2 packages, ")
	p.count(t.Context(), run.New("printf", `a\nb\nc\nd\n`))
	wantState("compile amd64: 2 of 4 packages, ")
	say("stream/pkg\n# example.org/upstream/pkg\npkg/x.go:3:2: undefined: y\n")
	wantState("compile amd64: 3 of 4 packages, ")
	if got := p.state(); !strings.HasSuffix(got, ": example.org/upstream/pkg") {
		t.Errorf("the package named last: %q", got)
	}
	if got, want := log.String(), "# example.org/upstream/pkg\npkg/x.go:3:2: undefined: y\n"; got != want {
		t.Errorf("passed on: %q, want %q", got, want)
	}
	p.count(t.Context(), run.New("false"))
	wantState("compile amd64: 3 of 4 packages, ")
	for terminal, want := range map[bool]string{true: "\r\x1b[Kx", false: "x\n"} {
		p.terminal = terminal
		if got := p.shape("x"); got != want {
			t.Errorf("terminal %v: %q, want %q", terminal, got, want)
		}
	}
	log.Reset()
	p.terminal = true
	p.stop()
	if got := log.String(); !strings.HasPrefix(got, "\r\x1b[Kcompile amd64: 3 packages compiled, the rest was there, ") || !strings.HasSuffix(got, "s\n") {
		t.Errorf("the last line: %q", got)
	}
}

// A plugin says that it is one, whatever its words after that; no other program does.
func TestSaysPlugin(t *testing.T) {
	for script, want := range map[string]string{
		"echo 'This binary is a plugin. These are not meant to be executed directly.' >&2; exit 1": "",
		"echo 'This binary is a plugin.'":    "it is no plugin",
		"echo 1.2.3":                         "it is no plugin",
		"echo 'unknown command' >&2; exit 1": "it is no plugin",
	} {
		err := saysPlugin(t.Context(), "sh", "-c", script)
		if (err == nil) != (want == "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", script, err)
		}
	}
}
