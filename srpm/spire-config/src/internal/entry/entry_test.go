package entry

import (
	"strings"
	"testing"
	"time"

	"github.com/spiffe-experimental/spire-config/internal/setup"
	"github.com/spiffe-experimental/spire-config/internal/testbed"
)

func TestAdd(t *testing.T) {
	testbed.Programs(t)
	bed := testbed.New(t)
	asked := setup.Server{TrustDomain: "example.org", Port: testbed.FreePort(t), Start: true}
	if err := asked.Run(t.Context(), bed.Machine); err != nil {
		t.Fatal(err)
	}
	web := Add{Name: "web", User: "www-data", Group: "web", Parent: "web1", TTL: time.Minute, DNSNames: []string{"web.example.org"}}
	for _, step := range []struct {
		name   string
		asked  Add
		dry    bool
		says   string
		errors string
	}{
		{name: "shown", asked: web, dry: true, says: "+ entry spiffe://example.org/web\n+   parent    spiffe://example.org/web1\n+   selectors unix:user:www-data, unix:group:web"},
		{name: "made", asked: web, says: "spiffe://example.org/web for unix:group:web, unix:user:www-data, below spiffe://example.org/web1"},
		{name: "made twice", asked: web, says: "is there already: nothing to change"},
		{name: "shown, when it is there", asked: web, dry: true, says: "is there already: nothing to change"},
		{name: "made otherwise", asked: Add{Name: "web", User: "www-data", Group: "web", Parent: "web1"}, errors: "with other DNS names or another TTL"},
		{name: "no agent", asked: Add{Name: "web", User: "www-data"}, errors: "no agent has attested yet"},
		{name: "nobody", asked: Add{Name: "web", Parent: "x"}, errors: "who gets the identity?"},
		{name: "no selector", asked: Add{Name: "web", Parent: "x", Selectors: []string{"unix"}}, errors: "want TYPE:VALUE"},
		{name: "half a unit", asked: Add{Name: "web", Parent: "x", Service: "nginx"}, errors: "nginx.service"},
		{name: "a unit", asked: Add{Name: "web", Parent: "x", Service: "nginx.service"}, says: "systemd:id:nginx.service"},
		{name: "a container", asked: Add{Name: "web", Parent: "x", Container: "nginx:1.29"}, says: "docker:image_id:nginx:1.29"},
		{name: "no name", asked: Add{Name: "/", User: "x", Parent: "x"}, errors: `name "/"`},
		{name: "another trust domain", asked: Add{Name: "a", User: "x", Parent: "spiffe://partner.test/x"}, errors: "refuses the entry"},
	} {
		t.Run(step.name, func(t *testing.T) {
			bed.Out.Reset()
			bed.DryRun = step.dry
			err := step.asked.Run(t.Context(), bed.Machine)
			if (err == nil) != (step.errors == "") || err != nil && !strings.Contains(err.Error(), step.errors) {
				t.Fatalf("error %v, want %q", err, step.errors)
			}
			if !strings.Contains(bed.Out.String(), step.says) {
				t.Errorf("it says %q, want %q", bed.Out, step.says)
			}
		})
	}
	for _, plugin := range []string{"systemd", "docker"} {
		if !strings.Contains(bed.Notes.String(), `add WorkloadAttestor "`+plugin+`"`) {
			t.Errorf("the agent's configuration has no %s, and it says %q", plugin, bed.Notes)
		}
	}
}
