package report

import (
	"context"
	"slices"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/browser"
)

func TestBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	ctx := browser.Start(t)
	for _, screen := range browser.Screens {
		t.Run(screen.Name, func(t *testing.T) { show(ctx, t, screen, sample()) })
	}
	narrowest := slices.MinFunc(browser.Screens, func(a, b browser.Screen) int { return int(a.Width - b.Width) })
	narrowest.Name = "hostile"
	t.Run(narrowest.Name, func(t *testing.T) { show(ctx, t, narrowest, hostile()) })
}

func show(ctx context.Context, t *testing.T, screen browser.Screen, r Run) {
	t.Helper()
	p := screen.Show(ctx, t, []byte(read(t, written(t, r), Page)))
	p.Look(t, "")
	keyboard(t, p)
}

// keyboard walks as readers do who have no mouse: to the matrix, which scrolls
// then, and from a failure without a log to what is said of it.
func keyboard(t *testing.T, p *browser.Page) {
	t.Helper()
	p.Press(t, ".matrix", "")
	if outline := browser.Evaluate[string](t, p, `getComputedStyle(document.querySelector(".matrix")).outlineStyle`); outline != "solid" {
		t.Errorf("the focus is not to be seen: its outline is %q", outline)
	}
	p.Press(t, `.failed a[href^="#"]`, "\r")
	if where := browser.Evaluate[string](t, p, `document.querySelector(":target")?.tagName ?? "nowhere"`); where != "H3" {
		t.Errorf("a failure without a log leads to %s", where)
	}
}
