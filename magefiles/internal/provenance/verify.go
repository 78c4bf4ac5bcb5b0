package provenance

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	slsa "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// Statement is a statement that was read: what it says of which files. Who
// says it is another question, which its signature answers.
type Statement struct {
	Builder  string // the address of what ran the build
	asked    external
	commit   string
	commitBy string
	subjects map[string]Subject // by name
}

// Origin is what files are to be made from.
type Origin struct {
	Module  string
	Version string // as artifact.Tree's Label has it
	Commit  string // 40 hex digits; empty if it does not matter
}

// ParseStatement reads what Build.Statement writes. A statement of another
// type, or about a build of another, is an error: its words may mean something
// else. Fields that are not known are skipped, as in-toto demands.
func ParseStatement(content []byte) (Statement, error) {
	s, err := parseStatement(content)
	if err != nil {
		return Statement{}, fmt.Errorf("reading the provenance statement: %w", err)
	}
	return s, nil
}

func parseStatement(content []byte) (Statement, error) {
	var statement intoto.Statement
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, &statement); err != nil {
		return Statement{}, fmt.Errorf("it is not an in-toto statement: %w", err)
	}
	if err := statement.Validate(); err != nil {
		return Statement{}, fmt.Errorf("it is not an in-toto statement: %w", err)
	}
	if statement.Type != intoto.StatementTypeUri || statement.PredicateType != predicateType {
		return Statement{}, fmt.Errorf("it is a %s with a %s, not a %s with a %s", statement.Type, statement.PredicateType, intoto.StatementTypeUri, predicateType)
	}
	var provenance slsa.Provenance
	if err := convert(statement.Predicate, &provenance); err != nil {
		return Statement{}, fmt.Errorf("its predicate is not SLSA provenance: %w", err)
	}
	if err := provenance.Validate(); err != nil {
		return Statement{}, fmt.Errorf("its predicate is not SLSA provenance: %w", err)
	}
	s := Statement{Builder: provenance.RunDetails.Builder.Id}
	return s, errors.Join(s.readSubjects(statement.Subject), s.readDefinition(provenance.BuildDefinition))
}

func (s *Statement) readSubjects(list []*intoto.ResourceDescriptor) error {
	s.subjects = map[string]Subject{}
	for _, d := range list {
		subject := Subject{Name: d.Name, SHA256: d.Digest["sha256"], Unsigned: d.Annotations.GetFields()[unsigned].GetStringValue()}
		if _, twice := s.subjects[d.Name]; twice || d.Name == "" || !digest.MatchString(subject.SHA256) {
			return fmt.Errorf("its subject %q is there twice, or has no name or no SHA-256", d.Name)
		}
		s.subjects[d.Name] = subject
	}
	return nil
}

func (s *Statement) readDefinition(definition *slsa.BuildDefinition) error {
	if definition.BuildType != BuildType {
		return fmt.Errorf("it is about a build of the type %s, not %s", definition.BuildType, BuildType)
	}
	fields := definition.ExternalParameters.GetFields()
	s.asked.Module, s.asked.Version = fields["module"].GetStringValue(), fields["version"].GetStringValue()
	if s.asked.Module == "" || s.asked.Version == "" {
		return errors.New("it names no module, or no version of it")
	}
	for _, dependency := range definition.ResolvedDependencies {
		if dependency.Name == commitName {
			s.commit = dependency.Digest["gitCommit"]
			s.commitBy = dependency.Annotations.GetFields()[accordingTo].GetStringValue()
		}
	}
	return nil
}

// Subjects are the files that the statement is about, by name.
func (s Statement) Subjects() []Subject {
	var list []Subject
	for _, name := range slices.Sorted(maps.Keys(s.subjects)) {
		list = append(list, s.subjects[name])
	}
	return list
}

// Built are the SHA-256 of those files as a build makes them, by name.
func (s Statement) Built() map[string]string {
	sums := map[string]string{}
	for name, subject := range s.subjects {
		sums[name] = subject.Built()
	}
	return sums
}

// Covers says whether a file is among the subjects. The error is nil if it is,
// and otherwise says what the statement has instead.
func (s Statement) Covers(name, sha256 string) error {
	subject, ok := s.subjects[name]
	switch {
	case !ok:
		return fmt.Errorf("the provenance statement is not about %s", name)
	case subject.SHA256 != sha256:
		return fmt.Errorf("checksum mismatch: %s is not the file that the provenance statement is about: its SHA-256 is %s, not %s", name, sha256, subject.SHA256)
	}
	return nil
}

// CoversExactly says whether the subjects are the given files, no more and no
// fewer. The error names every file that is missing, surplus or another.
func (s Statement) CoversExactly(files []Subject) error {
	var errs []error
	given := map[string]bool{}
	for _, file := range files {
		given[file.Name] = true
		errs = append(errs, s.Covers(file.Name, file.SHA256))
	}
	for _, subject := range s.Subjects() {
		if !given[subject.Name] {
			errs = append(errs, fmt.Errorf("the provenance statement is about %s, which is not there", subject.Name))
		}
	}
	return errors.Join(errs...)
}

// MadeFrom says whether the files were made from the given source.
func (s Statement) MadeFrom(o Origin) error {
	var errs []error
	for _, fact := range []struct{ what, said, want string }{
		{"module", s.asked.Module, o.Module},
		{"version", s.asked.Version, o.Version},
		{"commit", s.commit, o.Commit},
	} {
		if fact.said != fact.want && (fact.what != "commit" || fact.want != "") {
			errs = append(errs, fmt.Errorf("the provenance statement is about the %s %q, not %q", fact.what, fact.said, fact.want))
		}
	}
	return errors.Join(errs...)
}

// Commit is that of the source; empty if the statement does not say.
func (s Statement) Commit() string { return s.commit }

// CommitBy says by whose word it is that commit; empty if the statement does not
// say.
func (s Statement) CommitBy() string { return s.commitBy }
