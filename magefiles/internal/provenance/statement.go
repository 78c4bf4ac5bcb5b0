package provenance

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// BuildType names how the parameters of a statement are to be read. In version
// 1, externalParameters are what somebody asks for: "module" and "version" of
// the source, the "release" of its packaging, and the "architectures" that
// programs are compiled for, by Go's names. internalParameters follow from
// those and this repository: "verified" says whether the checksum database
// vouches for the source; "compile" has, by architecture, the toolchain, the
// arguments of go build, the variables it runs with, the C compiler, the
// version of musl, and those of Debian's packages which both are from.
// resolvedDependencies are told apart by name:
//
//	module        the module's zip: dirHash, and the same as go.sum writes it
//	commit        that the module was released from; the annotation according-to
//	              says by whose word, for the checksum database has none
//	upstream.tar  the module's files as an uncompressed tar
//	patch NAME    applied to them, in this order
//	tree          the source as it is compiled, with patches and dependencies:
//	              dirHash over vendor/ and all else
//	packaging     this repository's commit; absent where it is not known
//	toolchain HOST  Go's module for the machine that compiled, such as linux-amd64:
//	              dirHash, and the same as go.sum writes it
//
// Building the same commit of this repository for the same externalParameters
// gives the same subjects, save for signatures.
const BuildType = Project + "/build/v1"

// LocalBuilder is the builder's name where a person builds on a machine of
// their own: nobody but that person vouches for it.
const LocalBuilder = Project + "/builder/local@v1"

// predicateType is SLSA's, as the specification has it: https://slsa.dev/provenance/v1.
const predicateType = "https://slsa.dev/provenance/v1"

// commitName is the resolved dependency that is read again.
const commitName = "commit"

// unsigned is the annotation on a subject that was signed: the SHA-256 of the
// file without the signature, which is the one that a rebuild gives.
const unsigned = "unsigned-sha256"

// goSum is the annotation with a sum as go.sum writes it, and accordingTo the one
// that says who named the commit.
const goSum, accordingTo = "go.sum", "according-to"

// Subject is one shipped file.
type Subject struct {
	Name   string // without a folder
	SHA256 string // 64 lower-case hex digits
	// Unsigned is the SHA-256 of the file before a signature was put into it;
	// empty for a file that has none.
	Unsigned string
}

// Built is the SHA-256 of the file as a build makes it.
func (s Subject) Built() string { return cmp.Or(s.Unsigned, s.SHA256) }

// Build is how the files were made.
type Build struct {
	Tree       artifact.Tree
	Repository string // upstream's, as an https address
	Release    int    // number of the packaging
	Toolchains []Toolchain
	Compiles   []Compile
	// Packaging is this repository's commit, 40 hex digits; empty if unknown.
	Packaging string
	// Builder is the address that names what ran the build: LocalBuilder, or a
	// workflow's.
	Builder string
}

// Toolchain is the Go that compiled on one machine.
type Toolchain struct {
	Module string // path@version
	Sum    string // h1
}

// Compile is how one architecture's programs were compiled.
type Compile struct {
	Arch  string   `json:"-"`     // Go's name
	Flags []string `json:"flags"` // arguments of go build
	Env   []string `json:"env"`   // KEY=value
	CC    string   `json:"cc"`    // the C compiler's version line
	Musl  string   `json:"musl"`  // version of the C library's package
	// Tools are the versions of Debian's packages that the C compiler is from, by name.
	Tools map[string]string `json:"tools,omitempty"`
}

// Statement is an in-toto Statement v1 with SLSA provenance v1 over the given
// files, as JSON. It gives no times: SLSA leaves them out where they are not
// wanted, and with them no two builds would have the same statement.
func (b Build) Statement(subjects []Subject) ([]byte, error) {
	text, err := b.statement(subjects)
	if err != nil {
		return nil, fmt.Errorf("writing the provenance of %s %s: %w", b.Tree.Module, b.Tree.FullVersion(), err)
	}
	return text, nil
}

func (b Build) statement(subjects []Subject) ([]byte, error) {
	predicate, err := b.predicate()
	if err != nil {
		return nil, err
	}
	statement := &intoto.Statement{Type: intoto.StatementTypeUri, PredicateType: predicateType, Predicate: predicate}
	if statement.Subject, err = descriptors(subjects); err != nil {
		return nil, err
	}
	if err := statement.Validate(); err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(statement)
	if err != nil {
		return nil, err
	}
	return indented(text)
}

// descriptors are the subjects in in-toto's form, by name.
func descriptors(subjects []Subject) ([]*intoto.ResourceDescriptor, error) {
	var list []*intoto.ResourceDescriptor
	sorted := slices.SortedFunc(slices.Values(subjects), func(a, b Subject) int { return cmp.Compare(a.Name, b.Name) })
	for i, s := range sorted {
		if s.Name == "" || s.Name != filepath.Base(s.Name) || i > 0 && sorted[i-1].Name == s.Name {
			return nil, fmt.Errorf("%q is not the name of a file, or is there twice", s.Name)
		}
		if !digest.MatchString(s.SHA256) || s.Unsigned != "" && !digest.MatchString(s.Unsigned) {
			return nil, fmt.Errorf("%s: %q or %q is not a SHA-256", s.Name, s.SHA256, s.Unsigned)
		}
		d := &intoto.ResourceDescriptor{Name: s.Name, Digest: map[string]string{"sha256": s.SHA256}}
		if s.Unsigned != "" {
			d.Annotations = annotation(unsigned, s.Unsigned)
		}
		list = append(list, d)
	}
	return list, nil
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

func annotation(name, value string) *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{name: structpb.NewStringValue(value)}}
}

