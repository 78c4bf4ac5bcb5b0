#!/bin/sh
# An upgrade through all the versions there are, while server and agent run, and
# the way back by one minor version. Nothing is done by hand in between: what
# ran is restarted, what was off stays off, and workloads keep their identity.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"
# shellcheck source=lib/state.sh
. "$(dirname "$0")/lib/state.sh"

FIRST=${VERSIONS%% *}

# minor VERSION
minor() { printf '%s\n' "$1" | cut -d . -f 1,2; }

# A minor before the version under test, the newest patch of it.
BEFORE=
for version in $VERSIONS; do
    [ "$(minor "$version")" = "$(minor "$VERSION")" ] || BEFORE=$version
done

# default_of FILE: the digest of the one that the version under test brings.
default_of() { awk -v path="$1" '$4 == path { print $3 }' "$LISTS"/*; }

# identities: whom the server knows, and what it signs with.
identities() {
    spire-server agent list | sed -n 's/^SPIFFE ID *: //p'
    spire-server entry show | sed -n 's/^Entry ID *: //p'
    spire-server bundle show | sha256sum
}

# owners FOLDER...: everyone who owns something in them.
owners() { find "$@" -printf '%u:%g\n' | sort -u; }

# state_files: what a move leaves as it is, of files that a server and an agent
# do not write anew, and of the folder that they are in.
state_files() {
    for path in "$(leaf "$SERVER_STATE")" "$(leaf "$SERVER_STATE")/keys.json" "$(leaf "$SERVER_STATE")/datastore.sqlite3" \
        "$(leaf "$AGENT_STATE")/keys.json" "$SERVER_STATE/beside/keys.json" "$SERVER_STATE/beside/datastore.sqlite3"; do
        stat --format '%i %a %U:%G %C' "$path" 2>/dev/null || stat --format '%i %a %U:%G' "$path"
        ! command -v getfacl >/dev/null || getfacl --omit-header --absolute-names "$path"
    done
}

accounts() { for user in $USERS; do getent passwd "$user"; done; }

# One of each state that a unit can be in.
put_units_into_all_states() {
    systemctl enable spire-server.target
    systemctl mask spire-agent.target spire-server@other.service
}
units_are_in_the_same_states() {
    unit_is spire-server.service enabled active
    unit_is spire-agent.service enabled active
    unit_is spiffe-oidc-discovery-provider.service disabled inactive
    unit_is spire-server.target enabled inactive
    unit_is spire-agent.target masked inactive
    unit_is spire-server@other.service masked inactive
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
}

edit_configurations() {
    for file in "$SERVER_CONF" "$AGENT_CONF"; do
        echo '# A line of the admin.' >>"$file"
        gone "$(pkg_new_default "$file")"
    done
}

# remember: what no upgrade may change.
remember() {
    server_conf=$(digest "$SERVER_CONF")
    agent_conf=$(digest "$AGENT_CONF")
    server_keys=$(digest "$SERVER_STATE/keys.json")
    agent_keys=$(digest "$AGENT_STATE/keys.json")
    beside_keys=$(digest "$SERVER_STATE/beside/keys.json")
    files=$(state_files)
    known=$(identities)
    numbers=$(accounts)
    # One agent, its alias and the workload's entry, and the bundle.
    same 'what there is to remember' 4 "$(printf '%s\n' "$known" | wc -l)"
}
is_as_remembered() {
    same 'server configuration' "$server_conf" "$(digest "$SERVER_CONF")"
    same 'agent configuration' "$agent_conf" "$(digest "$AGENT_CONF")"
    same 'CA keys' "$server_keys" "$(digest "$SERVER_STATE/keys.json")"
    same "agent's keys" "$agent_keys" "$(digest "$AGENT_STATE/keys.json")"
    same 'agents, entries and bundle' "$known" "$(identities)"
    same 'keys of the instance beside them' "$beside_keys" "$(digest "$SERVER_STATE/beside/keys.json")"
    same 'users' "$numbers" "$(accounts)"
    same "owners of the server's state" spire-server:spire-server "$(owners "$(leaf "$SERVER_STATE")" "$SERVER_STATE/beside")"
    same "owners of the agent's state" spire-agent:spire-agent "$(owners "$(leaf "$AGENT_STATE")")"
    same 'files of state: inode, mode, owner, lists' "$files" "$(state_files)"
}

# processes: of the two that run.
processes() { systemctl show --property=MainPID --value spire-server.service spire-agent.service | grep . | paste -sd ' '; }

# works_on: all is well, without a hand's help.
works_on() {
    server_is_healthy
    agent_is_healthy
    runs spire-server.service spire-server
    runs spire-agent.service spire-agent
    runs spire-server@beside.service spire-server
    server_at_is_healthy beside
    units_are_in_the_same_states
    is_as_remembered
    workload_gets_its_svid
}

# restarted UNIT... : since $before was taken, by the package, once.
restarted() {
    for unit; do
        now=$(systemctl show --property=MainPID --value "$unit")
        case " $before " in
        *" $now "*) fail "$unit, expected a new process, got the one from before, $now" ;;
        esac
        same "$unit's restarts after a failure" 0 "$(systemctl show --property=NRestarts --value "$unit")"
    done
}

upgrade_to() {
    before=$(processes)
    pkg_upgrade "$1"
    unwarned "upgrading to $1"
    # shellcheck disable=SC2086 # a list
    has "$1" $NAMES
    restarted spire-server.service spire-agent.service
    works_on
    layout_of server "$1"
    layout_of agent "$1"
    case ${1##*-} in 1) ;; *) mount_gets_its_svid "after upgrading to $1" ;; esac
}

# downgrade_to VERSION NAME UNIT
downgrade_to() {
    before=$(processes)
    pkg_downgrade "$1" "$2"
    unwarned "downgrading $2 to $1"
    has "$1" "$2"
    [ -z "${3-}" ] || restarted "$3"
    works_on
    case $2 in spire-*) layout_of "${2#spire-}" "$1" ;; esac
}

# hold_before VERSION: that it is upgraded to. The former units' stop takes the
# folder from who has it mounted.
hold_before() {
    case ${1##*-} in 1) return 0 ;; esac
    hold_mount
    mount_gets_its_svid "before upgrading to $1"
}

# The oldest version's defaults are other ones, and those in between may be. What the
# admin changed stays, with the new default beside it; what nobody touched is replaced.
new_defaults_are_there() {
    for file in "$SERVER_CONF" "$AGENT_CONF"; do
        there "$(pkg_new_default "$file")"
        same "new default of $file" "$(default_of "$file")" "$(digest "$(pkg_new_default "$file")")"
    done
    same "$OIDC_CONF, which nobody edited" "$(default_of "$OIDC_CONF")" "$(digest "$OIDC_CONF")"
    gone "$(pkg_new_default "$OIDC_CONF")"
}

[ "$FIRST" != "$VERSION" ] || skip "the repository has no version but $VERSION"

pkg_repository
# shellcheck disable=SC2086 # a list
pkg_install "$FIRST" $NAMES
unwarned "installing $FIRST"
# shellcheck disable=SC2086
has "$FIRST" $NAMES
[ "$(digest "$OIDC_CONF")" != "$(default_of "$OIDC_CONF")" ] || fail "$OIDC_CONF of $FIRST, expected another default than today's, got the same"
bring_up
instance_beside beside 8082
systemctl enable --now spire-server@beside.service
server_at_is_healthy beside
edit_configurations
put_units_into_all_states
remember

for version in ${VERSIONS#* }; do
    hold_before "$version"
    upgrade_to "$version"
done
new_defaults_are_there

if [ -n "$BEFORE" ]; then
    # Agents first: none may be newer than its server.
    downgrade_to "$BEFORE" spire-agent spire-agent.service
    downgrade_to "$BEFORE" spire-server spire-server.service
    downgrade_to "$BEFORE" spiffe-oidc-discovery-provider
fi
