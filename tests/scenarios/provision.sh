#!/bin/sh
# The examples of spire-config for machines that join by themselves, by the tools that they
# are for: Ansible's roles, twice, cloud-init at a first boot, and what a kickstart file
# leaves for one. The server is on this machine, too.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/config.sh
. "$LIB/config.sh"

EXAMPLES=/usr/share/spire-config/examples

# forgotten: a machine that has never had an agent.
forgotten() {
    systemctl disable --now spire-agent.service
    rm -rf /var/lib/spire/agent/+default /etc/spire/agent /var/lib/spire-config
    quietly apt-get install --yes --reinstall -o Dpkg::Options::=--force-confmiss spire-agent
    unwarned 'a new machine'
}

# played WHAT: the playbook, on this machine alone.
played() {
    answers "$1" 0 'failed=0' ansible-playbook --inventory /root/inventory.yaml $EXAMPLES/ansible/join.yaml
    RECAP=$(printf '%s\n' "$OUTPUT" | sed -n '/^PLAY RECAP/,$p')
    same "$1: failures" 0 "$(printf '%s\n' "$RECAP" | grep -c 'unreachable=[1-9]\|failed=[1-9]' || :)"
}

by_ansible() {
    cat >/root/inventory.yaml <<EOF
spire_server:
  hosts: {spire.example.org: {ansible_connection: local}}
  vars: {spire_trust_domain: fleet.test}
spire_agents:
  hosts: {web1: {ansible_connection: local}}
EOF
    export ANSIBLE_LOCALHOST_WARNING=False ANSIBLE_NOCOWS=1
    answers 'the example' 0 spire_agents ansible-inventory --inventory $EXAMPLES/ansible/inventory.yaml --list
    played 'Ansible'
    same 'hosts that it changed' 2 "$(printf '%s\n' "$RECAP" | grep -c 'changed=[1-9]')"
    same 'the token, in what it said' '' "$(printf '%s\n' "$OUTPUT" | grep -i 'token:' || :)"
    unit_is spire-server.service enabled active
    unit_is spire-agent.service enabled active
    answers 'its identity' 0 'Found 1 attested agent' spire-server agent list
    played 'Ansible once more'
    same 'hosts that it changed once more' 0 "$(printf '%s\n' "$RECAP" | grep -c 'changed=[1-9]' || :)"
}

# seed: what a cloud gives a new machine, from a medium that it has.
seed() {
    answers 'an invitation for the cloud' 0 'it works once' spire-config invite web2 --address localhost --ttl 30m --output /root/web2
    mkdir -p /var/lib/cloud/seed/nocloud
    printf 'instance-id: web2\nlocal-hostname: web2\n' >/var/lib/cloud/seed/nocloud/meta-data
    (umask 077 && sed -e '/The output of spire-config invite/{r /dev/stdin' -e 'd}' $EXAMPLES/cloud-init/user-data.yaml \
        >/var/lib/cloud/seed/nocloud/user-data <<EOF
$(sed 's/^/      /' /root/web2)
EOF
    )
    answers 'the example' 0 'Valid' cloud-init schema --config-file $EXAMPLES/cloud-init/user-data.yaml
    answers 'the example, with an invitation' 0 'Valid' cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data
    printf 'datasource_list: [NoCloud]\nnetwork: {config: disabled}\n' >/etc/cloud/cloud.cfg.d/99-test.cfg
    cloud-init clean
}

# The part of the kickstart file that runs on the installed machine.
by_kickstart() {
    answers 'an invitation for the installer' 0 'it works once' spire-config invite web3 --address localhost --ttl 2h --output /root/web3
    sed -n '/^%post/,/^%end/{/^%/!p}' $EXAMPLES/kickstart/spire.ks | sed -e '/The output of spire-config invite/{r /root/web3' -e 'd}' >/root/post.sh
    same 'packages of the example' 'spire-agent spire-config' "$(sed -n '/^%packages/,/^%end/{/^%/!p}' $EXAMPLES/kickstart/spire.ks | paste -sd ' ')"
    answers 'after the installation' 0 '' sh -e /root/post.sh
    same 'the invitation' '-rw------- root' "$(stat --format '%A %U' /etc/credstore/spire.invitation)"
    unit_is spire-agent-join.service enabled inactive
}

# joined_as WHAT HOST: an agent that has not been there before.
joined_as() {
    soon 90 "$1" 0 'Agent is healthy.' spire-agent healthcheck
    unit_is spire-agent.service enabled active
    answers "$1, by its alias" 0 "spiffe://fleet.test/$2-has" spire-config entry add "$2-has" --selector unix:uid:65534 --parent "$2"
    soon 30 "$1: its SVID" 0 "spiffe://fleet.test/$2-has" as_workload spire-agent api fetch x509
}

first_phase() {
    printf '127.0.0.1 spire.example.org\n' >>/etc/hosts
    by_ansible
    seed
    forgotten
    reboot
}

second_phase() {
    # Of a minimal root it may have complaints that are not about this.
    quietly cloud-init status --wait --long
    case $OUTPUT in
    *'status: done'*) ok 'cloud-init' ;;
    *) fail "cloud-init, expected 'status: done', got '$OUTPUT'" ;;
    esac
    joined_as 'the machine that the cloud has made' web2
    gone /run/spire-invitation
    same 'the token, in its log' '' "$(grep -i 'token:' /var/log/cloud-init-output.log || :)"
    forgotten
    by_kickstart
    # Credentials come by a mount.
    mount --make-rshared /
    systemctl start spire-agent-join.service
    joined_as 'the machine that was installed' web3
}

command -v ansible-playbook >/dev/null || skip 'this place has no Ansible and cloud-init'
[ -n "$CONFIG" ] || skip 'spire-config was not built'
case $PHASE in
1)
    pkg_repository
    pkg_install "$CONFIG" spire-config
    unwarned 'installing'
    first_phase
    ;;
2) second_phase ;;
esac
