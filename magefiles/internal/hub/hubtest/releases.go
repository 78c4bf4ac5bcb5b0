package hubtest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// embedded is how many assets the answer for a release has at most; the list
// of its assets has all. Who trusts the first alone misses some.
const embedded = 100

func (c call) releaseJSON(r *Release) map[string]any {
	assets := []any{}
	for _, asset := range r.Assets[:min(len(r.Assets), embedded)] {
		assets = append(assets, c.assetJSON(r, asset))
	}
	page := r.Tag
	if r.Draft {
		page = fmt.Sprintf("untagged-%020x", r.ID)
	}
	return map[string]any{
		"id": r.ID, "tag_name": r.Tag, "target_commitish": r.Target, "name": r.Title, "body": r.Notes,
		"draft": r.Draft, "prerelease": r.Prerelease, "immutable": r.Immutable,
		"created_at": r.Created.UTC().Format(time.RFC3339), "published_at": moment(r.Published),
		"url":        fmt.Sprintf("%s/repos/%s/releases/%d", c.API(), c.repo.name, r.ID),
		"assets_url": fmt.Sprintf("%s/repos/%s/releases/%d/assets", c.API(), c.repo.name, r.ID),
		"upload_url": fmt.Sprintf("%s/api/uploads/repos/%s/releases/%d/assets{?name,label}", c.URL(), c.repo.name, r.ID),
		"html_url":   fmt.Sprintf("%s/%s/releases/tag/%s", c.URL(), c.repo.name, page),
		"assets":     assets,
	}
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

// listReleases has the newest first; drafts are only for those who may write.
func (c call) listReleases() {
	c.mu.Lock()
	var all []any
	for _, release := range slices.Backward(c.repo.releases) {
		if !release.Draft || c.may {
			all = append(all, c.releaseJSON(release))
		}
	}
	c.mu.Unlock()
	c.answer(http.StatusOK, page(c, all))
}

// found is the release that the path names; it answers where there is none.
// The lock is held.
func (c call) found() *Release {
	id, err := strconv.ParseInt(c.r.PathValue("a"), 10, 64)
	release := c.repo.release(id)
	if err != nil || release == nil || (release.Draft && !c.may) {
		notFound(c.w)
		return nil
	}
	return release
}

func (c call) getRelease() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.r.PathValue("a") == "latest" {
		c.latest()
		return
	}
	if release := c.found(); release != nil {
		c.reply(http.StatusOK, release)
	}
}

// reply is answer with the lock held, which answer does not want.
func (c call) reply(code int, release *Release) {
	value := c.releaseJSON(release)
	c.mu.Unlock()
	defer c.mu.Lock()
	c.answer(code, value)
}

// latest is the release that was asked to be; otherwise the youngest.
func (c call) latest() {
	var found *Release
	for _, release := range c.repo.releases {
		if !release.Draft && !release.Prerelease && (found == nil || release.Latest || !found.Latest) {
			found = release
		}
	}
	if found == nil {
		notFound(c.w)
		return
	}
	c.reply(http.StatusOK, found)
}

// below is what is under releases/.
func (c call) below() {
	a, b := c.r.PathValue("a"), c.r.PathValue("b")
	switch {
	case a == "tags":
		c.byTag(b)
	case a == "assets":
		c.getAsset(b)
	case b == "assets":
		c.listAssets()
	default:
		notFound(c.w)
	}
}

// byTag finds no draft.
func (c call) byTag(tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	release := c.repo.published(tag)
	if release == nil {
		notFound(c.w)
		return
	}
	c.reply(http.StatusOK, release)
}

// wanted is what a client sends to make or change a release.
type wanted struct {
	Tag        *string `json:"tag_name"`
	Target     *string `json:"target_commitish"`
	Title      *string `json:"name"`
	Notes      *string `json:"body"`
	Draft      *bool   `json:"draft"`
	Prerelease *bool   `json:"prerelease"`
	MakeLatest *string `json:"make_latest"`
}

// notesLimit is the most that GitHub takes as the text of a release.
const notesLimit = 125_000

// createRelease makes as many drafts for one tag as it is asked for.
func (c call) createRelease() {
	var want wanted
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	release := &Release{Target: "main", Created: c.now()}
	published := want.Draft == nil || !*want.Draft
	want.Draft = nil
	if !c.change(release, want) {
		return
	}
	release.Draft = true
	if published && !c.publish(release, want) {
		return
	}
	release.ID = c.id(0)
	c.repo.releases = append(c.repo.releases, release)
	c.reply(http.StatusCreated, release)
}

func (c call) editRelease() {
	var want wanted
	if !c.decode(&want) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	release := c.found()
	if release == nil || !c.change(release, want) {
		return
	}
	if release.Draft && want.Draft != nil && !*want.Draft && !c.publish(release, want) {
		return
	}
	if !release.Draft {
		c.mark(release, want)
	}
	c.reply(http.StatusOK, release)
}

// change takes over all but the state; it answers where that cannot be.
func (c call) change(release *Release, want wanted) bool {
	locked := release.Immutable && ((want.Tag != nil && *want.Tag != release.Tag) || (want.Target != nil && *want.Target != release.Target) || (want.Draft != nil && *want.Draft))
	switch {
	case locked:
		invalid(c.w, detail{Resource: "Release", Code: "custom", Message: "Cannot change an immutable release."})
		return false
	case want.Notes != nil && len([]rune(*want.Notes)) > notesLimit:
		invalid(c.w, detail{Resource: "Release", Code: "custom", Field: "body", Message: "body is too long (maximum is 125000 characters)"})
		return false
	}
	for field, value := range map[*string]*string{&release.Tag: want.Tag, &release.Target: want.Target, &release.Title: want.Title, &release.Notes: want.Notes} {
		if value != nil {
			*field = *value
		}
	}
	if want.Prerelease != nil {
		release.Prerelease = *want.Prerelease
	}
	if release.Tag == "" || strings.ContainsAny(release.Tag, " ~^:?*[\\\n") {
		invalid(c.w, detail{Resource: "Release", Code: "missing_field", Field: "tag_name"})
		return false
	}
	return true
}

// publish makes the tag, where it is not there, and locks the release where
// the repository wants that.
func (c call) publish(release *Release, want wanted) bool {
	switch {
	case c.repo.published(release.Tag) != nil:
		invalid(c.w, detail{Resource: "Release", Code: "already_exists", Field: "tag_name"})
		return false
	case c.repo.burned[release.Tag]:
		invalid(c.w, detail{Resource: "Release", Code: "custom", Field: "tag_name", Message: "tag_name was used by an immutable release"})
		return false
	}
	release.Draft, release.Published, release.Immutable = false, c.now(), c.repo.immutable
	if _, ok := c.repo.tag(release.Tag); !ok {
		c.repo.setTag(release.Tag, release.Target)
	}
	if want.MakeLatest == nil {
		latest := "true"
		want.MakeLatest = &latest
	}
	c.mark(release, want)
	return true
}

// mark gives the release the mark of the latest, and takes it from the others.
func (c call) mark(release *Release, want wanted) {
	if want.MakeLatest == nil {
		return
	}
	release.Latest = *want.MakeLatest == "true"
	for _, other := range c.repo.releases {
		if release.Latest && other != release {
			other.Latest = false
		}
	}
}

func (c call) deleteRelease() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if release := c.found(); release != nil {
		c.repo.remove(release.ID)
		c.w.WriteHeader(http.StatusNoContent)
	}
}
