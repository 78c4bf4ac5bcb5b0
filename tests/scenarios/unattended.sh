#!/bin/sh
# unattended-upgrades, told of our fixes as the README says, takes exactly those.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/notices.sh
. "$LIB/notices.sh"

behind
sed -n '/^cat >.*unattended/,/^EOF/p' "$TOP/pastes/README.md" >lines
[ -s lines ] || fail 'the README, expected lines for unattended-upgrades, got none'
quietly sh -eu lines
unwarned "the README's lines"

quietly unattended-upgrade --dry-run -v
unwarned 'unattended-upgrade --dry-run -v'
same 'what would be upgraded' "$NAME" "$(printf '%s\n' "$OUTPUT" | sed -n 's/^Packages that will be upgraded: //p')"
same "$NAME installed" "$OLD" "$(pkg_installed "$NAME")"
quietly unattended-upgrade -v
unwarned 'unattended-upgrade -v'
moved_alone
quietly unattended-upgrade -v
same 'what it says when nothing is left' 1 "$(printf '%s\n' "$OUTPUT" | grep -c 'No packages found that can be upgraded unattended')"
moved_alone
everything
