# shellcheck shell=sh
# The second machine of a scenario that has the line
#
#   # It has a second machine, peer.
#
# It is called peer, and this one host, on a network that nobody else is on. It is made as
# this one, and has the same scripts.

# on_peer COMMAND...: there, as root, with the variables of this shell's environment. A word
# may be a whole script. It has a shell for each connection, and no other protection than
# the network (magefiles/internal/payload).
on_peer() {
    peer_said=$(bash -c 'exec 3<>/dev/tcp/peer/2222 && printf "%s\n" "$1" >&3 && cat <&3' on_peer "$(export -p)
(set -eu
$*
) </dev/null 2>&1
echo \"
\$?\"
exit")
    printf '%s\n' "$peer_said" | sed '$d' | sed '${/^$/d;}'
    return "$(printf '%s\n' "$peer_said" | tail -n 1)"
}

# in_words_on_peer COMMAND...: likewise, in the vocabulary of the scenarios.
in_words_on_peer() { on_peer ". $LIB/common.sh; . $LIB/spire.sh; $*"; }
