package frontpage

import (
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/browser"
)

func TestBrowser(t *testing.T) {
	ctx := browser.Start(t)
	for _, screen := range browser.Screens {
		t.Run(screen.Name, func(t *testing.T) {
			page := screen.Show(ctx, t, written(t, rotating(t)))
			page.Look(t, "")
			unfold(t, page)
			page.Look(t, "-unfolded")
		})
	}
}

// unfold opens an older version as a reader does, by keyboard.
func unfold(t *testing.T, page *browser.Page) {
	t.Helper()
	page.Press(t, "summary", "\r")
	if open := browser.Evaluate[bool](t, page, `document.querySelector("details").open`); !open {
		t.Error("an older version does not unfold by keyboard")
	}
	if outline := browser.Evaluate[string](t, page, `getComputedStyle(document.querySelector("summary")).outlineStyle`); outline != "solid" {
		t.Errorf("the focus is not to be seen: its outline is %q", outline)
	}
}
