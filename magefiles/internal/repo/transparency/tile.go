package transparency

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	// height of the tiles: each has at most 256 hashes, or entries.
	height = 8
	width  = 1 << height
	// data is the level that tlog gives to tiles of entries.
	data = -1
)

// tilePath is where a tile is: as of tlog, whose height is not said, since all have the
// same, and whose data is called entries (c2sp.org/tlog-tiles).
func tilePath(t tlog.Tile) string {
	name := strings.TrimPrefix(t.Path(), fmt.Sprintf("tile/%d/", t.H))
	if rest, of := strings.CutPrefix(name, "data/"); of {
		name = "entries/" + rest
	}
	return path.Join(Folder, "tile", name)
}

// entryTiles are the tiles with the entries from one number to another, which is not
// among them.
func entryTiles(from, to int64) (tiles []tlog.Tile) {
	for n := from / width; n*width < to; n++ {
		tiles = append(tiles, tlog.Tile{H: height, L: data, N: n, W: int(min(width, to-n*width))})
	}
	return tiles
}

// Paths are the files of a log of so many entries, below the repository's root, but for
// the checkpoint: the tiles that are full, and of each level the last one, as far as it
// is.
func Paths(size int64) (paths []string) {
	if size == 0 {
		return nil
	}
	for _, t := range append(tlog.NewTiles(height, 0, size), entryTiles(0, size)...) {
		paths = append(paths, tilePath(t))
	}
	return paths
}

// tiles reads tiles of hashes, each once.
type tiles struct {
	read Read
	seen map[tlog.Tile][]byte
}

// Height is the tiles'.
func (t tiles) Height() int { return height }

// ReadTiles reads tiles. What they say is believed by nobody before its hash is right.
func (t tiles) ReadTiles(wanted []tlog.Tile) (contents [][]byte, err error) {
	for _, tile := range wanted {
		content, known := t.seen[tile]
		if !known {
			if content, err = t.read(tilePath(tile)); err != nil {
				return nil, err
			}
			if len(content) != tile.W*tlog.HashSize {
				return nil, fmt.Errorf("the log's %s has %d bytes, and not those of %d hashes", tilePath(tile), len(content), tile.W)
			}
		}
		contents = append(contents, content)
	}
	return contents, nil
}

// SaveTiles keeps what was found to be right.
func (t tiles) SaveTiles(wanted []tlog.Tile, contents [][]byte) {
	for i, tile := range wanted {
		t.seen[tile] = contents[i]
	}
}
