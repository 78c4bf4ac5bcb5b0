// Package hub is the client to GitHub, or an Enterprise server of it: tags,
// releases with their assets, issues, branches with their pull requests, and the jobs of
// a run. It waits and asks
// again where that helps, within bounds and aloud; what it gives up on, it explains.
package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/secret"
)

// Settings say to which server to speak, and as who. The zero value of each
// field but Token means what its comment says.
type Settings struct {
	// Token is the caller's; without one, only what is public can be read.
	Token string
	// API and Server are the addresses of the API and of the pages, as GitHub's
	// runners have them in GITHUB_API_URL and GITHUB_SERVER_URL; GitHub itself.
	API, Server string
	// Log gets a line for every wait; nowhere.
	Log io.Writer
	// Attempts is how often a call is made at most; 6.
	Attempts int
	// Patience is how long a call may take with all its attempts; 15 minutes.
	Patience time.Duration
	// Pause is the wait before the second attempt, which doubles from then on; a second.
	Pause time.Duration
	// Stall is how long a connection may move no byte; a minute.
	Stall time.Duration
}

// FromEnvironment are the settings of GitHub's runners, and of its own tool gh.
func FromEnvironment(log io.Writer) Settings {
	token := cmp.Or(secret.Get("GITHUB_TOKEN"), secret.Get("GH_TOKEN"))
	return Settings{Token: token, API: os.Getenv("GITHUB_API_URL"), Server: os.Getenv("GITHUB_SERVER_URL"), Log: log}
}

func (s Settings) withDefaults() Settings {
	for field, value := range map[*string]string{&s.API: "https://api.github.com", &s.Server: "https://github.com"} {
		if *field == "" {
			*field = value
		}
	}
	for field, value := range map[*time.Duration]time.Duration{&s.Patience: 15 * time.Minute, &s.Pause: time.Second, &s.Stall: time.Minute} {
		if *field == 0 {
			*field = value
		}
	}
	if s.Attempts == 0 {
		s.Attempts = 6
	}
	if s.Log == nil {
		s.Log = io.Discard
	}
	return s
}

// Repository is one repository on the server.
type Repository struct {
	settings    Settings
	owner, name string
	client      *github.Client
}

var repositoryForm = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9-]{0,38})/([A-Za-z0-9._-]{1,100})$`)

// Open makes the client of the repository owner/name; it speaks to nobody yet.
func Open(settings Settings, name string) (*Repository, error) {
	match := repositoryForm.FindStringSubmatch(name)
	if match == nil || match[2] == "." || match[2] == ".." {
		return nil, fmt.Errorf("the repository %.200q is not of the form owner/name: give it as -repository=owner/name, or in GITHUB_REPOSITORY", name)
	}
	settings = settings.withDefaults()
	api, uploads, err := settings.addresses()
	if err != nil {
		return nil, err
	}
	client := github.NewClient(&http.Client{Transport: settings.transport(api, uploads)})
	client.BaseURL, client.UploadURL, client.UserAgent = api, uploads, "spire-packages"
	return &Repository{settings: settings, owner: match[1], name: match[2], client: client}, nil
}

// OpenPage is Open with the address of a repository's page. The token is only
// for the settings' own server: to others it goes without.
func OpenPage(settings Settings, page string) (*Repository, error) {
	at, err := url.Parse(page)
	if err != nil || at.Host == "" {
		return nil, fmt.Errorf("%.200q is not the address of a repository, such as https://github.com/spiffe/spire", page)
	}
	own, err := url.Parse(settings.withDefaults().Server)
	if err != nil {
		return nil, fmt.Errorf("GITHUB_SERVER_URL: %w", err)
	}
	if at.Host != own.Host {
		settings.Token, settings.Server = "", at.Scheme+"://"+at.Host
		settings.API = settings.Server + "/api/v3"
		if at.Host == "github.com" {
			settings.API = "https://api.github.com"
		}
	}
	return Open(settings, strings.Trim(strings.TrimSuffix(at.Path, ".git"), "/"))
}

// addresses are those of the API and for uploads, each with a slash at the end.
func (s Settings) addresses() (api, uploads *url.URL, err error) {
	api, err = url.Parse(strings.TrimSuffix(s.API, "/") + "/")
	if err != nil || api.Host == "" {
		return nil, nil, fmt.Errorf("GITHUB_API_URL=%q is no address, such as https://api.github.com", s.API)
	}
	if api.Scheme != "https" && api.Hostname() != "127.0.0.1" && api.Hostname() != "localhost" {
		return nil, nil, fmt.Errorf("GITHUB_API_URL=%q does not begin with https://: anybody on the way could read the token", s.API)
	}
	beside := *api
	if host, ok := strings.CutPrefix(api.Host, "api."); ok {
		beside.Host = "uploads." + host
	} else if path, ok := strings.CutSuffix(api.Path, "/api/v3/"); ok {
		beside.Path = path + "/api/uploads/"
	} else {
		return nil, nil, fmt.Errorf("GITHUB_API_URL=%q is neither https://api.HOST nor https://HOST/api/v3", s.API)
	}
	return api, &beside, nil
}

// Name is owner/name.
func (r *Repository) Name() string { return r.owner + "/" + r.name }

// URL is the address of its page.
func (r *Repository) URL() string {
	return strings.TrimSuffix(r.settings.Server, "/") + "/" + r.Name()
}

// NotFound says whether the error is that something is not there, or may not
// be seen.
func NotFound(err error) bool {
	var known *Error
	return errors.As(err, &known) && known.Status == http.StatusNotFound
}

// AlreadyExists says whether the error is that there is one of this name.
func AlreadyExists(err error) bool {
	var known *Error
	if errors.As(err, &known) && known.Status == http.StatusUnprocessableEntity {
		for _, code := range known.Codes {
			if code == "already_exists" {
				return true
			}
		}
	}
	return false
}
