package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/artifact"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/web"
)

// Tag is a name for a commit.
type Tag struct{ Name, Commit string }

// Release is a release, with its assets.
type Release struct {
	ID     int64
	Tag    string
	Target string // of which publishing makes the tag, where it is not there
	Title  string
	Notes  string
	URL    string // of its page
	Draft  bool
	// Immutable means that neither tag nor assets can be changed any more.
	Immutable          bool
	Created, Published time.Time
	Assets             []Asset
}

// Uploaded is the state of an asset that is whole; others were cut.
const Uploaded = "uploaded"

// Asset is a file of a release.
type Asset struct {
	ID                       int64
	Name, ContentType, State string
	Digest                   string // sha256:...; empty where the server knows none
	Size                     int64
}

// Draft is what a caller decides about a release.
type Draft struct{ Tag, Target, Title, Notes string }

// octets asks for the bytes of an asset instead of its description.
const octets = "application/octet-stream"

// pages is more than any list has: a server that never ends is not followed.
const pages = 300

// The client's own types are older than these fields.
type releaseAnswer struct {
	github.RepositoryRelease
	Immutable bool          `json:"immutable"`
	Assets    []assetAnswer `json:"assets"`
}

type assetAnswer struct {
	github.ReleaseAsset
	Digest string `json:"digest"`
}

func (a assetAnswer) asset() Asset {
	return Asset{a.GetID(), a.GetName(), a.GetContentType(), a.GetState(), a.Digest, int64(a.GetSize())}
}

func (a releaseAnswer) release() Release {
	r := Release{
		ID: a.GetID(), Tag: a.GetTagName(), Target: a.GetTargetCommitish(), Title: a.GetName(), Notes: a.GetBody(), URL: a.GetHTMLURL(),
		Draft: a.GetDraft(), Immutable: a.Immutable, Created: a.GetCreatedAt().Time, Published: a.GetPublishedAt().Time,
	}
	for _, one := range a.Assets {
		r.Assets = append(r.Assets, one.asset())
	}
	return r
}

// Tags are all tags, in no order.
func (r *Repository) Tags(ctx context.Context) ([]Tag, error) {
	found, err := list[github.RepositoryTag](ctx, r, "listing the tags", "tags")
	var tags []Tag
	for _, one := range found {
		tags = append(tags, Tag{one.GetName(), one.GetCommit().GetSHA()})
	}
	return tags, err
}

// Releases are all releases, newest first, with the drafts where the token may
// see them. A release of very many assets may lack some here; Release has all.
func (r *Repository) Releases(ctx context.Context) ([]Release, error) {
	found, err := list[releaseAnswer](ctx, r, "listing the releases", "releases")
	var releases []Release
	seen := map[int64]bool{} // one that was made meanwhile moves the others to the next page
	for _, one := range found {
		if !seen[one.GetID()] {
			releases = append(releases, one.release())
		}
		seen[one.GetID()] = true
	}
	return releases, err
}

// Release is one release with all its assets.
func (r *Repository) Release(ctx context.Context, id int64) (Release, error) {
	doing := fmt.Sprintf("reading the release %d", id)
	var answer releaseAnswer
	if err := r.do(ctx, doing, http.MethodGet, fmt.Sprintf("releases/%d", id), nil, &answer); err != nil {
		return Release{}, err
	}
	assets, err := list[assetAnswer](ctx, r, doing, fmt.Sprintf("releases/%d/assets", id))
	answer.Assets = assets
	return answer.release(), err
}

// Create makes a draft. When the answer is lost it is not asked again, since a
// tag can have many drafts: look at Releases, and decide.
func (r *Repository) Create(ctx context.Context, draft Draft) (Release, error) {
	return r.write(ctx, "making the draft "+draft.Tag, http.MethodPost, "releases", draft.body(map[string]any{"draft": true}))
}

// Edit changes a release.
func (r *Repository) Edit(ctx context.Context, id int64, draft Draft) (Release, error) {
	return r.write(ctx, "changing the release "+draft.Tag, http.MethodPatch, fmt.Sprintf("releases/%d", id), draft.body(map[string]any{}))
}

// Publish makes of a draft a release; latest says whether it gets that mark.
func (r *Repository) Publish(ctx context.Context, id int64, latest bool) (Release, error) {
	body := map[string]any{"draft": false, "make_latest": fmt.Sprint(latest)}
	return r.write(ctx, fmt.Sprintf("publishing the release %d", id), http.MethodPatch, fmt.Sprintf("releases/%d", id), body)
}

func (d Draft) body(more map[string]any) map[string]any {
	more["tag_name"], more["target_commitish"], more["name"], more["body"] = d.Tag, d.Target, d.Title, d.Notes
	return more
}

func (r *Repository) write(ctx context.Context, doing, method, path string, body any) (Release, error) {
	var answer releaseAnswer
	err := r.do(ctx, doing, method, path, body, &answer)
	return answer.release(), err
}

// Delete takes a release away; that it is gone already is no error.
func (r *Repository) Delete(ctx context.Context, id int64) error {
	return r.remove(ctx, fmt.Sprintf("deleting the release %d", id), fmt.Sprintf("releases/%d", id))
}

