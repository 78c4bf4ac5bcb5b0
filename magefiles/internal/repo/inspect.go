package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// ftparchive runs apt-ftparchive in dir. It names damaged packages on standard
// error only, and exits with 0: said is that, for the error of whoever misses
// something in its output. MD5 and SHA-1 prove nothing, and SHA-256 is what
// Debian's own archive has.
func ftparchive(ctx context.Context, dir string, args ...string) (output, said []byte, err error) {
	var out, errs bytes.Buffer
	c := run.New("apt-ftparchive", append([]string{"--quiet", "--no-md5", "--no-sha1", "--no-sha512"}, args...)...).
		In(dir).WithEnv("LC_ALL=C.UTF-8", "TZ=UTC")
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run(ctx)
	return out.Bytes(), errs.Bytes(), err
}

// debs makes the records of new debs.
func (b *batch) debs(ctx context.Context) error {
	items := b.fresh(func(n name) bool { return n.kind == Deb })
	if len(items) == 0 {
		return nil
	}
	return within(items, func(dir string) error {
		index, said, err := ftparchive(ctx, dir, "packages", linked)
		if err != nil {
			return fmt.Errorf("reading debs: %w", err)
		}
		found := map[string]string{}
		for _, stanza := range stanzas(index) {
			found[path.Base(field(stanza, "Filename"))] = stanza
		}
		var errs []error
		for _, it := range items {
			errs = append(errs, b.deb(ctx, dir, it, found[it.base()], said))
		}
		return errors.Join(errs...)
	})
}

// deb makes the record of one deb from its stanza.
func (b *batch) deb(ctx context.Context, dir string, it *item, stanza string, said []byte) error {
	if stanza == "" {
		return fmt.Errorf("%s is no deb that apt-ftparchive can read: %s", it.from, bytes.TrimSpace(said))
	}
	err := agree(it.from, stanza, map[string]string{
		"Package": it.pkg, "Version": fmt.Sprintf("%s-%d", it.version, it.release), "Architecture": it.arch,
		"SHA256": it.sha256, "Size": fmt.Sprint(it.size),
	})
	if err != nil {
		return err
	}
	// Source is the name alone, or the name and a version (deb-control(5)).
	if source := strings.Fields(field(stanza, "Source")); len(source) > 0 {
		it.source = source[0]
	}
	contents, said, err := ftparchive(ctx, dir, "contents", path.Join(linked, it.base()))
	if err != nil {
		return fmt.Errorf("listing the files of %s: %w", it.from, err)
	}
	files := installed(contents)
	if len(files) == 0 {
		return fmt.Errorf("%s installs nothing: %s", it.from, bytes.TrimSpace(said))
	}
	place := strings.TrimPrefix(b.paths(it)[0], "apt/")
	it.record = &record{Stanza: with(stanza, "Filename", place), Files: files}
	return nil
}

