package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// HomeName is the file, in the root of a tree that is not all here, which says where the
// rest of it is. It is never published.
const HomeName = "ledger.home"

// Home is where the files are that a tree lacks.
type Home struct {
	Address string
	// Published is when the state was published that is all there.
	Published time.Time
}

// LoadHome is the home of the tree in dir. Where all of that is here, it is zero.
func LoadHome(dir string) (h Home, err error) {
	content, err := os.ReadFile(filepath.Join(dir, HomeName))
	if errors.Is(err, fs.ErrNotExist) {
		return Home{}, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &h)
	}
	if err != nil {
		return Home{}, fmt.Errorf("reading where the rest of the tree is: %w", err)
	}
	return h, nil
}

// Has says whether a published file is at the home, and so need not be here.
func (h Home) Has(f File) bool { return !f.Published.After(h.Published) }
