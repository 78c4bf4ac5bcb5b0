#!/bin/sh
# The first ten minutes as the README has them, and the example for one host as it
# is installed: each block pasted whole, by people whose shells and umasks are not
# ours. Nothing is ready by luck: no line is told to wait but where the text waits.
# A suite's own row plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

PASTES=$TOP/pastes
ONE_HOST=/usr/share/spire-server/examples/one-host/README.md

# The shells of the two families of sh; where there is no dash, bash as sh.
SHELLS="bash $(basename "$(command -v dash || command -v sh)")"

# afresh: as after the install.
afresh() {
    systemctl stop spire-agent.service spire-server.service
    find /var/lib/spire -mindepth 1 -delete
    rm -f "$AGENT_ENV" "$BUNDLE"
    systemctl reset-failed
}

# pasted SHELL UMASK FILE: by standard input, as from a terminal, so that a program
# that reads would swallow the lines after its own.
# shellcheck disable=SC2016 # for the other shell
pasted() { quietly sh -c 'umask "$2" && exec "$1" <"$3"' sh "$@"; }

# went_well WHAT SPIFFE_ID
went_well() {
    case $OUTPUT in
    *'Server is healthy.'*'Agent is healthy.'*"$2"*'Received 1 svid'*) ok "$1: healthy at once, and an identity" ;;
    *) fail "$1, expected a healthy server, a healthy agent and 'Received 1 svid' of $2, got '$OUTPUT'" ;;
    esac
    same "$1: mode of the bundle" 644 "$(stat --format %a "$BUNDLE")"
    [ ! -e "$AGENT_ENV" ] || same "$1: mode of the file with the token" 600 "$(stat --format %a "$AGENT_ENV")"
    same "$1: restarts" '0 0' "$(systemctl show --property=NRestarts --value spire-server.service spire-agent.service | grep . | paste -sd ' ')"
}

pkg_repository
pkg_install
unwarned 'installing'
for shell in $SHELLS; do
    for mask in 077 027 022; do
        pasted "$shell" $mask "$PASTES/ten-minutes"
        went_well "the README's block in $shell, umask $mask" spiffe://example.org/web
        afresh
    done
done

# Markdown's other kind of block.
sed -n 's/^    //p' "$ONE_HOST" >"$PASTES/one-host"
pasted bash 077 "$PASTES/one-host"
went_well "$ONE_HOST in bash, umask 077" spiffe://example.org/web
