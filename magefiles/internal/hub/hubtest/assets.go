package hubtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (c call) assetJSON(r *Release, a Asset) map[string]any {
	value := map[string]any{
		"id": a.ID, "name": a.Name, "label": a.Label, "content_type": a.ContentType, "state": a.State, "size": a.Size,
		"digest":     nil,
		"created_at": a.Created.UTC().Format(time.RFC3339), "updated_at": a.Created.UTC().Format(time.RFC3339),
		"url":                  fmt.Sprintf("%s/repos/%s/releases/assets/%d", c.API(), c.repo.name, a.ID),
		"browser_download_url": fmt.Sprintf("%s/%s/releases/download/%s/%s", c.URL(), c.repo.name, r.Tag, a.Name),
	}
	if a.Digest != "" {
		value["digest"] = a.Digest
	}
	return value
}

func (c call) listAssets() {
	c.mu.Lock()
	release := c.found()
	if release == nil {
		c.mu.Unlock()
		return
	}
	var all []any
	for _, asset := range release.Assets {
		all = append(all, c.assetJSON(release, asset))
	}
	c.mu.Unlock()
	c.answer(http.StatusOK, page(c, all))
}

// asset finds an asset of the repository. The lock is held.
func (c call) asset(id string) (*Release, int) {
	number, err := strconv.ParseInt(id, 10, 64)
	for _, release := range c.repo.releases {
		i := slices.IndexFunc(release.Assets, func(a Asset) bool { return a.ID == number })
		if err == nil && i >= 0 && (c.may || !release.Draft) {
			return release, i
		}
	}
	notFound(c.w)
	return nil, 0
}

// getAsset describes an asset, or sends who wants its content to another host.
func (c call) getAsset(id string) {
	c.mu.Lock()
	release, i := c.asset(id)
	if release == nil {
		c.mu.Unlock()
		return
	}
	asset := release.Assets[i]
	value := c.assetJSON(release, asset)
	c.mu.Unlock()
	if !strings.Contains(c.r.Header.Get("Accept"), "application/octet-stream") {
		c.answer(http.StatusOK, value)
		return
	}
	http.Redirect(c.w, c.r, fmt.Sprintf("%s/storage/%d", c.files.URL, asset.ID), http.StatusFound)
}

// storage is the other host. It refuses a token, as the real one does, and
// remembers that it got one.
func (s *Server) storage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		s.mu.Lock()
		s.leaks = append(s.leaks, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		http.Error(w, "Only one auth mechanism allowed", http.StatusBadRequest)
		return
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/storage/"), 10, 64)
	file, err2 := os.Open(s.path(id))
	if err != nil || err2 != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, file)
}

// download is the address of an asset on the pages: for published ones only.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if repo := s.repos[r.PathValue("owner")+"/"+r.PathValue("repo")]; repo != nil {
		if release := repo.published(r.PathValue("tag")); release != nil {
			for _, asset := range release.Assets {
				if asset.Name == r.PathValue("name") && asset.State == Uploaded {
					http.Redirect(w, r, fmt.Sprintf("%s/storage/%d", s.files.URL, asset.ID), http.StatusFound)
					return
				}
			}
		}
	}
	http.NotFound(w, r)
}

func (c call) deleteAsset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	release, i := c.asset(c.r.PathValue("asset"))
	switch {
	case release == nil:
	case release.Immutable:
		invalid(c.w, detail{Resource: "ReleaseAsset", Code: "custom", Message: "Cannot delete asset from an immutable release"})
	default:
		release.Assets = slices.Delete(release.Assets, i, i+1)
		c.w.WriteHeader(http.StatusNoContent)
	}
}

// special is what GitHub replaces in the names of assets.
var special = regexp.MustCompile(`[^A-Za-z0-9._+@-]+`)

// upload first takes the name, then the bytes: an upload that is cut leaves an
// asset that was only begun, and in the way.
func (c call) upload() {
	if c.r.ContentLength <= 0 {
		problem(c.w, http.StatusBadRequest, "Bad Content-Length: "+c.r.Header.Get("Content-Length"))
		return
	}
	release, id := c.reserve()
	if release == 0 {
		_, _ = io.Copy(io.Discard, c.r.Body)
		return
	}
	sum, size, err := c.store(id)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c.finish(release, id, size, sum)
}

// reserve gives the asset its place; it answers where it can have none.
func (c call) reserve() (release, asset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.found()
	if found == nil {
		return 0, 0
	}
	name := strings.Trim(special.ReplaceAllString(c.r.URL.Query().Get("name"), "."), ".")
	taken := slices.ContainsFunc(found.Assets, func(a Asset) bool { return a.Name == name })
	switch {
	case found.Immutable:
		invalid(c.w, detail{Resource: "ReleaseAsset", Code: "custom", Message: "Cannot upload assets to an immutable release."})
	case name == "":
		invalid(c.w, detail{Resource: "ReleaseAsset", Code: "missing_field", Field: "name"})
	case taken:
		invalid(c.w, detail{Resource: "ReleaseAsset", Code: "already_exists", Field: "name"})
	case len(found.Assets) >= 1000:
		invalid(c.w, detail{Resource: "ReleaseAsset", Code: "custom", Message: "file_count_exceeded"})
	default:
		made := Asset{
			ID: c.id(0), Name: name, Label: c.r.URL.Query().Get("label"), State: Starter,
			ContentType: c.r.Header.Get("Content-Type"), Size: c.r.ContentLength, Created: c.now(),
		}
		found.Assets = append(found.Assets, made)
		return found.ID, made.ID
	}
	return 0, 0
}

func (c call) store(id int64) (digest string, size int64, err error) {
	file, err := os.Create(c.path(id))
	if err != nil {
		panic(err)
	}
	defer file.Close()
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(file, hash), c.r.Body)
	if err == nil && size != c.r.ContentLength {
		err = io.ErrUnexpectedEOF
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), size, err
}

// finish makes the asset whole, if its release is still there.
func (c call) finish(release, id, size int64, digest string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.repo.release(release)
	if found == nil {
		notFound(c.w)
		return
	}
	i := slices.IndexFunc(found.Assets, func(a Asset) bool { return a.ID == id })
	if i < 0 {
		notFound(c.w)
		return
	}
	asset := &found.Assets[i]
	asset.State, asset.Size, asset.Digest = Uploaded, size, digest
	value := c.assetJSON(found, *asset)
	c.mu.Unlock()
	defer c.mu.Lock()
	c.answer(http.StatusCreated, value)
}
