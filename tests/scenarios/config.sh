#!/bin/sh
# From installed packages to a workload's identity by spire-config: a server, an invitation,
# an agent, an entry, certificates in files; what is refused on the way, and what doctor
# says where something is broken. Then a machine that was given an invitation and nothing
# else.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/config.sh
. "$LIB/config.sh"

INVITATION=/root/host-1.invitation

# doctor_says WHAT CAUSE MEND [OPTION...]: it finds that, and the command that mends it.
doctor_says() {
    where=$1 cause=$2 mend=$3
    shift 3
    answers "doctor, where $where" 1 "$cause" spire-config doctor "$@"
    case $OUTPUT in
    *"mend: $mend"*) ok "and what mends it: $mend" ;;
    *) fail "doctor, where $where, expected 'mend: $mend', got '$OUTPUT'" ;;
    esac
}

# drop_in LINE...: the admin's own for the server.
drop_in() {
    install -d /etc/systemd/system/spire-server.service.d
    { echo '[Service]' && printf '%s\n' "$@"; } >/etc/systemd/system/spire-server.service.d/mine.conf
}

HELPER=$(other spiffe-helper)
[ -n "$CONFIG" ] || skip 'spire-config was not built'
pkg_repository
pkg_install
unwarned 'installing'
pkg_install "$CONFIG" spire-config
unwarned 'installing spire-config'

# The server.
doctor_says 'nothing is set up' 'spire-server.service: it does not run' 'spire-config server init --trust-domain YOURS --start'
start=$(now)
answers 'a server' 0 'spire-server.service runs, for the trust domain fleet.test' \
    spire-config server init --trust-domain fleet.test --address localhost --start
server_is_healthy
answers 'once more' 0 'nothing to change' spire-config server init --trust-domain fleet.test --address localhost --start
refuses 'another trust domain' 'of the trust domain fleet.test already' spire-config server init --trust-domain other.test

# The invitation, and what is none.
answers 'an invitation' 0 'it works once' spire-config invite host-1 --address localhost --output $INVITATION
same 'its mode' '-rw------- root' "$(stat --format '%A %U' $INVITATION)"
refuses 'a file that is no invitation' 'it is no invitation' spire-config agent join /etc/hostname
(umask 077; head -c 400 $INVITATION >/root/cut)
refuses 'half an invitation' 'checksum mismatch: it was cut off' spire-config agent join /root/cut
(umask 077; sed 's/localhost/127.0.0.9/' $INVITATION >/root/changed)
refuses 'a changed invitation' 'checksum mismatch' spire-config agent join /root/changed
answers 'one that ends at once' 0 'it works once' spire-config invite host-2 --address localhost --ttl 1s --output /root/late
sleep 2
refuses 'an invitation that has ended' 'expired' spire-config agent join /root/late
answers 'one to a place where nobody is' 0 '' spire-config invite host-3 --address localhost:9 --output /root/nobody
refuses 'a server that does not answer' 'does not answer' spire-config agent join /root/nobody

# The agent.
answers 'joining' 0 'spire-agent.service runs, and has attested to the trust domain fleet.test' spire-config agent join $INVITATION --start
agent_is_healthy
same 'the token afterwards' '' "$(grep -rhE '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}' /etc/spire || :)"
answers 'joining once more' 0 '' spire-config agent join $INVITATION --start
answers 'an entry' 0 'spiffe://fleet.test/web' spire-config entry add web --selector unix:uid:65534
soon 20 'the SVID' 0 'spiffe://fleet.test/web' as_workload spire-agent api fetch x509
ok "from installed packages to an SVID: 4 commands, $(($(now) - start)) ms, refusals included"
answers 'the entry once more' 0 'nothing to change' spire-config entry add web --selector unix:uid:65534
answers 'status' 0 'fleet.test' spire-config status
answers 'doctor, where all is well' 0 '' spire-config doctor

# Certificates in files.
pkg_install "$HELPER" spiffe-helper
unwarned 'installing spiffe-helper'
answers 'an entry for the helper' 0 'spiffe://fleet.test/files' spire-config entry add files --user spiffe-helper
answers 'a helper' 0 'spiffe-helper@files.service' spire-config helper add files --start
soon 30 'its certificate' 0 'BEGIN CERTIFICATE' cat /var/lib/spiffe-helper/files/svid.pem

# What the unit hides from its service is refused, though its user could read it, and what
# it lets the service have is not, though the user could not. systemd is not told of the
# drop-ins: it reads them when it is asked.
mkdir /home/pki /srv/pki
cp $BUNDLE /home/pki/ca.crt
(umask 077 && cp $BUNDLE /srv/pki/ca.crt)
chmod 0750 /srv/pki/ca.crt
chgrp daemon /srv/pki/ca.crt
x509pop() { spire-config server attestor x509pop --ca "$1"; }
refuses 'a file below /home' 'spire-server.service cannot read /home/pki/ca.crt, so nothing was changed: its sandbox hides it' x509pop /home/pki/ca.crt
refuses 'a file that the user may not read' 'spire-server.service cannot read /srv/pki/ca.crt' x509pop /srv/pki/ca.crt
drop_in 'SupplementaryGroups=daemon' 'InaccessiblePaths=/srv/pki'
refuses 'a file that a drop-in hides' 'spire-server.service cannot read /srv/pki/ca.crt' x509pop /srv/pki/ca.crt
drop_in 'SupplementaryGroups=daemon' 'BindPaths=/nowhere'
refuses 'a mount of what is not there' 'spire-server.service could not start with this, so nothing was changed: Failed to set up mount namespacing' x509pop /srv/pki/ca.crt
drop_in 'SupplementaryGroups=daemon' 'EnvironmentFile=/nowhere'
refuses 'variables that are not there' 'spire-server.service could not start with this, so nothing was changed: Failed to load environment files' x509pop /srv/pki/ca.crt
printf 'DOMAIN=fleet.test\n' >/srv/pki/env
drop_in 'SupplementaryGroups=daemon' 'EnvironmentFile=/srv/pki/env'
# shellcheck disable=SC2016 # for SPIRE
sed -i 's/trust_domain = "fleet.test"/trust_domain = "${DOMAIN}"/' "$SERVER_CONF"
answers 'a file for a group, and a variable, that a drop-in gives' 0 'wrote' x509pop /srv/pki/ca.crt
# shellcheck disable=SC2016 # for SPIRE
sed -i 's/trust_domain = "${DOMAIN}"/trust_domain = "fleet.test"/' "$SERVER_CONF"
same 'what was started for that' '' "$(systemctl list-units --all --plain --no-legend 'spire-config-*')"
same 'the server meanwhile' 0 "$(systemctl show --property=NRestarts --value spire-server.service)"
server_is_healthy

# What is broken.
doctor_says 'a user has no identity' 'no identity issued' 'spire-config entry add' --as daemon
systemctl stop spire-agent
doctor_says 'the agent is stopped' 'spire-agent.service: it does not run' 'systemctl enable --now spire-agent.service'
starts spire-agent.service
systemctl stop spire-server
doctor_says 'the server is stopped' 'spire-server.service: it does not run' 'systemctl enable --now spire-server.service'

# Another CA than the one that the invitation has, as a man in the middle would show it.
mv /var/lib/spire/server/+default /root/server-state
starts spire-server.service
answers 'state of an agent' 0 '' spire-config invite host-4 --address localhost --output /root/other
refuses 'an agent that is another server'"'"'s' 'this agent ' spire-config agent join /root/other
systemctl stop spire-server
rm -rf /var/lib/spire/server/+default
mv /root/server-state /var/lib/spire/server/+default
starts spire-server.service
systemctl stop spire-agent
refuses 'a server with another root' 'does not chain to the trust bundle' spire-config agent join --force /root/other

# A server that loses all its state, and is restored: its agent goes on as it is.
answers 'a backup' 0 '' spire-config server backup /root/server.backup --stop
same 'its mode' '-rw------- root' "$(stat --format '%A %U' /root/server.backup)"
server_is_healthy
systemctl stop spire-server
rm -rf /var/lib/spire/server/+default /etc/spire/server/server.conf
answers 'restoring it' 0 '' spire-config server restore /root/server.backup --start
server_is_healthy
starts spire-agent.service
answers 'the entry that was there' 0 'spiffe://fleet.test/web' spire-server entry show -spiffeID spiffe://fleet.test/web
soon 20 'the SVID after it' 0 'spiffe://fleet.test/web' as_workload spire-agent api fetch x509
answers 'an upgrade by two minors' 1 '' spire-config upgrade check "1.$(($(echo "$VERSION" | cut -d . -f 2) + 2)).0"
answers 'an upgrade by one' 0 '' spire-config upgrade check "1.$(($(echo "$VERSION" | cut -d . -f 2) + 1)).0"

