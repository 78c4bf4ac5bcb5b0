#!/bin/sh
# A plugin of SPIRE's as a package, by the one in tests/plugin: a host joins by an attestor
# that neither side has built in. Its checksum goes along with its program, through an
# upgrade, too; another program in its place is refused, and so is none.
# The nights play it: its plugin is compiled for it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"

PLUGINS='spire-server-nodeattestor-sesame spire-agent-nodeattestor-sesame'
HOST=spiffe://example.org/spire/agent/sesame/cave

# program PART, environment PART: where the packages have them.
program() { printf '/usr/libexec/spire/plugins/%s-nodeattestor-sesame\n' "$1"; }
environment() { printf '/usr/lib/spire/plugins/%s-nodeattestor-sesame.env\n' "$1"; }

# plugins VERSION: installed, or upgraded to it.
plugins() {
    set -- "$1" /root/plugins
    install -d "$2"
    for name in $PLUGINS; do
        file=$(case $FORMAT in
            deb) echo "${name}_$1-1_$PKGARCH.deb" ;;
            rpm) echo "$name-$1-1.$PKGARCH.rpm" ;;
        esac)
        curl --silent --show-error --fail --output "$2/$file" "$URL/plugins/$1/$file"
    done
    pkg_install_files "$2"/*"$1-1"*
    unwarned "installing the plugins $1"
    for part in server agent; do
        there "$(program $part)"
        same "what the $part's package says of it" \
            "CMD=$(program $part) SHA256=$(digest "$(program $part)")" "$(sed 's/^SPIRE_PLUGIN_[A-Z]*_NODEATTESTOR_SESAME_//' "$(environment $part)" | paste -sd ' ')"
    done
}

# configured PART FILE: by the package's example, in the place of the join token.
configured() {
    sed -i -e '/NodeAttestor "join_token"/,/^    }/d' \
        -e "/^plugins {/r /usr/share/spire-$1-nodeattestor-sesame/examples/plugin.conf" "$2"
    same "attestors in $2" 1 "$(grep -c '^    NodeAttestor ' "$2")"
}

# process PART: the one that runs the program which is installed, and its user.
process() {
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/exe")" != "$(program "$1")" ] || printf '%s %s\n' "${process#/proc/}" "$(stat --format %U "$process")"
    done
}
# plugin_runs PART: as the user of the service, in its sandbox.
plugin_runs() {
    same "user of the $1's plugin" "spire-$1" "$(process "$1" | cut -d ' ' -f 2)"
    same "its sandbox, by what it may not become" 1 "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$(process "$1" | cut -d ' ' -f 1)/status")"
}

# does_not_start WORDS: the agent, and it says why.
does_not_start() {
    since=$(date '+%Y-%m-%d %H:%M:%S')
    answers 'restarting the agent' 1 '' systemctl restart spire-agent.service
    soon 10 "the journal: $1" 0 "$1" journalctl --unit=spire-agent --no-pager --since "$since"
}

pkg_repository
pkg_install
unwarned 'installing'
starts spire-server.service
pid=$(systemctl show --property=MainPID --value spire-server.service)
plugins 0.1.0
same 'the server that has no use for it goes on' "$pid" "$(systemctl show --property=MainPID --value spire-server.service)"

configured server "$SERVER_CONF"
configured agent "$AGENT_CONF"
# shellcheck disable=SC2046 # a variable each
answers 'the server takes it, by the variables of the packages' 0 'SPIRE server configuration file is valid.' \
    env $(cat /usr/lib/spire/plugins/*.env) spire-server validate -config "$SERVER_CONF" -expandEnv
systemctl restart spire-server.service
server_is_healthy
spire-server bundle show >"$BUNDLE"
starts spire-agent.service
agent_is_healthy
answers 'the agent that has joined' 0 "$HOST" spire-server agent list
answers 'an entry' 0 spiffe://example.org/web spire-server entry create \
    -parentID "$HOST" -spiffeID spiffe://example.org/web -selector unix:uid:65534
workload_gets_its_svid
plugin_runs server
plugin_runs agent

# Another program than the package's.
cp --preserve "$(program agent)" /root/kept
cp --preserve "$(program agent)" /root/changed
echo >>/root/changed
mv /root/changed "$(program agent)"
does_not_start 'checksums did not match'
mv /root/kept "$(program agent)"
systemctl restart spire-agent.service
agent_is_healthy

# Both services take the new program by its new checksum, by themselves.
plugins 0.2.0
for part in server agent; do soon 20 "the new plugin of the $part" 0 "spire-$part" process $part; done
server_is_healthy
agent_is_healthy
workload_gets_its_svid
plugin_runs agent

# Without the package there is neither program nor checksum, and nothing unchecked runs.
# shellcheck disable=SC2086 # a list
pkg_remove $PLUGINS
unwarned 'removing the plugins'
case $OUTPUT in
*'spire-agent.service runs this plugin'*) ok 'there is a word about who runs it' ;;
*) fail 'removing the plugins, expected a word about who runs it, got none' ;;
esac
gone "$(program agent)" "$(environment agent)" /usr/libexec/spire /usr/lib/spire
unit_is spire-agent.service disabled active
does_not_start 'no built-in plugin'
