# shellcheck shell=sh
# Builds the .dsc in ../packages again, as its own debian/rules say.
. "$(dirname "$0")/lib.sh"

sources=$(echo "$TOP"/packages/*.dsc)
build dpkg-source --extract "$sources" "$WORK/tree"
cd "$WORK/tree"

# What the build asks for is all there; but Go is no package when it is ours.
unmet=$(dpkg-checkbuilddeps 2>&1) || true
unmet=${unmet##*dependencies: }
check=
if [ "$TOOLCHAIN" = ours ]; then
    check=--no-check-builddeps
    unmet=$(printf '%s\n' "$unmet" | sed 's/^golang-any ([^)]*)$//')
fi
[ -z "$unmet" ] || fail "build dependencies that are not there: $unmet"
# The files are compared, not how small they were packed: xz would take a minute.
# shellcheck disable=SC2086 # an option or none
build env DPKG_DEB_COMPRESSOR_TYPE=gzip DPKG_DEB_COMPRESSOR_LEVEL=1 \
    dpkg-buildpackage --build=binary --no-sign $check
cp "$WORK"/*.deb /out
