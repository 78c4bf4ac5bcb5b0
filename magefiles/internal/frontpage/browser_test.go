package frontpage

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/run"
)

// screenshots names a folder for pictures of the page, to be looked at.
const screenshots = "SPIRE_TEST_SCREENSHOTS"

// browsers are the names by which distributions have Chromium.
var browsers = []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"}

// browser is a context for tabs of a headless browser.
func browser(t *testing.T) context.Context {
	t.Helper()
	i := slices.IndexFunc(browsers, run.Have)
	if i < 0 {
		t.Skipf("no browser: none of %s is installed", strings.Join(browsers, ", "))
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browsers[i]))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// served is a server of one page that remembers what it was asked for.
type served struct {
	url   string
	mu    sync.Mutex
	asked []string
}

func serve(t *testing.T, page []byte) *served {
	t.Helper()
	s := &served{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path)
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(page)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/"
	return s
}

// requests are the paths that were asked for.
func (s *served) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// screen is how the page is looked at.
type screen struct {
	name          string
	width, height int64
	scale         float64
	scheme        string
}

func TestBrowser(t *testing.T) {
	ctx := browser(t)
	for _, screen := range []screen{
		{"light", 1280, 800, 1, "light"},
		{"dark", 1280, 800, 1, "dark"},
		{"tablet", 820, 1180, 1, "light"},
		{"phone-light", 360, 740, 2, "light"},
		{"phone-dark", 360, 740, 2, "dark"},
		{"narrow", 320, 640, 1, "light"}, // 400 % of 1280: WCAG 2.2, 1.4.10
	} {
		t.Run(screen.name, func(t *testing.T) {
			page := serve(t, written(t, rotating(t)))
			tab, cancel := chromedp.NewContext(ctx)
			defer cancel()
			problems := watch(t, tab, page.url)
			screen.open(t, tab, page.url)
			screen.look(t, tab, "")
			unfold(t, tab)
			screen.look(t, tab, "-unfolded")
			if got := page.requests(); !slices.Equal(got, []string{"/"}) {
				t.Errorf("the page asked for %q", got)
			}
			for _, problem := range problems() {
				t.Error(problem)
			}
		})
	}
}

// watch notes what the page asks for beside itself, and what the browser has to
// say about it.
func watch(t *testing.T, tab context.Context, url string) (problems func() []string) {
	t.Helper()
	var mu sync.Mutex
	var found []string
	note := func(problem string) {
		mu.Lock()
		defer mu.Unlock()
		found = append(found, problem)
	}
	err := chromedp.Listen(tab, func(event any) {
		switch event := event.(type) {
		case *network.EventRequestWillBeSent:
			if to := event.Request.URL; to != url && !strings.HasPrefix(to, "data:") {
				note("request of " + to)
			}
		case *log.EventEntryAdded:
			note("log: " + event.Entry.Text)
		case *runtime.EventConsoleAPICalled:
			note("console: " + string(event.Type))
		case *runtime.EventExceptionThrown:
			note("exception: " + event.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(found)
	}
}

// open shows the page with scripts switched off: what this test runs in it is
// the debugger's, not the page's.
func (s screen) open(t *testing.T, tab context.Context, url string) {
	t.Helper()
	call(t, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	call(t, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}},
	})
	err := chromedp.Do(tab, chromedp.EmulateViewport(s.width, s.height, chromedp.EmulateScale(s.scale)), chromedp.Navigate(url))
	if err != nil {
		t.Fatal(err)
	}
}

// look checks what is on the screen, and takes a picture of it.
func (s screen) look(t *testing.T, tab context.Context, state string) {
	t.Helper()
	picture(t, tab, s.name+state)
	if wide := evaluate[[]string](t, tab, overflowing); len(wide) > 0 {
		t.Errorf("wider than the screen of %d pixels: %s", s.width, strings.Join(wide, "; "))
	}
	faint := evaluate[[]string](t, tab, contrasts)
	for _, text := range faint {
		t.Errorf("hard to read: %s", text)
	}
	dark := evaluate[bool](t, tab, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).every(c => c < 64)`)
	if dark != (s.scheme == "dark") {
		t.Errorf("the background is dark: %t, in the %s scheme", dark, s.scheme)
	}
}

// unfold opens an older version as a reader does, by keyboard.
func unfold(t *testing.T, tab context.Context) {
	t.Helper()
	if err := chromedp.Do(tab, chromedp.Focus(chromedp.CSS("summary")), chromedp.KeyEvent("\r")); err != nil {
		t.Fatal(err)
	}
	if open := evaluate[bool](t, tab, `document.querySelector("details").open`); !open {
		t.Error("an older version does not unfold by keyboard")
	}
	if outline := evaluate[string](t, tab, `getComputedStyle(document.querySelector("summary")).outlineStyle`); outline != "solid" {
		t.Errorf("the focus is not to be seen: its outline is %q", outline)
	}
}

// picture writes a picture of the whole page where somebody wants one.
func picture(t *testing.T, tab context.Context, name string) {
	t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	png, err := chromedp.Run(tab, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// overflowing is a script that lists what is wider than the page; blocks of
// lines scroll in themselves.
const overflowing = `(() => {
  const root = document.scrollingElement;
  if (root.scrollWidth <= innerWidth) return [];
  return ["the page has " + root.scrollWidth + " pixels", ...[...document.querySelectorAll("body *")]
    .filter(e => !e.closest(".paste code") && e.getBoundingClientRect().right > innerWidth)
    .map(e => e.tagName + " " + e.textContent.trim().slice(0, 40))];
})()`

// contrasts is a script that lists the texts whose contrast with what is behind
// them is below 4.5, the least that WCAG 2.2 allows (1.4.3, level AA).
const contrasts = `(() => {
  const parts = c => c.match(/[\d.]+/g).map(Number);
  const light = c => parts(c).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor, alpha = parts(c)[3] ?? 1;
      if (alpha === 1) return c;
      if (alpha !== 0) return "rgb(128, 128, 128)"; // half transparent: nobody can tell
    }
    return "rgb(128, 128, 128)";
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, e = node.parentElement;
    if (!node.data.trim()) continue;
    const text = getComputedStyle(e).color, back = behind(e);
    const [a, b] = [light(text), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push(ratio.toFixed(2) + " " + text + " on " + back + ": " + node.data.trim().slice(0, 40));
  }
  return found;
})()`

func evaluate[T any](t *testing.T, tab context.Context, script string) T {
	t.Helper()
	value, err := chromedp.Run(tab, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func call[P, R any](t *testing.T, tab context.Context, command cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(tab, command, params); err != nil {
		t.Fatal(err)
	}
}
