#!/bin/sh
# What is the admin's own stays so: units and a program that were there before the
# packages, under the same names, and the modes and groups of configuration.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"

OLDER=${VERSIONS% *}
OLDER=${OLDER##* }
# Of an installation from upstream's archive.
PROGRAM=/usr/local/bin/spire-agent
UNIT=/etc/systemd/system/spire-agent.service
TEMPLATE=/etc/systemd/system/spire-server@.service
OWN='spire-agent.service spire-server@prod.service'
# Where secrets may be, in the layout of spiffe/spire-examples.
ENVIRONMENT=/etc/spire/server/default.env

installed_from_an_archive() {
    printf '#!/bin/sh\nexec sleep infinity\n' >$PROGRAM
    chmod 0755 $PROGRAM
    for unit in $UNIT $TEMPLATE; do
        printf '%s\n' '[Service]' "ExecStart=$PROGRAM" '[Install]' 'WantedBy=multi-user.target' >"$unit"
    done
    systemctl daemon-reload
    # shellcheck disable=SC2086 # a list
    systemctl enable --now $OWN
}

# processes: of these units.
processes() { for unit in $OWN; do systemctl show --property=MainPID --value "$unit"; done | paste -sd ' '; }

# still_at_work PROCESSES
still_at_work() {
    for unit in $OWN; do unit_is "$unit" enabled active; done
    same 'their processes' "$1" "$(processes)"
    # shellcheck disable=SC2086 # a list
    same 'what they run' $PROGRAM "$(systemctl show --property=ExecStart --value $OWN | sed -n 's/.* path=\([^ ]*\) .*/\1/p' | sort -u)"
}

# said WORDS...: the package manager, of the installation.
said() {
    case $OUTPUT in
    *"$*"*) ok "it says: $*" ;;
    *) fail "the words of the installation, expected '$*', got none such" ;;
    esac
}

metadata() { stat --format '%n %a %U:%G' /etc/spire /etc/spire/server "$SERVER_CONF" /etc/spire/agent "$AGENT_CONF" $ENVIRONMENT; }

# close_to_others: an edited configuration and one as it came, and their folders.
close_to_others() {
    echo '# A line of the admin.' >>"$AGENT_CONF"
    (umask 077 && echo 'DB_PASSWORD=secret' >$ENVIRONMENT)
    chgrp spire-server /etc/spire/server "$SERVER_CONF"
    chgrp spire-agent /etc/spire/agent "$AGENT_CONF"
    chmod 0751 /etc/spire
    chmod 0750 /etc/spire/server /etc/spire/agent
    chmod 0640 "$SERVER_CONF" "$AGENT_CONF"
}

before_the_reboot() {
    pkg_repository
    installed_from_an_archive
    theirs=$(processes)
    pkg_install "$OLDER"
    unwarned 'installing'
    for path in $UNIT $TEMPLATE $PROGRAM; do said "$path is kept"; done
    still_at_work "$theirs"
    same 'folders of configuration, as they came' '755 root:root' "$(stat --format '%a %U:%G' /etc/spire /etc/spire/* | sort -u)"

    close_to_others
    closed=$(metadata)
    pkg_upgrade "$VERSION"
    unwarned 'upgrading'
    same 'modes and groups after an upgrade' "$closed" "$(metadata)"
    still_at_work "$theirs"
    pkg_reinstall
    unwarned 'reinstalling'
    same 'modes and groups after reinstalling' "$closed" "$(metadata)"
    still_at_work "$theirs"
    if [ "$FORMAT" = rpm ]; then
        answers 'rpm --setperms' 0 '' rpm --setperms spire-server
        same "mode of $ENVIRONMENT after it" 600 "$(stat --format %a $ENVIRONMENT)"
    fi
    reboot
}

after_the_reboot() {
    theirs=$(processes)
    still_at_work "$theirs"
    pkg_remove
    unwarned 'removing'
    still_at_work "$theirs"
    if [ "$FORMAT" = deb ]; then
        pkg_purge
        unwarned 'purging'
        still_at_work "$theirs"
    fi
    for path in $UNIT $TEMPLATE $PROGRAM $ENVIRONMENT; do there "$path"; done
}

[ "$OLDER" != "$VERSION" ] || skip 'the repository has no version to upgrade from'
case $PHASE in
1) before_the_reboot ;;
2) after_the_reboot ;;
esac
