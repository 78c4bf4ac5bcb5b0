#!/bin/sh
# Three servers that share PostgreSQL behind two balancers, as the examples postgresql and
# failover have it, and an agent with twenty short-lived identities. Servers and balancers are
# killed or lose their network, the database is away, and the servers are upgraded one after
# the other: no identity ends, and nothing is lost.
# The nights play it: it takes minutes.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/config.sh
. "$LIB/config.sh"
# shellcheck source=lib/fleet.sh
. "$LIB/fleet.sh"

# minor VERSION
minor() { printf '%s\n' "$1" | cut -d . -f 1,2; }

# What the servers are upgraded from: the minor before, where the repository has one, or
# an earlier packaging.
BEFORE=${VERSIONS%% *}
for version in $VERSIONS; do
    [ "$(minor "$version")" = "$(minor "$VERSION")" ] || BEFORE=$version
done

# upgrade: the programs are there first, and then each server is started anew, as on
# machines of their own.
upgrade() {
    answers 'whether the servers may be upgraded' 0 "spire-server ${BEFORE%-*} to ${VERSION%-*}: yes" spire-config upgrade check "${VERSION%-*}"
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
    pkg_upgrade "$VERSION" spire-server
    rm /usr/sbin/policy-rc.d
    same 'spire-server installed' "$VERSION" "$(pkg_installed spire-server)"
    for name in $SERVERS; do
        answers "server $name of before, among others" 0 'Server is healthy.' server_at "$name" healthcheck
        systemctl restart "spire-server@$name.service"
        server_at_is_healthy "$name"
        runs "spire-server@$name.service" spire-server
        sleep 10
    done
    pkg_upgrade "$VERSION" spire-agent
    unwarned 'upgrading the agent'
}

command -v keepalived >/dev/null || skip 'this place has no PostgreSQL, HAProxy and keepalived'
[ -n "$CONFIG" ] || skip 'spire-config was not built'
pkg_repository
pkg_install "$BEFORE" spire-server spire-agent
pkg_install "$CONFIG" spire-config
pkg_install "$(other spire-server-extras)" spire-server-extras
unwarned 'installing'
fleet
postgresql db.example.org
CLUSTER=$(echo /etc/postgresql/*/main)
DATABASE=$(echo "$CLUSTER" | sed 's|.*/\(.*\)/\(.*\)|postgresql@\1-\2.service|')
open_to_machines "$CLUSTER"
runs_on first "$DATABASE"
systemctl restart "$DATABASE"
servers /etc/postgresql ''
balancers
soon 60 'the same bundle everywhere' 0 1 bundles
agent

# Servers die, the one that the agent is with first.
without_a_server
more=$(serving)
watch
kill_server "$more"
sleep 40
entry "$(echo "$SERVERS" | tr ' ' '\n' | grep -vx -e "$dead" -e "$more")" late
held 'another server killed, for 40 s' 30
starts "spire-server@$dead.service" "spire-server@$more.service"

# One loses its network.
away=$(serving)
watch
cut_off "$away"
sleep 40
held 'a server cut off, for 40 s' 30
mend "$away"

# The balancer that has the address dies, and the other one loses its network.
away=$(active)
watch
systemctl kill --signal=KILL "haproxy-$away.service"
systemctl stop "haproxy-$away.service"
sleep 35
held 'the balancer killed' 30
starts "haproxy-$away.service"
soon 20 'both balancers' 0 2 sh -c 'systemctl is-active haproxy-left haproxy-right | grep -c "^active$"'
away=$(active)
watch
cut_off "$away"
sleep 35
held 'the balancer cut off' 30
mend "$away"

# The database dies.
entry one last
watch
systemctl kill --signal=KILL "$DATABASE"
sleep 15
systemctl restart "$DATABASE"
sleep 40
held 'the database killed, for 15 s' 45
answers 'the entry' 0 spiffe://example.org/last server_at three entry show -spiffeID spiffe://example.org/last

if [ "$BEFORE" != "$VERSION" ]; then
    watch
    upgrade
    held "upgrading from $BEFORE" 30
fi

# The twenty, the two others, and the name of the node.
all_is_there 23
faults
