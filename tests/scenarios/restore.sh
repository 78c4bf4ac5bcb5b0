#!/bin/sh
# A server that is lost with its machine comes back on another one, with a newer packaging,
# from the backup that spire-config made: its agent never joins again. The other machine
# is this one without all that was the server's, where its user has another number. The
# agent runs meanwhile, as on a machine of its own.
# The nights play it: it takes long.
# Of the stand-ins, dnf's plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/config.sh
. "$LIB/config.sh"

FIRST=${VERSIONS%% *}
BACKUP=/root/server.backup
STATE=/var/lib/spire/server

# identities: whom the server knows, and what it signs with.
identities() {
    spire-server agent list | sed -n 's/^SPIFFE ID *: //p'
    spire-server entry show | sed -n 's/^Entry ID *: //p' | sort
    spire-server bundle show | sha256sum
}

# attestations SINCE: how often an agent has attested.
attestations() { journalctl --unit=spire-server --since="@$1" --no-pager | grep -c 'Agent attestation request completed' || :; }

# new_machine: nothing of the server is left, and its user's number is another's.
new_machine() {
    number=$(id --user spire-server)
    systemctl disable --now spire-server.service
    case $FORMAT in deb) pkg_purge spire-server ;; *) pkg_remove spire-server ;; esac
    unwarned 'removing the server'
    rm -rf /etc/spire/server /etc/systemd/system/spire-server.service.d $STATE /run/spire/server
    userdel spire-server
    ! getent group spire-server >/dev/null || groupdel spire-server
    useradd --system --uid "$number" --no-create-home somebody
    systemctl daemon-reload
    pkg_install "$VERSION" spire-server
    unwarned 'installing the server'
    same "the package's own configuration" 1 "$(grep -c '^[[:space:]]*trust_domain = "example.org"' "$SERVER_CONF")"
    [ "$(id --user spire-server)" != "$number" ] || fail "the user spire-server, expected another number than $number, got it"
    ok "the user spire-server was $number and is $(id --user spire-server)"
}

# nothing_restored WHAT WORDS FILE: and no state is left behind.
nothing_restored() {
    refuses "$1" "$2" spire-config server restore "$3" --start
    same "after $1, the state" '' "$(find $STATE -name '*.json' -o -name '*.sqlite3')"
    unit_is spire-server.service disabled inactive
}

[ -n "$CONFIG" ] || skip 'spire-config was not built'
pkg_repository
# The agent is as on a machine of its own: apt 3 would upgrade it with the server.
[ "$FORMAT" = rpm ] || echo 'APT::Get::Upgrade-By-Source-Package "false";' >/etc/apt/apt.conf.d/alone
pkg_install "$FIRST" spire-server spire-agent
pkg_install "$CONFIG" spire-config
unwarned 'installing'

# The server as it was, with what is beside its configuration.
answers 'a server' 0 'runs, for the trust domain fleet.test' spire-config server init --trust-domain fleet.test --address localhost --start
server_is_healthy # the units of the first packaging are up before their programs answer
answers 'an invitation' 0 'it works once' spire-config invite host --address localhost --output /root/invitation
answers 'an agent' 0 '' spire-config agent join /root/invitation
systemctl enable --now spire-agent.service
agent_is_healthy
answers 'an entry' 0 'spiffe://fleet.test/web' spire-config entry add web --selector unix:uid:65534
soon 30 'its SVID' 0 'spiffe://fleet.test/web' as_workload spire-agent api fetch x509
(umask 077 && echo 'NOTE=kept' >/etc/spire/server/server.env)
install -d /etc/systemd/system/spire-server.service.d
printf '[Service]\nEnvironment=KEPT=yes\n' >/etc/systemd/system/spire-server.service.d/mine.conf
answers 'a backup' 0 'keep it as secret' spire-config server backup $BACKUP --stop
server_is_healthy
known=$(identities)
agent=$(spire-server agent list | sed -n 's/^SPIFFE ID *: //p')
process=$(systemctl show --property=MainPID --value spire-agent.service)
same 'attestations before' 1 "$(attestations 0)"
new_machine
moved=$(date +%s)

# What is no backup, or half of one, or another's.
size=$(stat --format %s $BACKUP)
(
    umask 077
    head --bytes $((size / 2)) $BACKUP >/root/cut
    { head --bytes $((size - 20000)) $BACKUP && head --bytes 1 /dev/zero | tr '\0' x && tail --bytes 19999 $BACKUP; } >/root/changed
    sed 's/"spire_version": "1[.]/"spire_version": "9./' $BACKUP >/root/newer
)
nothing_restored 'half a backup' 'checksum mismatch' /root/cut
nothing_restored 'a changed backup' 'checksum mismatch' /root/changed
nothing_restored 'an invitation' 'it is no archive of a SPIRE server' /root/invitation
nothing_restored 'a backup of a newer SPIRE' 'which is older than its database' /root/newer

# The server is back, and nobody notices.
answers 'restoring it' 0 'restored the server of fleet.test' spire-config server restore $BACKUP --start
server_is_healthy
unit_is spire-server.service enabled active
same 'whom it knows, and its keys' "$known" "$(identities)"
same 'whose its state is' spire-server "$(find -L $STATE -type f -printf '%u\n' | sort -u)"
same 'the variables' '-rw------- root NOTE=kept' "$(stat --format '%A %U' /etc/spire/server/server.env) $(cat /etc/spire/server/server.env)"
same "the admin's drop-in" 'KEPT=yes' "$(systemctl show --property=Environment --value spire-server.service)"
answers 'another entry' 0 'spiffe://fleet.test/more' spire-config entry add more --selector unix:uid:65534
soon 60 'the agent learns of it' 0 'spiffe://fleet.test/more' as_workload spire-agent api fetch x509
same "the agent's process" "$process" "$(systemctl show --property=MainPID --value spire-agent.service)"

# Nor does a newer agent join again.
pkg_upgrade "$VERSION" spire-agent
unwarned 'upgrading the agent'
agent_is_healthy
soon 60 'its SVIDs' 0 'spiffe://fleet.test/more' as_workload spire-agent api fetch x509
same 'the agent' "$agent" "$(spire-server agent list | sed -n 's/^SPIFFE ID *: //p')"
same 'attestations on the new machine' 0 "$(attestations "$moved")"
answers 'doctor' 0 'healthy' spire-config doctor
