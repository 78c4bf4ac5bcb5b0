#!/bin/sh
# A machine that leaves documentation out, as minimal images do: what our texts
# have their reader copy is there all the same, and does its work.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

ONE_HOST=/usr/share/spire-server/examples/one-host/README.md
DROP_IN=unix-discover-path.conf

# named: the paths of ours below /usr/share that an installed text names.
named() {
    find /etc/spire /usr/share/spi[rf]* /usr/lib/systemd/system/spi[rf]* -type f \
        -exec grep -Eoh '/usr/share/[a-z/]*spi[rf][A-Za-z0-9/._-]*[A-Za-z0-9]' '{}' + | sort -u
}

pkg_repository
pkg_without_documentation
pkg_install
unwarned 'installing'
for name in $NAMES; do gone "/usr/share/man/man1/$name.1.gz"; done
there $ONE_HOST
# shellcheck disable=SC2046 # a list
there $(named)

# The first step of its instructions, as it stands there.
sed -n '/^Configure:/,/^Start /s/^    //p' $ONE_HOST >"$TOP/configure"
same 'commands in it' 4 "$(grep -vc '^  ' "$TOP/configure")"
answers 'configuring one host' 0 '' sh -e "$TOP/configure"
bring_up
same "the admin's part of the unit" "/etc/systemd/system/spire-agent.service.d/$DROP_IN" \
    "$(systemctl show --property=DropInPaths --value spire-agent.service | tr ' ' '\n' | grep '^/etc/')"
same 'failed units' '' "$(systemctl list-units --failed --plain --no-legend)"
