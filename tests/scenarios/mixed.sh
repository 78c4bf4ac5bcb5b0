#!/bin/sh
# Packages of several sources and versions beside one another: an agent that is older than its
# server, a helper and a manager of entries with versions of their own. Each is upgraded and
# removed by itself, and nothing goes with it that somebody has asked for, be it by
# autoremove.
# The nights play it: it takes long.
# Of the stand-ins, dnf's plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"

OLDER=${VERSIONS%% *}
[ "$OLDER" != "$VERSION" ] || skip 'there is one version only'
MANIFESTS=/etc/spire/controller-manager/manifests
HELPED=/var/lib/spiffe-helper/web

# version_of NAME: of a package of another source.
version_of() { printf '%s\n' "$OTHERS" | tr ' ' '\n' | sed -n "s/^$1:\([^:]*\):.*/\1/p"; }

# asked NAME VERSION...: installs them, as somebody who asks for each.
asked() {
    while [ $# -gt 0 ]; do
        pkg_install "$2" "$1"
        unwarned "installing $1"
        same "$1 installed" "$2" "$(pkg_installed "$1")"
        shift 2
    done
}

# all_work NAME: identities reach files, and entries come from files, which has that name.
all_work() {
    server_is_healthy
    agent_is_healthy
    sed "s/web\.example\.org/$1.example.org/" /usr/share/spire-controller-manager/examples/entries/web.yaml >$MANIFESTS/web.yaml
    soon 40 "$1: an entry from a file" 0 "$1.example.org" spire-server entry show -selector unix:user:www-data
    rm -f $HELPED/svid.pem
    systemctl restart spiffe-helper@web.service
    soon 40 "$1: the certificate" 0 'BEGIN CERTIFICATE' cat $HELPED/svid.pem
    for unit in spire-server spire-agent spire-controller-manager spiffe-helper@web; do
        same "$unit after a failure" 0 "$(systemctl show --property=NRestarts --value $unit.service)"
    done
}

# still NAME...: is installed. What came along by itself may have gone, or not: zypper leaves it.
still() {
    for name; do
        [ -n "$(pkg_installed "$name")" ] || fail "$name, expected it to be installed still, got nothing"
        ok "$name is installed still"
    done
}

pkg_repository
# Where apt takes all packages of a source along, it is told not to.
[ "$FORMAT" = rpm ] || echo 'APT::Get::Upgrade-By-Source-Package "false";' >/etc/apt/apt.conf.d/alone
asked spire-server "$OLDER" spire-agent "$OLDER" \
    spiffe-helper "$(version_of spiffe-helper)" spire-controller-manager "$(version_of spire-controller-manager)"
bring_up
new_entry helper unix:user:spiffe-helper
install -D -m 0644 /usr/share/spiffe-helper/examples/web/helper.conf /etc/spiffe/helper/web.conf
systemctl enable --now spire-controller-manager.service spiffe-helper@web.service
all_work older

# The server goes on, and the others stay as they are.
pkg_upgrade "$VERSION" spire-server
unwarned 'upgrading the server alone'
same 'the agent' "$OLDER" "$(pkg_installed spire-agent)"
all_work older-agent
pkg_upgrade "$VERSION" spire-agent
unwarned 'upgrading the agent alone'
all_work newer

# What was asked for stays, whatever else goes.
pkg_autoremove
unwarned 'autoremove'
still spire-server spire-agent spire-controller-manager spiffe-helper
pkg_install "$VERSION" spire-agent-extras spire-server-extras
unwarned 'installing what brings others along'
pkg_remove spire-agent-extras spire-server-extras
unwarned 'removing it'
pkg_autoremove
unwarned 'autoremove after it'
still spire-server spire-agent spire-controller-manager spiffe-helper
all_work left

# One goes, and takes nothing along.
pkg_remove spire-controller-manager
unwarned 'removing the manager'
pkg_autoremove
still spire-server spire-agent spiffe-helper
pkg_remove spire-agent
unwarned 'removing the agent'
pkg_autoremove
still spire-server spiffe-helper
server_is_healthy

# What one package may need another for brings none along that would go with it.
pkg_remove spire-server spiffe-helper
pkg_autoremove
for name in spire-controller-manager spiffe-helper; do asked "$name" "$(version_of "$name")"; done
for name in spire-server spire-agent; do same "$name, which nobody asked for" '' "$(pkg_installed "$name")"; done
