#!/bin/sh
# A clock that was forty minutes late and is set: the agent's identity and the workload's
# are past half of their hour at once, and both are renewed. Comes after tpm.sh on the
# same machine; containers have the clock of their host.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

# left: the minutes that the workload's identity has left.
left() {
    until=$(as_workload spire-agent api fetch x509 | sed -n 's/^SVID Valid Until:[[:space:]]*\(.*\) UTC$/\1/p')
    echo $((($(date --date "$until" +%s) - $(date +%s)) / 60))
}

# renewed: how often the agent has renewed its own identity.
renewed() { journalctl --unit=spire-agent --boot --no-pager | grep -c 'Successfully rotated agent SVID' || :; }

before=$(renewed)
date --set '+40 minutes'
soon 20 'minutes left of the identity' 0 59 left
soon 20 "renewals of the agent's own identity" 0 "$((before + 1))" renewed
server_is_healthy
agent_is_healthy
for unit in spire-server.service spire-agent.service; do
    same "$unit's restarts" 0 "$(systemctl show --property=NRestarts --value "$unit")"
done
