#!/bin/sh
# What the examples for attestors promise, command by command as their READMEs have them:
# a workload known by its systemd unit, and a host that joins by its SSH certificate.
# A suite's own row plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"

EXAMPLES=/usr/share/spire-agent/examples

# as_unit UNIT COMMAND...: as a service of that name, of a user that has no entry.
as_unit() {
    unit=$1
    shift
    systemd-run --quiet --wait --pipe --collect --unit="$unit" --property=User=daemon "$@"
}

pkg_repository
pkg_install
unwarned 'installing'

# By its unit, and not by its user, which another unit has, too.
cp $EXAMPLES/systemd/agent.conf $AGENT_CONF
bring_up
new_entry by-unit systemd:id:shop.service
soon 20 'what runs in the unit' 0 'spiffe://example.org/by-unit' as_unit shop.service spire-agent api fetch x509
answers 'the same user in another unit' 1 'no identity issued' as_unit other.service spire-agent api fetch x509

# By the certificate of its SSH key, with commands in the place of the CA's machine.
command -v ssh-keygen >/dev/null || skip 'this place has no ssh-keygen; workloads are known by their units'
credentials 247
systemctl disable --now spire-agent spire-server
rm -rf /var/lib/spire/agent/* /etc/spire/agent/bootstrap.crt
cd "$(mktemp -d)"
mkdir -p /etc/ssh
[ -e /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
ssh-keygen -q -t ed25519 -N '' -f ssh-ca
cp /etc/ssh/ssh_host_ed25519_key.pub .
echo '127.0.0.1 spire.example.org' >>/etc/hosts
sed -n 's/^    //p' /usr/share/spire-server/examples/sshpop/README.md >commands
answers 'the commands of the example sshpop' 0 'Agent is healthy.' sh -e -c '
    # The certificate goes to its place before the agent needs it.
    head -n 1 commands | sh -e
    cp ssh_host_ed25519_key-cert.pub /etc/ssh
    sed 1d commands | sh -e'
answers 'the agent that has joined' 0 'spiffe://example.org/spire/agent/sshpop/host' spire-server agent list
soon 20 'its entry' 0 'spiffe://example.org/web' spire-server entry show -selector unix:user:www-data
same 'the host key' '-rw------- root' "$(stat --format '%A %U' /etc/ssh/ssh_host_ed25519_key)"
# A certificate of another CA is no certificate.
systemctl stop spire-agent
rm -rf /var/lib/spire/agent/*
ssh-keygen -q -t ed25519 -N '' -f other-ca
ssh-keygen -q -s other-ca -h -I host -n host.example.org ssh_host_ed25519_key.pub
cp ssh_host_ed25519_key-cert.pub /etc/ssh
answers 'a certificate of another CA' 1 '' systemctl start spire-agent
soon 10 'the log says why' 0 'no authorities for hostname: host.example.org' journalctl --unit=spire-agent --no-pager
