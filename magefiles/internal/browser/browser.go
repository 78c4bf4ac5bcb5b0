// Package browser shows pages to tests in headless Chromium, as people with
// other screens and settings see them. Only tests import it.
package browser

import (
	"bytes"
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

// screenshots names a folder for pictures of the pages, to be looked at.
const screenshots = "SPIRE_TEST_SCREENSHOTS"

// names are those by which distributions have Chromium.
var names = []string{"chromium", "chromium-browser", "google-chrome", "headless-shell"}

// Start starts a browser, which ends with the test. Without one the test is
// skipped.
func Start(t *testing.T) context.Context {
	t.Helper()
	i := slices.IndexFunc(names, run.Have)
	if i < 0 {
		t.Skipf("no browser: none of %s is installed", strings.Join(names, ", "))
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(names[i]))
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

// Screen is how a page is looked at.
type Screen struct {
	Name          string
	Width, Height int64
	Scale         float64
	Scheme        string // light, dark
}

// Screens are those that every page has to be good on.
var Screens = []Screen{
	{"light", 1280, 800, 1, "light"},
	{"dark", 1280, 800, 1, "dark"},
	{"tablet", 820, 1180, 1, "light"},
	{"phone-light", 360, 740, 2, "light"},
	{"phone-dark", 360, 740, 2, "dark"},
	{"narrow", 320, 640, 1, "light"}, // 400 % of 1280: WCAG 2.2, 1.4.10
}

// Page is a page that is shown.
type Page struct {
	screen Screen
	url    string
	tab    context.Context

	mu       sync.Mutex
	problems []string
}

// Show serves a page that is one file, and opens it with scripts switched off:
// what runs in it then is the debugger's, not the page's. That the page asks
// for anything else, or that the browser complains, fails the test at its end.
func (s Screen) Show(ctx context.Context, t *testing.T, content []byte) *Page {
	t.Helper()
	tab, cancel := chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	p := &Page{screen: s, tab: tab}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "index.html", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(server.Close)
	p.url = server.URL + "/"
	if err := chromedp.Listen(tab, p.watch); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.report(t) })
	call(t, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	call(t, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.Scheme}},
	})
	p.do(t, chromedp.EmulateViewport(s.Width, s.Height, chromedp.EmulateScale(s.Scale)), chromedp.Navigate(p.url))
	return p
}

// watch notes what the page asks for beside itself, and what the browser has to
// say about it.
func (p *Page) watch(event any) {
	switch event := event.(type) {
	case *network.EventRequestWillBeSent:
		if to := event.Request.URL; to != p.url && !strings.HasPrefix(to, p.url+"#") && !strings.HasPrefix(to, "data:") {
			p.note("request of " + to)
		}
	case *log.EventEntryAdded:
		p.note("log: " + event.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		p.note("console: " + string(event.Type))
	case *runtime.EventExceptionThrown:
		p.note("exception: " + event.ExceptionDetails.Text)
	}
}

func (p *Page) note(problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, problem)
}

func (p *Page) report(t *testing.T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		t.Error(problem)
	}
}

// Look checks what is on the screen, and takes a picture of it where somebody
// wants one.
func (p *Page) Look(t *testing.T, state string) {
	t.Helper()
	p.picture(t, p.screen.Name+state)
	if wide := Evaluate[[]string](t, p, overflowing); len(wide) > 0 {
		t.Errorf("wider than the screen of %d pixels: %s", p.screen.Width, strings.Join(wide, "; "))
	}
	for _, text := range Evaluate[[]string](t, p, contrasts) {
		t.Errorf("hard to read: %s", text)
	}
	dark := Evaluate[bool](t, p, `getComputedStyle(document.body).backgroundColor.match(/\d+/g).every(c => c < 64)`)
	if dark != (p.screen.Scheme == "dark") {
		t.Errorf("the background is dark: %t, in the %s scheme", dark, p.screen.Scheme)
	}
}

// Press types keys at the first element that the selector finds.
func (p *Page) Press(t *testing.T, selector, keys string) {
	t.Helper()
	p.do(t, chromedp.Focus(chromedp.CSS(selector)), chromedp.KeyEvent(keys))
}

func (p *Page) picture(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.tab, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		t.Error(err)
	}
}

// overflowing is a script that lists what is wider than the page; what scrolls
// in itself may be.
const overflowing = `(() => {
  const root = document.scrollingElement;
  if (root.scrollWidth <= innerWidth) return [];
  const scrolls = e => e && e !== document.body && (/auto|scroll/.test(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  return ["the page has " + root.scrollWidth + " pixels", ...[...document.querySelectorAll("body *")]
    .filter(e => !scrolls(e.parentElement) && e.getBoundingClientRect().right > innerWidth)
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

// Evaluate is the value of a script in the page.
func Evaluate[T any](t *testing.T, p *Page, script string) T {
	t.Helper()
	value, err := chromedp.Run(p.tab, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (p *Page) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(p.tab, steps...); err != nil {
		t.Fatal(err)
	}
}

func call[P, R any](t *testing.T, tab context.Context, command cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(tab, command, params); err != nil {
		t.Fatal(err)
	}
}
