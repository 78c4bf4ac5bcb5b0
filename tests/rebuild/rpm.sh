# shellcheck shell=sh
# Builds the src.rpm in ../packages again, as its own spec says.
. "$(dirname "$0")/lib.sh"

# Debian's rpm has an empty database: it is told what the container has.
build rpmbuild -bb --quiet --define "_topdir $WORK/tools" \
    --define "goversion $(go env GOVERSION | sed 's/^go//')" "$TOP/scenarios/tools.spec"
rpm --install --nosignature "$WORK"/tools/RPMS/noarch/*.rpm

# The files are compared, not how small they were packed.
build rpmbuild --rebuild --define "_topdir $WORK/rpm" --define '_binary_payload w1.gzdio' "$TOP"/packages/*.src.rpm
cp "$WORK"/rpm/RPMS/*/*.rpm /out
