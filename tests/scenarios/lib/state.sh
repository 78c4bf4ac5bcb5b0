# shellcheck shell=sh disable=SC2034 # answers are for the scenarios
# The folders of state, in the layout of today and in the former one.

SERVER_STATE=/var/lib/spire/server
AGENT_STATE=/var/lib/spire/agent

# leaf FOLDER: where the unit without a name has its state, in either layout.
leaf() { if [ -e "$1/+default" ]; then printf '%s\n' "$1/+default"; else printf '%s\n' "$1"; fi; }

# layout FOLDER: whose it is, its mode, and whether there is a leaf.
layout() { printf '%s %s\n' "$(stat --format '%U %a' "$1")" "$([ -e "$1/+default" ] && echo leaf || echo none)"; }

# layout_of ROLE VERSION: the one that this version has.
layout_of() {
    case ${2##*-} in
    1) same "layout of the $1's state in $2" "spire-$1 700 none" "$(layout "/var/lib/spire/$1")" ;;
    *)
        same "layout of the $1's state in $2" 'root 755 leaf' "$(layout "/var/lib/spire/$1")"
        same "owner and mode of the leaf" "spire-$1 700" "$(stat --format '%U %a' "/var/lib/spire/$1/+default")"
        ;;
    esac
}

# instance_beside NAME PORT: configures a server of a trust domain of its own.
instance_beside() {
    sed "s|\"example.org\"|\"$1.test\"|; s|\"8081\"|\"$2\"|; s|\"/var/lib/spire/[a-z]*|\".|; /socket_path\|data_dir =/d" \
        "$SERVER_CONF" >"/etc/spire/server/$1.conf"
}

# hold_mount: a mount of the agent's folder, as a container has one, in $HOLDER's
# view of the file system, at $HELD.
HELD=/mnt
hold_mount() {
    unshare --mount sh -c "mount --bind ${AGENT_SOCKET%/*} $HELD && exec sleep infinity" &
    HOLDER=$!
    soon 5 'a mount of the folder' 0 "$HELD" nsenter --target "$HOLDER" --mount findmnt --noheadings --output TARGET "$HELD"
}

# mount_gets_its_svid WHEN: through that mount.
mount_gets_its_svid() {
    soon 20 "SVID through a mount of the agent's folder, $1" 0 'spiffe://example.org/web' \
        nsenter --target "$HOLDER" --mount setpriv --reuid 65534 --regid 65534 --clear-groups \
        spire-agent api fetch x509 -socketPath "$HELD/api.sock"
}

# as_attacker COMMAND...: as the services' user, without any other right.
ATTACKER='setpriv --reuid spire-server --regid spire-server --clear-groups --inh-caps=-all --bounding-set=-all'
as_attacker() { $ATTACKER "$@"; }

# race SECONDS: the services' user exchanges a folder and a link in all it can, and kills
# its own instance: systemd makes the folder again each time, as root. It goes on until
# that was often enough, which on a busy machine takes longer.
race() {
    if ! command -v perl >/dev/null; then
        echo 'not raced: there is no perl, which exchanges two files'
        return
    fi
    case $ARCH in amd64) exchange=316 ;; ppc64le) exchange=357 ;; s390x) exchange=347 ;; *) exchange=276 ;; esac
    mkdir -p /etc/systemd/system/spire-server@a.service.d /opt/victim
    printf '%s\n' '[Service]' RestartSec=50ms >/etc/systemd/system/spire-server@a.service.d/often.conf
    echo kept >/opt/victim/file
    systemctl daemon-reload
    systemctl start spire-server.service spire-server@a.service
    server_at_is_healthy a
    for folder in "$SERVER_STATE" "$SERVER_STATE/+default"; do
        as_attacker ln -sn /opt/victim "$folder/link" 2>/dev/null || :
        as_attacker mkdir "$folder/a" 2>/dev/null || :
    done
    # No function, which in the background is a shell that perl would outlive.
    # shellcheck disable=SC2016,SC2086 # perl's own; a command
    $ATTACKER perl -e 'for (;;) { syscall('$exchange', -100, "$_/a", -100, "$_/link", 2) for @ARGV }' "$SERVER_STATE" "$SERVER_STATE/+default" &
    racer=$!
    begin=$(date +%s)
    rounds=0
    restarts=0
    while [ "$(date +%s)" -lt $((begin + $1)) ] || { [ "$restarts" -lt 3 ] && [ "$(date +%s)" -lt $((begin + 20 * $1)) ]; }; do
        pid=$(systemctl show --property=MainPID --value spire-server@a.service)
        # By the shell, because a minimal Debian has no kill program.
        [ "$pid" = 0 ] || as_attacker sh -c "kill -s KILL $pid" 2>/dev/null || :
        rounds=$((rounds + 1))
        restarts=$(systemctl show --property=NRestarts --value spire-server@a.service)
        changed=$(find /opt/victim /etc /usr/bin -maxdepth 1 -user spire-server)
        [ -z "$changed" ] || break
    done
    kill "$racer"
    wait "$racer" || : # it ends by that signal
    same "what the services' user got in $rounds rounds" '' "$changed"
    same "restarts of the instance in $(($(date +%s) - begin)) s, $restarts, enough" yes "$([ "$restarts" -ge 3 ] && echo yes)"
    rm -r /etc/systemd/system/spire-server@a.service.d
    systemctl daemon-reload
    systemctl stop spire-server.service spire-server@a.service
    systemctl reset-failed
}
