package attestation

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
)

// Built is one rebuild, as it is served.
type Built struct {
	ID      int    // from 1
	Source  string // that was built again
	Version string // with the packaging's release
	At      time.Time
	Content []byte // the attestation
}

// Served are the files of rebuilderd's interface (api/v1), by their paths, for a web server
// that serves files: of all rebuilds, and of the keys that they are signed with. Such a
// server does not hear which package it is asked for, so its answer is always the whole
// list; that has a record for each rebuild, whose attestation is of all packages of a
// version, and not one for each package.
func Served(built []Built, keys []Key) (map[string][]byte, error) {
	files := map[string][]byte{}
	list := records{Records: []record{}}
	for _, one := range built {
		list.Records = append(list.Records, record{
			ID: one.ID, Name: one.Source, Version: one.Version, Distribution: "spire-packages", Architecture: "any",
			Status: "GOOD", Build: one.ID, Artifact: artifactID, Attestation: one.ID, At: one.At.UTC().Format("2006-01-02T15:04:05"), Seen: true,
		})
		files[Path(one.ID)] = one.Content
	}
	list.Total = len(list.Records)
	current := publicKeys{[]string{}}
	for _, key := range keys {
		current.Current = append(current.Current, string(key.PEM()))
	}
	for name, value := range map[string]any{ListPath: list, KeysPath: current} {
		content, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("listing attestations: %w", err)
		}
		files[name] = append(content, '\n')
	}
	return files, nil
}

// The paths that are always there.
const (
	ListPath = "api/v1/packages/binary"
	KeysPath = "api/v1/meta/public-keys"
)

// artifactID is that of all: a rebuild has one attestation.
const artifactID = 1

// Path is where the attestation of a rebuild is.
func Path(id int) string {
	return fmt.Sprintf("api/v1/builds/%d/artifacts/%d/attestation", id, artifactID)
}

type (
	records struct {
		Total   int      `json:"total"`
		Records []record `json:"records"`
	}
	record struct {
		ID           int     `json:"id"`
		Name         string  `json:"name"`
		Version      string  `json:"version"`
		Distribution string  `json:"distribution"`
		Release      *string `json:"release"`
		Component    *string `json:"component"`
		Architecture string  `json:"architecture"`
		URL          string  `json:"url"`
		Status       string  `json:"status"`
		Build        int     `json:"build_id"`
		Artifact     int     `json:"artifact_id"`
		Diffoscope   *int    `json:"diffoscope_log_id"`
		Attestation  int     `json:"attestation_log_id"`
		At           string  `json:"last_seen"`
		Seen         bool    `json:"seen_in_last_sync"`
	}
	publicKeys struct {
		Current []string `json:"current"`
	}
)

// Read are the attestations in a folder, whose names end in Suffix, by name.
func Read(dir string) (map[string]Attestation, map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+Suffix))
	if err != nil {
		return nil, nil, err
	}
	parsed, contents := map[string]Attestation{}, map[string][]byte{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("reading attestations: %w", err)
		}
		name := filepath.Base(file)
		if parsed[name], err = Parse(content); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		contents[name] = content
	}
	return parsed, contents, nil
}

// Write writes the link, signed by a key, and gives its path: a file of the given name in a
// folder, with all that a web server serves (see Publish); or the file itself alone, where to
// ends in Suffix.
func (l Link) Write(to, name string, key ed25519.PrivateKey) (path string, err error) {
	content, err := l.Sign(key)
	if err != nil {
		return "", err
	}
	if strings.HasSuffix(to, Suffix) {
		return to, artifact.WriteBytes(to, 0o644, content)
	}
	return filepath.Join(to, name), Publish(to, name, content, PublicOf(key))
}

// Publish writes an attestation into a folder, and makes of all that are there what a web
// server serves to clients.
func Publish(dir, name string, content []byte, key Key) error {
	if err := artifact.WriteBytes(filepath.Join(dir, name), 0o644, content); err != nil {
		return fmt.Errorf("writing an attestation: %w", err)
	}
	parsed, contents, err := Read(dir)
	if err != nil {
		return err
	}
	var names []string
	for name := range parsed {
		names = append(names, name)
	}
	slices.Sort(names)
	var built []Built
	for i, name := range names {
		source, version, _ := parsed[name].Link.Of()
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return fmt.Errorf("serving attestations: %w", err)
		}
		built = append(built, Built{i + 1, source, version, info.ModTime(), contents[name]})
	}
	files, err := Served(built, []Key{key})
	if err != nil {
		return err
	}
	for path, content := range files {
		if err := artifact.WriteBytes(filepath.Join(dir, filepath.FromSlash(path)), 0o644, content); err != nil {
			return fmt.Errorf("serving attestations: %w", err)
		}
	}
	return nil
}
