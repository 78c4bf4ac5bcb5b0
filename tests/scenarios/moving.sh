#!/bin/sh
# Moving over from the packages of spiffe/spire-examples, with an instance of
# server and agent at work: configuration, state and sockets stay where they are,
# nothing is done by hand, and nothing runs as root any more.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"
# shellcheck source=lib/examples.sh
. "$(dirname "$0")/lib/examples.sh"

DOMAIN=production.test
DOMAIN_ENV=/etc/spiffe/default-trust-domain.env
SERVER_STATE=/var/lib/spire/server/main
AGENT_STATE=/var/lib/spire/agent/main

# Of what they brought, some is as it came, and some is edited.
CONFIGURATION="$DOMAIN_ENV /etc/spire/agent/main.env
    /etc/spire/server/default.conf /etc/spire/server/default.env
    /etc/spire/agent/default.conf /etc/spire/agent/default.env"

# gets_its_svid: the agent of their default configuration tells workloads apart
# by their units.
gets_its_svid() {
    soon 20 'SVID for workload.service' 0 "spiffe://$DOMAIN/web" \
        systemd-run --quiet --wait --pipe --collect --unit=workload.service --uid=65534 \
        spire-agent api fetch x509 -socketPath "$(agent_socket main)"
}

# theirs_at_work: as an admin of theirs sets it up.
theirs_at_work() {
    sed -i "s/example.org/$DOMAIN/" "$DOMAIN_ENV"
    echo '# A line of the admin.' >>/etc/spire/server/default.conf
    systemctl daemon-reload
    systemctl enable spire-server.target spire-agent.target
    systemctl enable --now spire-server@main.service
    server_at_is_healthy main
    token_at main "$DOMAIN"
    echo "JOIN_TOKEN=$TOKEN" >/etc/spire/agent/main.env
    systemctl enable --now spire-agent@main.service
    agent_at_is_healthy main
    entry_at main "$DOMAIN" systemd:id:workload.service
    gets_its_svid
    for part in server agent; do
        same "user of their $part" root "$(stat --format %U "/proc/$(systemctl show --property=MainPID --value "spire-$part@main.service")")"
    done
}

# digests: of what must stay as it is, a line a file.
digests() {
    for file in $CONFIGURATION "$SERVER_STATE/keys.json" "$AGENT_STATE/keys.json"; do
        printf '%s %s\n' "$file" "$(digest "$file")"
    done
}
# as_they_were DIGESTS
as_they_were() {
    printf '%s\n' "$1" | while read -r file sum; do
        same "$file" "$sum" "$(digest "$file")"
    done
}

# identities: whom the server knows, and what it signs with.
identities() {
    server_at main agent list | sed -n 's/^SPIFFE ID *: //p'
    server_at main entry show | sed -n 's/^Entry ID *: //p'
    server_at main bundle show | sha256sum
}

# ours_at_work: with all that was theirs.
ours_at_work() {
    server_at_is_healthy main
    agent_at_is_healthy main
    for part in server agent; do
        unit_is "spire-$part@main.service" enabled active
        runs "spire-$part@main.service" "spire-$part"
        same "restarts of $part main after a failure" 0 "$(systemctl show --property=NRestarts --value "spire-$part@main.service")"
        same "owners of the $part's state" "spire-$part:spire-$part" "$(find "/var/lib/spire/$part/main" -printf '%u:%g\n' | sort -u)"
        unit_is "spire-$part.service" disabled inactive
    done
    there "$(server_socket main)" "$(agent_socket main)" /run/spire/agent/sockets/main/private/admin.sock
    gets_its_svid
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
}

# installed SERVER AGENT: the versions of ours, and nothing of theirs.
installed() {
    same 'spire-server installed' "$1" "$(pkg_installed spire-server)"
    same 'spire-agent installed' "$2" "$(pkg_installed spire-agent)"
    same 'spire-common installed' '' "$(pkg_installed spire-common)"
}

before_the_reboot() {
    pkg_repository
    examples_install
    theirs_at_work
    kept=$(digests)
    known=$(identities)

    pkg_move
    unwarned "the front page's lines that move over"
    installed "$VERSION" "$VERSION"
    as_they_were "$kept"
    ours_at_work
    same 'agents, entries and bundle' "$known" "$(identities)"
    reboot
}

# What they enabled is enabled still. And a machine with one of theirs gets one of
# ours: left to itself, dnf takes every package that obsoletes spire-common.
after_the_reboot() {
    ours_at_work
    [ "$FORMAT" = rpm ] || return 0
    pkg_remove spire-server spire-agent
    quietly rpm --install --nosignature "$TOP"/examples/build/RPMS/*/spire-common-* "$TOP"/examples/build/RPMS/*/spire-agent-*
    pkg_move
    unwarned "the front page's lines, for an agent alone"
    installed '' "$VERSION"
}

case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac
