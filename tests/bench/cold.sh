#!/bin/sh
# How much longer `mage build` takes than the bare `go build` inside it, both
# cold: an empty build cache, no dist. The module cache is warm for both. Mage's
# own compilation is left out: the targets are compiled once, before.
#
# Bare is measured twice: "same" with the very flags of our build, "usual"
# without the one that is there for speed alone (no debugger's information),
# as who compiles SPIRE by hand would do it.
#
#   tests/bench/cold.sh [ROUNDS] [FOLDER] [TARGET...]
#
# Of the main source alone. The targets are `build` unless given; `package:deb package:rpm` leaves out the
# source packages. Nothing else may run on the machine: a compiler beside it
# shows up as some per cent.
#
# For another architecture set SPIRE_ARCH, and BENCH_CC to its C compiler. Needs
# jq, and about 4 GB in FOLDER (default: a new one in /tmp). Prints a line
# a round and the ratios of the sums.
set -eu

rounds=${1:-3}
work=${2:-$(mktemp -d)}
shift $(($# < 2 ? $# : 2))
[ $# -gt 0 ] || set -- build
targets=$*
mkdir -p "$work"
root=$(cd "$(dirname "$0")/../.." && pwd)
checkout=$work/checkout
rm -rf "$checkout"
git clone -q "$root" "$checkout"
cd "$checkout"
go run magefile.go -compile "$work/mage"

# seconds COMMAND...: how long it takes, on a cold cache.
seconds() {
  cache=$(mktemp -d -p "$work")
  start=$(date +%s.%N)
  GOCACHE=$cache "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
  end=$(date +%s.%N)
  rm -rf "$cache"
  echo "$end $start" | awk '{ printf "%.1f\n", $1 - $2 }'
}

# shellcheck disable=SC2086 # one target a word
build() { rm -rf dist && SPIRE_SOURCE=spire "$work/mage" $targets; }

# bare FILTER: the same compilation of the same tree, with those of the flags
# that the build recorded that jq's FILTER takes, and nothing else.
bare() {
  record=$(echo "$checkout"/dist/spire/*/*.build.json)
  rm -rf "$work/bare"
  (
    cd "$checkout/dist/spire/.work/$(jq -r .Tree.Version "$record")/source"
    jq -r ".Flags[] | $1" "$record" >"$work/flags"
    # One variable a line, because CGO_CFLAGS has spaces.
    IFS='
'
    # shellcheck disable=SC2046 # the lines
    export GOENV=off GOFLAGS=-mod=readonly $(jq -r '.Env[]' "$record")
    # The record has no path of a machine, so no cross compiler's specs.
    [ -z "${BENCH_CC:-}" ] || export CC="$BENCH_CC"
    # One flag a line, because -ldflags has spaces.
    grep -lx 'source: spire' "$checkout"/packages/*/package.yaml | xargs sed -n 's|^command: |./|p' >>"$work/flags"
    tr '\n' '\0' <"$work/flags" | xargs -0 go build -o "$work/bare/"
  )
}

for round in $(seq "$rounds"); do
  whole=$(seconds build)
  same=$(seconds bare .)
  cmp "$work/bare/spire-server" dist/spire/.work/*/*/bin/spire-server
  usual=$(seconds bare 'select(startswith("-gcflags=") | not)')
  echo "round $round: build $whole s, bare $same s with the same flags, $usual s with the usual ones"
  echo "$whole $same $usual" >>"$work/times"
done
awk '{ a += $1; b += $2; c += $3 }
  END { printf "ratios of %d rounds: %.3f to the same flags, %.3f to the usual ones\n", NR, a / b, a / c }' "$work/times"
rm -f "$work/times"