// external are the externalParameters, as BuildType lists them.
type external struct {
	Module        string   `json:"module"`
	Version       string   `json:"version"`
	Release       int      `json:"release"`
	Architectures []string `json:"architectures"`
}

// internal are the internalParameters.
type internal struct {
	Verified bool               `json:"verified"`
	Compile  map[string]Compile `json:"compile"`
}

func (b Build) predicate() (*structpb.Struct, error) {
	asked := external{Module: b.Tree.Module, Version: b.Tree.FullVersion(), Release: b.Release}
	followed := internal{Verified: b.Tree.Verified, Compile: map[string]Compile{}}
	for _, compile := range b.Compiles {
		asked.Architectures = append(asked.Architectures, compile.Arch)
		followed.Compile[compile.Arch] = compile
	}
	slices.Sort(asked.Architectures)
	definition := &slsa.BuildDefinition{BuildType: BuildType, ExternalParameters: &structpb.Struct{}, InternalParameters: &structpb.Struct{}}
	var sourced error
	definition.ResolvedDependencies, sourced = b.dependencies()
	err := errors.Join(sourced, convert(asked, definition.ExternalParameters), convert(followed, definition.InternalParameters))
	if err != nil {
		return nil, err
	}
	provenance := &slsa.Provenance{BuildDefinition: definition, RunDetails: &slsa.RunDetails{Builder: &slsa.Builder{Id: b.Builder}}}
	if err := provenance.Validate(); err != nil {
		return nil, err
	}
	predicate := &structpb.Struct{}
	return predicate, convert(provenance, predicate)
}

// convert writes a value as JSON and reads that as another.
func convert(from any, to proto.Message) (err error) {
	var text []byte
	if message, ok := from.(proto.Message); ok {
		text, err = protojson.Marshal(message)
	} else {
		text, err = json.Marshal(from)
	}
	if err != nil {
		return err
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, to)
}

// dependencies are all that went into the build, as BuildType lists it.
func (b Build) dependencies() ([]*intoto.ResourceDescriptor, error) {
	module, err := b.module()
	if err != nil {
		return nil, err
	}
	list := []*intoto.ResourceDescriptor{module}
	if b.Tree.Commit != "" {
		commit := gitCommit(commitName, b.Repository, b.Tree.Commit)
		if b.Tree.CommitBy != "" {
			commit.Annotations = annotation(accordingTo, b.Tree.CommitBy)
		}
		list = append(list, commit)
	}
	list = append(list, &intoto.ResourceDescriptor{Name: "upstream.tar", Digest: map[string]string{"sha256": b.Tree.UpstreamSHA256}})
	for _, patch := range b.Tree.Patches {
		list = append(list, &intoto.ResourceDescriptor{Name: "patch " + patch.Name, Digest: map[string]string{"sha256": patch.SHA256}})
	}
	tree, err := dirHash(b.Tree.Hash)
	if err != nil {
		return nil, err
	}
	list = append(list, &intoto.ResourceDescriptor{Name: "tree", Digest: tree})
	if b.Packaging != "" {
		list = append(list, gitCommit("packaging", Project, b.Packaging))
	}
	toolchains, err := b.toolchains()
	return append(list, toolchains...), err
}

// toolchains has each one once: a machine may compile for several others.
func (b Build) toolchains() (list []*intoto.ResourceDescriptor, err error) {
	if len(b.Toolchains) == 0 {
		return nil, errors.New("no toolchain is named")
	}
	sorted := slices.SortedFunc(slices.Values(b.Toolchains), func(x, y Toolchain) int { return cmp.Or(cmp.Compare(x.Module, y.Module), cmp.Compare(x.Sum, y.Sum)) })
	for _, toolchain := range slices.Compact(sorted) {
		path, version, _ := strings.Cut(toolchain.Module, "@")
		one := &intoto.ResourceDescriptor{Name: "toolchain " + version[strings.LastIndex(version, ".")+1:], Annotations: annotation(goSum, toolchain.Sum)}
		if one.Uri, err = modulePURL(path, version); err != nil {
			return nil, err
		}
		if one.Digest, err = dirHash(toolchain.Sum); err != nil {
			return nil, fmt.Errorf("the toolchain %s: %w", toolchain.Module, err)
		}
		list = append(list, one)
	}
	return list, nil
}

// module is the source as it was fetched. One that nobody vouches for has no
// address: that would be a release's.
func (b Build) module() (*intoto.ResourceDescriptor, error) {
	module := &intoto.ResourceDescriptor{Name: "module"}
	var err error
	if b.Tree.Verified {
		if module.Uri, err = modulePURL(b.Tree.Module, "v"+b.Tree.Version); err != nil {
			return nil, err
		}
	}
	if b.Tree.Sum != "" {
		module.Annotations = annotation(goSum, b.Tree.Sum)
		module.Digest, err = dirHash(b.Tree.Sum)
	}
	return module, err
}

func gitCommit(name, repository, commit string) *intoto.ResourceDescriptor {
	return &intoto.ResourceDescriptor{Name: name, Uri: "git+" + repository, Digest: map[string]string{"gitCommit": commit}}
}

// dirHash is Go's hash of a folder in in-toto's form: in hexadecimal, not in
// base64 after "h1:".
func dirHash(h1 string) (map[string]string, error) {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h1, "h1:"))
	if err != nil || !strings.HasPrefix(h1, "h1:") {
		return nil, fmt.Errorf("%q is not a hash of the form h1:BASE64", h1)
	}
	return map[string]string{"dirHash": hex.EncodeToString(sum)}, nil
}
