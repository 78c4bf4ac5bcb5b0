package hubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// repository is one owner/name.
type repository struct {
	name      string
	tags      []Tag
	releases  []*Release
	immutable bool            // what is published is locked
	burned    map[string]bool // tags that a deleted, locked release had
	issues    []*Issue        // each at its number less one
	noIssues  bool            // they are switched off
	jobs      map[string][]Job
	commits   map[string]Commit
	trees     map[string]map[string]string // files by path
	branches  map[string]string            // commits by name
	noPulls   bool                         // workflows may open no pull request
}

// Tag is a name for a commit.
type Tag struct{ Name, Commit string }

// Release is one release, with its assets.
type Release struct {
	ID         int64
	Tag        string
	Target     string // the commit or branch of which publishing makes the tag
	Title      string
	Notes      string
	Draft      bool
	Prerelease bool
	Latest     bool // was asked to be, or is, the one marked so
	Immutable  bool
	Created    time.Time
	Published  time.Time
	Assets     []Asset
}

// States of an asset: an upload that was cut leaves one that was only begun.
const (
	Uploaded = "uploaded"
	Starter  = "starter"
)

// Asset is a file of a release.
type Asset struct {
	ID          int64
	Name        string
	Label       string
	ContentType string
	State       string
	Digest      string // sha256:...; empty as for what was uploaded before mid-2025
	Size        int64
	Created     time.Time
}

// Repository makes an empty repository, or takes the one that is there.
func (s *Server) Repository(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name)
}

// repo is called with the lock held.
func (s *Server) repo(name string) *repository {
	if s.repos[name] == nil {
		s.repos[name] = &repository{
			name: name, burned: map[string]bool{}, jobs: map[string][]Job{},
			commits: map[string]Commit{}, trees: map[string]map[string]string{}, branches: map[string]string{},
		}
	}
	return s.repos[name]
}

// Immutable says whether releases are locked when they are published; those
// that already are stay as they are.
func (s *Server) Immutable(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).immutable = on
}

// SetTag makes a tag, or moves it.
func (s *Server) SetTag(name, tag, commit string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).setTag(tag, commit)
}

func (r *repository) setTag(name, commit string) {
	for i := range r.tags {
		if r.tags[i].Name == name {
			r.tags[i].Commit = commit
			return
		}
	}
	r.tags = append(r.tags, Tag{name, commit})
}

func (r *repository) tag(name string) (Tag, bool) {
	i := slices.IndexFunc(r.tags, func(t Tag) bool { return t.Name == name })
	if i < 0 {
		return Tag{}, false
	}
	return r.tags[i], true
}

// Tags are a repository's tags, also those that publishing made.
func (s *Server) Tags(name string) []Tag {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.repo(name).tags)
}

// AddRelease puts a release there. Its ID, and those of its assets, are given
// out where they are 0. Assets without a file of their own (see AddAsset) have
// as content their name.
func (s *Server) AddRelease(name string, release Release) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	assets := release.Assets
	release.Assets = nil
	release.ID = s.id(release.ID)
	if release.Created.IsZero() {
		release.Created = s.now()
	}
	if !release.Draft && release.Published.IsZero() {
		release.Published = release.Created
	}
	repo := s.repo(name)
	repo.releases = append(repo.releases, &release)
	for _, asset := range assets {
		s.add(&release, asset, []byte(asset.Name))
	}
	return release.ID
}

// AddAsset puts a file into a release that is there.
func (s *Server) AddAsset(name string, release int64, asset Asset, content []byte) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.repo(name).release(release)
	if found == nil {
		panic(fmt.Sprintf("hubtest: %s has no release %d", name, release))
	}
	return s.add(found, asset, content)
}

// add fills in what the asset does not say. A digest of "none" means that it
// has none.
func (s *Server) add(release *Release, asset Asset, content []byte) int64 {
	asset.ID = s.id(asset.ID)
	if asset.State == "" {
		asset.State = Uploaded
	}
	if asset.Created.IsZero() {
		asset.Created = s.now()
	}
	if asset.ContentType == "" {
		asset.ContentType = "application/octet-stream"
	}
	if asset.Size == 0 {
		asset.Size = int64(len(content))
	}
	switch sum := sha256.Sum256(content); {
	case asset.Digest == "none" || asset.State != Uploaded:
		asset.Digest = ""
	case asset.Digest == "":
		asset.Digest = "sha256:" + hex.EncodeToString(sum[:])
	}
	if err := os.WriteFile(s.path(asset.ID), content, 0o644); err != nil {
		panic(err)
	}
	release.Assets = append(release.Assets, asset)
	return asset.ID
}

func (s *Server) path(asset int64) string {
	return filepath.Join(s.dir, "assets", fmt.Sprint(asset))
}

func (s *Server) id(given int64) int64 {
	if given != 0 {
		return given
	}
	s.nextID++
	return 1000 + s.nextID
}

func (r *repository) release(id int64) *Release {
	for _, release := range r.releases {
		if release.ID == id {
			return release
		}
	}
	return nil
}

// published is the published release that has the tag.
func (r *repository) published(tag string) *Release {
	for _, release := range r.releases {
		if release.Tag == tag && !release.Draft {
			return release
		}
	}
	return nil
}

// Releases are all releases with all assets, drafts too, oldest first.
func (s *Server) Releases(name string) []Release {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Release
	for _, release := range s.repo(name).releases {
		one := *release
		one.Assets = slices.Clone(release.Assets)
		slices.SortFunc(one.Assets, func(a, b Asset) int { return strings.Compare(a.Name, b.Name) })
		all = append(all, one)
	}
	return all
}

// DeleteRelease takes a release away, as somebody in the browser would.
func (s *Server) DeleteRelease(name string, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repo(name).remove(id)
}

// DeleteDrafts takes all drafts away.
func (s *Server) DeleteDrafts(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repo(name)
	repo.releases = slices.DeleteFunc(repo.releases, func(r *Release) bool { return r.Draft })
}

func (r *repository) remove(id int64) {
	if release := r.release(id); release != nil && release.Immutable {
		r.burned[release.Tag] = true
	}
	r.releases = slices.DeleteFunc(r.releases, func(one *Release) bool { return one.ID == id })
}

// Content is what an asset holds.
func (s *Server) Content(asset int64) ([]byte, error) {
	return os.ReadFile(s.path(asset))
}
