#!/bin/sh
# A machine that was given an invitation by its firmware, and nothing else, joins a server
# elsewhere at its first boot, and has its identity after the next one. What comes before
# that boot is the making of its image. It leaves the machine as it was.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/config.sh
. "$(dirname "$0")/lib/config.sh"

# identity: the agent's own SPIFFE ID, as it was attested or loaded last.
identity() { journalctl --unit=spire-agent --boot --no-pager | grep -o 'spiffe://example.org/spire/agent/join_token/[0-9a-f-]*' | tail -n 1; }

image() {
    there /run/credentials/@system/spire.invitation
    pkg_repository
    pkg_install
    pkg_install "$CONFIG" spire-config
    unwarned 'installing'
    systemctl --quiet enable spire-agent-join.service
    unit_is spire-agent.service disabled inactive
    reboot
}

first_boot() {
    soon 60 'the agent' 0 'Agent is healthy.' spire-agent healthcheck
    unit_is spire-agent.service enabled active
    workload_gets_its_svid
    same 'the token afterwards' '' "$(grep -s JOIN_TOKEN= $AGENT_ENV || :)"
    identity >/root/identity
    reboot
}

second_boot() {
    agent_is_healthy
    same 'who it is' "$(cat /root/identity)" "$(identity)"
    workload_gets_its_svid
    same 'joining again' no "$(systemctl show --property=ConditionResult --value spire-agent-join.service)"
    same 'restarts' 0 "$(systemctl show --property=NRestarts --value spire-agent.service)"
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
    # shellcheck disable=SC2086 # a list of names
    pkg_purge $NAMES spire-config
    rm -rf /etc/spire /var/lib/spire /var/lib/spire-config
}

[ -n "$CONFIG" ] || skip 'spire-config was not built'
case $PHASE in
1) image ;;
2) first_boot ;;
3) second_boot ;;
esac
