#!/bin/sh
# A machine with a TPM 2.0 proves by it which machine it is (tpm_devid), as
# spire-server's examples/tpm says, and then once more as spire-config sets it up. Comes
# after service.sh on the same machine.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/config.sh
. "$(dirname "$0")/lib/config.sh"

SHARE=/usr/share
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
work=$(mktemp -d)
cd "$work"

# provision: what the owner of a machine does once: a key that lives in its TPM,
# and his CA's word that the key is that machine's. SPIRE takes the key's two
# halves without the length that tpm2-tools writes in front of them, and makes
# their parent by the template of the TCG with noda.
provision() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out devid-ca.crt -days 2 -subj '/CN=DevID CA' 2>/dev/null
    storage='restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda'
    signing='sign|fixedtpm|fixedparent|sensitivedataorigin|userwithauth'
    tpm2_createprimary --quiet --hierarchy=o --key-algorithm=rsa2048:null:aes128cfb --attributes="$storage" --key-context=parent
    tpm2_create --quiet --parent-context=parent --key-algorithm=rsa2048:rsassa-sha256:null --attributes="$signing" --public=pub --private=priv
    tpm2_load --quiet --parent-context=parent --public=pub --private=priv --key-context=key
    tpm2_readpublic --quiet --object-context=key --format=pem --output=key.pem
    openssl x509 -new -force_pubkey key.pem -subj '/CN=machine' -days 2 -CA devid-ca.crt -CAkey ca.key -out devid.crt
    tail --bytes=+3 pub >devid.pub.blob
    tail --bytes=+3 priv >devid.priv.blob
}

# forget: server and agent as they were before they knew each other.
forget() {
    systemctl stop spire-agent spire-server
    rm -r /var/lib/spire/agent/*
}

# by_config: server and agent as the packages bring them, of another trust domain, with the
# keys and certificates that are there by now.
by_config() {
    echo '== attesting by the TPM, as spire-config sets it up'
    forget
    rm -r /var/lib/spire/server/* /etc/systemd/system/spire-agent.service.d
    rm /etc/spire/agent/bootstrap.crt
    cp server.conf /etc/spire/server/
    cp agent.conf /etc/spire/agent/
    systemctl daemon-reload
    pkg_install "$CONFIG" spire-config
    unwarned 'installing spire-config'
    answers 'a server' 0 'runs, for the trust domain fleet.test' \
        spire-config server init --trust-domain fleet.test --address spire.example.org --start
    answers 'the server, by DevID' 0 'attests agents by tpm_devid, too' spire-config server attestor tpm \
        --ca /etc/spire/server/devid-ca.crt --endorsement-ca /etc/spire/server/tpm-endorsement-ca.crt --start
    spire-server bundle show >fleet.crt
    refuses 'a key below /tmp' "spire-agent.service cannot read $work/devid.priv.blob" agent_tpm "$work"
    answers 'the agent, by its TPM' 0 'runs as spiffe://fleet.test/spire/agent/tpm_devid/' agent_tpm /etc/spire/agent --start
    answers 'an entry' 0 'spiffe://fleet.test/web' spire-config entry add web --selector unix:uid:65534
    soon 20 'its SVID' 0 'spiffe://fleet.test/web' as_workload spire-agent api fetch x509
    answers 'doctor' 0 'healthy' spire-config doctor
    same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
}

# agent_tpm FOLDER OPTION...: of the two halves of the key.
agent_tpm() {
    folder=$1
    shift
    spire-config agent attestor tpm --certificate /etc/spire/agent/devid.crt --private "$folder/devid.priv.blob" \
        --public "$folder/devid.pub.blob" --trust-domain fleet.test --server spire.example.org --bundle "$work/fleet.crt" "$@"
}

there /dev/tpmrm0
same "the TPM's owner" 'tss tss' "$(stat --format '%U %G' /dev/tpmrm0)"
echo '== provisioning the TPM'
cp "$TOP/tpm-endorsement-ca.crt" $SERVER_CONF $AGENT_CONF .
provision
ok 'a key is in the TPM'

# From here on as the README says.
echo '== attesting by the TPM'
forget
cp $SHARE/spire-server/examples/tpm/server.conf /etc/spire/server/
install -m 0644 devid-ca.crt tpm-endorsement-ca.crt /etc/spire/server/
systemctl enable --now spire-server
server_is_healthy
spire-server bundle show >bootstrap.crt

echo '127.0.0.1 spire.example.org' >>/etc/hosts
cp $SHARE/spire-agent/examples/tpm/agent.conf /etc/spire/agent/
install -m 0644 bootstrap.crt devid.crt devid.priv.blob devid.pub.blob /etc/spire/agent/
install -D -m 0644 -t /etc/systemd/system/spire-agent.service.d \
    $SHARE/spire-agent/examples/drop-ins/tpm.conf
systemctl daemon-reload
systemctl enable --now spire-agent
agent_is_healthy

answers 'the agent that the TPM speaks for' 0 'spiffe://example.org/spire/agent/tpm_devid/' spire-server agent list
answers 'one name for all hosts of this CA' 0 'spiffe://example.org/tpm-hosts' spire-server entry create -node \
    -spiffeID spiffe://example.org/tpm-hosts -selector 'tpm_devid:issuer:cn:DevID CA'
answers 'entry for the workload' 0 'spiffe://example.org/web' spire-server entry create \
    -parentID spiffe://example.org/tpm-hosts -spiffeID spiffe://example.org/web -selector unix:uid:65534
workload_gets_its_svid
same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
# By software that takes a minute more.
if [ -n "$CONFIG" ] && [ -z "${FEWER:-}" ]; then by_config; fi
rm -r "$work"