# Zero touch: a machine that was given an invitation, and nothing else.
credentials 252
systemctl disable --now spire-agent
rm -rf /var/lib/spire/agent/+default /etc/spire/agent/bootstrap.crt
answers 'an invitation for it' 0 'it works once' spire-config invite host-5 --address localhost --output /root/zero
install -D -m 0600 /root/zero /etc/credstore/spire.invitation
systemctl start spire-agent-join.service
soon 60 'the agent has joined by itself' 0 'Agent is healthy.' spire-agent healthcheck
answers 'as whom' 0 'Found 2 attested agents' spire-server agent list
soon 20 'it joins once' 0 '' test -e /var/lib/spire-config/joined
unit_is spire-agent.service enabled active

# By the name that DNS knows the machine by, at a port that root alone may open.
printf '127.0.0.1 host-1.fleet.test other.fleet.test\n' >>/etc/hosts
answers 'the server, by names' 0 'attests agents by http_challenge, too' \
    spire-config server attestor http-challenge --hosts 'host-[0-9]+[.]fleet[.]test' --start
answers 'a name that it does not admit' 1 'the agent does not start: the server admits no machine of this name' \
    spire-config agent attestor http-challenge --hostname other.fleet.test --force --start
doctor_says 'the name is not admitted' 'the server admits no machine of this name' 'spire-config server attestor http-challenge'
systemctl stop spire-agent.service
answers 'the trust bundle' 0 'BEGIN CERTIFICATE' spire-server bundle show
printf '%s\n' "$OUTPUT" >/root/bundle.crt
# As a machine that has never joined: with the package's own configuration.
sed -i 's/trust_domain = "fleet.test"/trust_domain = "example.org"/; s/server_address = ".*"/server_address = "127.0.0.9"/' "$AGENT_CONF"
rm -rf /var/lib/spire/agent/+default /etc/spire/agent/bootstrap.crt
answers 'one that it admits' 0 'runs as spiffe://fleet.test/spire/agent/http_challenge/host-1.fleet.test' \
    spire-config agent attestor http-challenge --hostname host-1.fleet.test \
    --trust-domain fleet.test --server localhost --bundle /root/bundle.crt --start
answers 'check, with its drop-in' 0 '' spire-config check

# By its SSH host certificate, where there is an SSH client, which makes one.
if ! command -v ssh-keygen >/dev/null; then
    echo 'not by sshpop: there is no ssh-keygen, which makes the certificate'
    exit 0
fi
mkdir -p /etc/ssh
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ed25519 -N '' -f /root/ssh-ca
ssh-keygen -q -s /root/ssh-ca -h -I host -n host-1.fleet.test /etc/ssh/ssh_host_ed25519_key.pub
refuses 'a CA below /root' 'spire-server.service cannot read /root/ssh-ca.pub' spire-config server attestor sshpop --ca /root/ssh-ca.pub
install -m 0644 /root/ssh-ca.pub /etc/spire/server/
answers 'the server, by SSH certificates' 0 'attests agents by sshpop, too' \
    spire-config server attestor sshpop --ca /etc/spire/server/ssh-ca.pub --start
# sshpop FOLDER OPTION...: of the certificate.
sshpop() {
    certificate=$1/ssh_host_ed25519_key-cert.pub
    shift
    spire-config agent attestor sshpop --certificate "$certificate" --key /etc/ssh/ssh_host_ed25519_key "$@"
}
cp /etc/ssh/ssh_host_ed25519_key-cert.pub /root
refuses 'a certificate below /root' 'spire-agent.service cannot read /root/ssh_host_ed25519_key-cert.pub' sshpop /root
answers 'one that it admits, by its SSH key' 0 'runs as spiffe://fleet.test/spire/agent/sshpop/' sshpop /etc/ssh --force --start
same 'the host key' '-rw------- root' "$(stat --format '%A %U' /etc/ssh/ssh_host_ed25519_key)"
answers 'check, with its drop-in' 0 '' spire-config check