// DeleteAsset takes an asset away; that it is gone already is no error.
func (r *Repository) DeleteAsset(ctx context.Context, id int64) error {
	return r.remove(ctx, fmt.Sprintf("deleting the asset %d", id), fmt.Sprintf("releases/assets/%d", id))
}

func (r *Repository) remove(ctx context.Context, doing, path string) error {
	err := r.do(ctx, doing, http.MethodDelete, path, nil, nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// Upload sends a file as an asset. It is sent again when the answer is lost, and
// may then find its own first attempt in the way: AlreadyExists, whole or cut.
func (r *Repository) Upload(ctx context.Context, release int64, name, contentType, path string) (Asset, error) {
	doing := "uploading " + name
	request, err := r.uploadRequest(release, name, contentType, path)
	if err != nil {
		return Asset{}, fmt.Errorf("%s: %w", doing, err)
	}
	var answer assetAnswer
	_, err = r.client.Do(ctx, request, &answer)
	return answer.asset(), r.explain(doing, err)
}

func (r *Repository) uploadRequest(release int64, name, contentType, path string) (*http.Request, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return os.Open(path) }
	body, err := open()
	if err != nil {
		return nil, err
	}
	at := r.path(fmt.Sprintf("releases/%d/assets?name=%s", release, url.QueryEscape(name)))
	request, err := r.client.NewUploadRequest(at, body, info.Size(), contentType)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	request.GetBody = open
	return request, nil
}

// Digest downloads an asset, and says what its bytes are: for servers that do
// not, and for who does not believe them.
func (r *Repository) Digest(ctx context.Context, asset Asset) (digest string, err error) {
	err = r.read(ctx, asset, func() (size int64, err error) {
		digest, size, err = r.download(ctx, asset, io.Discard)
		return size, err
	})
	return digest, err
}

// Download downloads an asset to the file at path, with the mode 0644. The file
// gets its name only when it has the asset's size, and its digest where the
// server says one; on any error an older file stays as it was.
func (r *Repository) Download(ctx context.Context, asset Asset, path string) error {
	return r.read(ctx, asset, func() (size int64, err error) {
		err = artifact.Write(path, 0o644, func(to io.Writer) error {
			var digest string
			digest, size, err = r.download(ctx, asset, to)
			if err == nil && asset.Digest != "" && digest != asset.Digest {
				err = fmt.Errorf("its digest is %s, and %.80s was said to come", digest, asset.Digest)
			}
			return err
		})
		return size, err
	})
}

// read reads an asset, again when it was cut.
func (r *Repository) read(ctx context.Context, asset Asset, whole func() (size int64, err error)) error {
	doing := "downloading " + asset.Name
	for attempt := 1; ; attempt++ {
		size, err := whole()
		if err == nil {
			return nil
		}
		var here *fs.PathError // the disk is full, say: not GitHub's fault
		if errors.As(err, &here) {
			return fmt.Errorf("%s of %s: %w", doing, r.Name(), err)
		}
		var answered *github.ErrorResponse
		if attempt >= r.settings.Attempts || ctx.Err() != nil || errors.As(err, &answered) {
			return r.explain(doing, err)
		}
		wait := r.settings.Pause << (attempt - 1)
		fmt.Fprintf(r.settings.Log, "%s: after %d of %d bytes: %v: again in %s (attempt %d of %d)\n", doing, size, asset.Size, err, wait, attempt+1, r.settings.Attempts)
		sleep(ctx, wait)
	}
}

// download writes an asset's bytes; what broke off, or goes on for longer than
// the asset is, is an error.
func (r *Repository) download(ctx context.Context, asset Asset, to io.Writer) (digest string, size int64, err error) {
	request, err := r.client.NewRequest(http.MethodGet, r.path(fmt.Sprintf("releases/assets/%d", asset.ID)), nil)
	if err != nil {
		return "", 0, err
	}
	request.Header.Set("Accept", octets)
	response, err := r.client.BareDo(ctx, request)
	if err != nil {
		return "", 0, err
	}
	sum, size, err := web.Copy(to, response.Body, asset.Size)
	err = errors.Join(err, response.Body.Close())
	if err == nil && size != asset.Size {
		err = fmt.Errorf("%d bytes came of %d", size, asset.Size)
	}
	if err != nil {
		return "", size, err
	}
	return "sha256:" + sum, size, nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (r *Repository) path(below string) string {
	return strings.TrimSuffix(fmt.Sprintf("repos/%s/%s/%s", r.owner, r.name, below), "/")
}

// do makes one call; its answer goes where into points.
func (r *Repository) do(ctx context.Context, doing, method, path string, body, into any) error {
	_, err := r.page(ctx, doing, method, path, body, into)
	return err
}

func (r *Repository) page(ctx context.Context, doing, method, path string, body, into any) (next int, err error) {
	request, err := r.client.NewRequest(method, r.path(path), body)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", doing, err)
	}
	response, err := r.client.Do(ctx, request, into)
	if err != nil {
		return 0, r.explain(doing, err)
	}
	return response.NextPage, nil
}

// list reads all pages of a plain list.
func list[T any](ctx context.Context, r *Repository, doing, path string) (all []T, err error) {
	err = walk(ctx, r, doing, path, url.Values{}, func(some []T) { all = append(all, some...) })
	return all, err
}
