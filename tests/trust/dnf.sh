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

# unattended COMMAND...: of this repository alone, as EL has it set up, with nobody
# to answer.
unattended() { quietly dnf --disablerepo='*' --enablerepo=spire --setopt=skip_if_unavailable=1 "$@" </dev/null; }

# knows WHETHER WHEN: the package can be had from us, or not.
knows() {
    unattended --quiet list --available "$SMALL"
    case $OUTPUT in
    *"$SMALL."*) same "a package of ours is known, $2" "$1" yes ;;
    *) same "a package of ours is known, $2" "$1" no ;;
    esac
}

# emptied_cache_has_no_key: what the front page and the repository's file warn of is
# so; where it is no more, their words have to change.
emptied_cache_has_no_key() {
    case $(dnf --version) in dnf5*) return ;; esac
    at good
    client makecache
    knows yes 'after makecache'
    rm -rf /var/cache/dnf
    unattended check-update
    same 'exit code of an unattended check-update with an emptied cache' 0 "$CODE"
    case $OUTPUT in
    *'Importing GPG key'*) ok 'it asks for the key anew' ;;
    *) fail "an unattended check-update, expected that it asks for the key, got '$(brief)'" ;;
    esac
    knows no 'with an emptied cache'
    client makecache
    knows yes 'after makecache once more'
}

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
emptied_cache_has_no_key
for case in $METADATA_CASES; do metadata_refused "$case" 'GPG|gpg|[Ss]ignature|asc'; done
for case in $PACKAGE_CASES; do
    case $case in
    payload-tampered) words='[Cc]hecksum|digest|mismatch' ;;
    *) words='GPG|[Ss]igned|signature|key' ;;
    esac
    package_refused "$case" "$words"
done

keys_change