// installed are the paths of a Contents index of one package, sorted. A line is
// a path, which may have blanks in it, blanks, and what has it.
func installed(contents []byte) []string {
	var files []string
	for line := range strings.Lines(string(contents)) {
		line = strings.TrimRight(line, "\n")
		if i := strings.LastIndexAny(line, " \t"); i > 0 {
			files = append(files, strings.TrimRight(line[:i], " \t"))
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// dscs makes the records of new source packages' descriptions, signed or not.
func (b *batch) dscs(ctx context.Context) error {
	items := b.fresh(func(n name) bool { return n.kind == Source && n.place == inPool })
	items = slices.DeleteFunc(items, func(it *item) bool { return path.Ext(it.from) != ".dsc" })
	if len(items) == 0 {
		return nil
	}
	return within(items, func(dir string) error {
		index, said, err := ftparchive(ctx, dir, "sources", linked)
		if err != nil {
			return fmt.Errorf("reading source packages: %w", err)
		}
		found := map[string]string{}
		for _, stanza := range stanzas(index) {
			for _, part := range checksums(stanza) {
				found[part.name] = stanza
			}
		}
		var errs []error
		for _, it := range items {
			errs = append(errs, b.dsc(it, found[it.base()], said))
		}
		return errors.Join(errs...)
	})
}

func (b *batch) dsc(it *item, stanza string, said []byte) error {
	if stanza == "" {
		return fmt.Errorf("%s is no source package that apt-ftparchive can read: %s", it.from, bytes.TrimSpace(said))
	}
	err := agree(it.from, stanza, map[string]string{
		"Package": it.pkg, "Version": fmt.Sprintf("%s-%d", it.version, it.release), "Directory": linked,
	})
	if err != nil {
		return err
	}
	it.record = &record{Stanza: with(stanza, "Directory", strings.TrimPrefix(path.Dir(b.paths(it)[0]), "apt/"))}
	return nil
}

// rpms looks at new rpms, binary and source: their names, and their signatures,
// without which no client takes them.
func (b *batch) rpms(ctx context.Context) error {
	items := b.fresh(func(n name) bool { return n.place == inRPM })
	if len(items) == 0 {
		return nil
	}
	// A source rpm has the architecture that it was made on. What it lacks is
	// the name of the source rpm that it is made of.
	args := []string{"-qp", "--nosignature", "--nodigest", "--queryformat",
		`%{NAME}\t%{VERSION}-%{RELEASE}\t%|SOURCERPM?{%{ARCH}}:{src}|\t%|SOURCERPM?{%{SOURCERPM}}:{}|\n`}
	for _, it := range items {
		args = append(args, it.from)
	}
	said, err := run.New("rpm", args...).WithEnv("LC_ALL=C.UTF-8").Output(ctx)
	if err != nil {
		return fmt.Errorf("reading rpms: %w", err)
	}
	lines := strings.Split(said, "\n")
	if len(lines) != len(items) {
		return fmt.Errorf("reading rpms: rpm says %d lines about %d files", len(lines), len(items))
	}
	var errs []error
	for i, it := range items {
		errs = append(errs, it.rpm(strings.Split(lines[i], "\t")), b.Trusted.RPM(ctx, it.from))
	}
	return errors.Join(errs...)
}

// rpm compares what rpm says with the name: package, version and release,
// architecture, source rpm.
func (i *item) rpm(says []string) error {
	want := []string{i.pkg, fmt.Sprintf("%s-%d", i.version, i.release), i.arch}
	if len(says) != 4 || !slices.Equal(says[:3], want) {
		return fmt.Errorf("%s is, by what is in it, %s, not %s: an rpm is published under its own name only", i.from, strings.Join(says, " "), strings.Join(want, " "))
	}
	if source, err := parse(says[3]); err == nil {
		i.source = source.pkg
	}
	return nil
}

// agree is an error if a stanza's fields are not what is wanted.
func agree(file, stanza string, want map[string]string) error {
	var errs []error
	for name, value := range want {
		if got := field(stanza, name); got != value {
			errs = append(errs, fmt.Errorf("%s has the %s %q, and its name and content say %q: it is published under its own name only", file, name, got, value))
		}
	}
	return errors.Join(errs...)
}

// stanzas splits an index into its stanzas.
func stanzas(index []byte) []string {
	var all []string
	for stanza := range strings.SplitSeq(string(index), "\n\n") {
		if text := strings.Trim(stanza, "\n"); text != "" {
			all = append(all, text+"\n")
		}
	}
	return all
}

// field is the first line of a stanza's field; empty if it has none.
func field(stanza, name string) string {
	for line := range strings.Lines(stanza) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// with is the stanza with another value for a field that has one line.
func with(stanza, name, value string) string {
	var changed strings.Builder
	for line := range strings.Lines(stanza) {
		if strings.HasPrefix(line, name+":") {
			line = name + ": " + value + "\n"
		}
		changed.WriteString(line)
	}
	return changed.String()
}

// part is one file of a source package.
type part struct {
	sha256, name string
	size         int64 // bytes
}

// checksums are the lines of a Sources stanza's Checksums-Sha256.
func checksums(stanza string) []part {
	var parts []part
	inside := false
	for line := range strings.Lines(stanza) {
		words := strings.Fields(line)
		switch {
		case !strings.HasPrefix(line, " "):
			inside = strings.HasPrefix(line, "Checksums-Sha256:")
		case inside && len(words) == 3:
			size, _ := strconv.ParseInt(words[1], 10, 64) // 0 where it is no number
			parts = append(parts, part{words[0], words[2], size})
		}
	}
	return parts
}
