package run

import (
	"context"
	"testing"
)

func TestBeside(t *testing.T) {
	Beside(t.Context(), nil)() // nothing to do
	begun, ended := make(chan struct{}), false
	end := Beside(t.Context(), func(ctx context.Context) {
		close(begun)
		<-ctx.Done()
		ended = true
	})
	<-begun
	if end(); !ended {
		t.Error("the work goes on after its end")
	}
}
