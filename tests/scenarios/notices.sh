#!/bin/sh
# Who takes fixes of security and nothing else gets exactly those: the repository has a
# version that mends something, and a newer one of the packages with the keys, which does
# not. The client says so by its own lists, and moves by them.
# The nights play it: it takes each client some seconds, and the Go tests hold what clients read.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/notices.sh
. "$LIB/notices.sh"

# shellcheck disable=SC2119 # without words
behind
case $CLIENT in
apt)
    for name in "$NAME" "$KEYS"; do
        quietly apt-cache policy "$name"
        same "suites with $name" "$([ "$name" = "$KEYS" ] || echo stable-security)" \
            "$(printf '%s\n' "$OUTPUT" | grep -o 'stable-security' | sort -u)"
    done
    quietly apt-get install --yes --only-upgrade --target-release stable-security "$NAME"
    unwarned 'an upgrade from the suite of fixes'
    ;;
dnf)
    answers 'the list of updates' 0 "$UPDATE" dnf updateinfo list
    same 'updates in the list' 1 "$(printf '%s\n' "$OUTPUT" | grep -c "$UPDATE .*$NAME-$VERSION")"
    case $OUTPUT in *"$KEYS"*) fail "the list of updates, expected nothing of $KEYS, got '$OUTPUT'" ;; esac
    answers 'what an update is about' 0 CVE-2026-99999 dnf updateinfo info
    quietly dnf --assumeyes upgrade --security
    unwarned 'dnf upgrade --security'
    ;;
zypper)
    answers 'the list of patches' 0 "$UPDATE" zypper --non-interactive list-patches
    answers 'the list of patches by a number' 0 "$UPDATE" zypper --non-interactive list-patches --cve=CVE-2026-99999
    quietly zypper --non-interactive patch
    unwarned 'zypper patch'
    ;;
esac
moved_alone

# There is nothing left of that kind; all the rest is still to be had.
case $CLIENT in
dnf)
    quietly dnf --assumeyes upgrade --security
    unwarned 'dnf upgrade --security once more'
    ;;
zypper) answers 'no patch is left' 0 'No updates found' zypper --non-interactive list-patches ;;
esac
moved_alone
everything
