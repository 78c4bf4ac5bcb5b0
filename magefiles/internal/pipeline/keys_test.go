package pipeline

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spiffe-experimental/spire-packages/magefiles/internal/pipeline/pipelinetest"
	"github.com/spiffe-experimental/spire-packages/magefiles/internal/sign"
)

// keyed is a checkout whose keys are those of the signers.
func keyed(t *testing.T, signers ...*sign.Signer) (Pipeline, *bytes.Buffer) {
	t.Helper()
	p, log := real(t), new(bytes.Buffer)
	root := t.TempDir()
	for _, name := range []string{"packages", "units", "srpm"} {
		if err := os.CopyFS(filepath.Join(root, name), os.DirFS(filepath.Join(p.Root, name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, signer := range signers {
		put(t, filepath.Join(root, KeysDir, signer.Fingerprint()+".asc"), string(sign.Armoured(signer.Certificate())))
	}
	p.Root, p.Log = root, log
	return p, log
}

// The checkout says who signs, and not the secret.
func TestVouched(t *testing.T) {
	ours, next, foreign := pipelinetest.Someone(t, "ours"), pipelinetest.Someone(t, "next"), pipelinetest.Someone(t, "foreign")
	p, log := keyed(t, ours, next)
	for _, signer := range []*sign.Signer{ours, next} {
		if _, err := p.vouched(signer); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.vouched(foreign); err == nil || !strings.Contains(err.Error(), "the key "+foreign.Fingerprint()+" is none of the archive's") {
		t.Errorf("a foreign key: %v", err)
	}
	all, err := p.trusted(Archive{Signer: ours})
	if err != nil || len(all) != 2 || all[0].Fingerprint() != ours.Fingerprint() {
		t.Errorf("%d keys are published, error %v", len(all), err)
	}
	if err := p.MayRelease(); err != nil || log.Len() > 0 {
		t.Errorf("error %v, said %q", err, log)
	}
	p.Rehearsal = true
	if _, err := p.vouched(foreign); err != nil || !strings.Contains(log.String(), "REHEARSAL: "+foreign.Fingerprint()+" signs") {
		t.Errorf("a rehearsal: %v, said %q", err, log)
	}
	if err := p.MayRelease(); err == nil || !strings.Contains(err.Error(), "a rehearsal releases nothing") {
		t.Errorf("error %v", err)
	}
	p, log = keyed(t)
	if _, err := p.vouched(foreign); err != nil || !strings.Contains(log.String(), "REHEARSAL") {
		t.Errorf("no key yet: %v, said %q", err, log)
	}
	if err := p.MayRelease(); err == nil || !strings.Contains(err.Error(), "before the archive's public key is in "+KeysDir) {
		t.Errorf("error %v", err)
	}
}

// A key that is none of ours signs nothing, whatever is right with the files.
func TestSignByOthers(t *testing.T) {
	p, _ := keyed(t, pipelinetest.Someone(t, "ours"))
	prebuilt, o := machines(t, "1.13.3")
	p.Dist, o.Rebuilt = prebuilt.Dist, digestsOf(t, o)
	foreign := pipelinetest.Someone(t, "foreign")
	_, err := p.Sign(t.Context(), o, Opened(foreign), Builder{}, "")
	if err == nil || !strings.Contains(err.Error(), "is none of the archive's") {
		t.Errorf("error %v", err)
	}
}
