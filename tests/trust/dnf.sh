#!/bin/sh
# dnf and the repository: what the front page says works without a warning, and
# every way to break the repository that we know of is refused by dnf itself.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=rpm/common.sh
. "$(dirname "$0")/rpm/common.sh"

REPO=/etc/yum.repos.d/spire.repo
client() { quietly dnf --assumeyes "$@"; }
# older FOLDER: a distribution has these; one of them is here already.
older() { rpm --install "$1"/*.rpm; }
forget() { rm -rf /var/cache/dnf /var/lib/dnf/repos; }

pkg_prepare
paste_works
cd "$(mktemp -d)"
client download --source spire-server
unwarned 'dnf download --source'
there ./spire-*.src.rpm
cd /

others_stay_out
entries_are_not_doubled
older_index_is_taken
for case in $METADATA_CASES; do metadata_refused "$case" 'GPG|gpg|[Ss]ignature|asc'; done
for case in $PACKAGE_CASES; do
    case $case in
    payload-tampered) words='[Cc]hecksum|digest|mismatch' ;;
    *) words='GPG|[Ss]igned|signature|key' ;;
    esac
    package_refused "$case" "$words"
done

keys_change
