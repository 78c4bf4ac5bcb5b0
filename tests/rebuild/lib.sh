# shellcheck shell=sh disable=SC2034 # what it sets is for the scripts
# What each rebuild begins with. The driver (magefiles/internal/rebuild) calls a
# script as root in a fresh container with these variables:
#   TOOLCHAIN  ours: Go is in /usr/local/go; its own: Go is a package
#   GOCACHE    the go command's build cache; empty means a new one
#   GOGC, GOMEMLIMIT  when the compilers collect their garbage, or unset
# Packages go to /out. The build itself runs as a user without rights or home.

set -eu
export LC_ALL=C.UTF-8
umask 022
TOP=/opt/spire-packages
WORK=/build
PATH=/usr/local/go/bin:$PATH

fail() {
    printf 'FAIL: %s\n' "$*"
    exit 1
}

# build COMMAND...: as that user, with nothing of Go's but what is set here.
build() {
    env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME=/nonexistent GOFLAGS= GOPROXY=off \
        ${GOCACHE:+GOCACHE="$GOCACHE"} ${GOGC:+GOGC="$GOGC"} \
        ${GOMEMLIMIT:+GOMEMLIMIT="$GOMEMLIMIT"} \
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

mkdir -p "$WORK" /out
chown 65534:65534 "$WORK"
[ -z "$GOCACHE" ] || chown 65534:65534 "$GOCACHE"

# Nothing can be fetched here, or the rebuild would prove nothing.
go version
if said=$(env HOME=/tmp GOTOOLCHAIN=local GOSUMDB=off GOFLAGS=-mod=mod timeout 60 \
    go mod download -x golang.org/x/mod@v0.17.0 2>&1); then
    fail "a module was downloaded: there is a network"
fi
printf 'ok: no network: %s\n' "$(printf '%s\n' "$said" | tail -n 1)"
