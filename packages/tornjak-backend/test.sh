# shellcheck shell=sh disable=SC2154 # common.sh and the scenario have set the rest
# What the package promises: nobody is let in by default, it listens on this machine alone,
# has a database of its own, and reaches the server by the group.
# shellcheck source=/dev/null
. "$LIB/spire.sh"

UNIT=tornjak-backend.service
CONF=/etc/tornjak/backend.conf
DATABASE=/var/lib/tornjak-backend/tornjak.sqlite3

# refused WHAT TEXT: it starts once, says why not, and is not started again.
refused() {
    since=$(date +%s)
    systemctl reset-failed $UNIT 2>/dev/null || :
    systemctl start $UNIT 2>/dev/null || :
    soon 10 "$1" 0 "$2" journalctl --unit=$UNIT --since="@$since" --no-pager
    soon 10 "$1: it is not started again" 0 'failed 78 0' \
        sh -c "systemctl show --property=ActiveState,ExecMainStatus,NRestarts --value $UNIT | sort --reverse | paste -sd ' '"
}

# listens: the addresses of port 10000, as the kernel has them: 0100007F is 127.0.0.1.
listens() { cat /proc/net/tcp /proc/net/tcp6 | sed -n 's/^ *[0-9]*: \([0-9A-F]*\):2710 [0-9A-F:]* 0A .*/\1/p'; }

# ask TOKEN: the last line is HTTP's status.
ask() {
    setpriv --reuid 65534 --regid 65534 --clear-groups curl --silent --show-error --max-time 10 --write-out '\n%{http_code}\n' \
        --header "Authorization: $1" http://127.0.0.1:10000/api/v1/spire/healthcheck
}

refused 'as it is installed' 'the Authenticator needs an issuer and an audience'
cp $CONF /run/backend.conf
sed -i 's|# issuer = .*|issuer = "https://localhost:8443/realms/tornjak"|; s|Authorizer "RBAC"|Authorise "RBAC"|' $CONF
refused 'without an authorizer' 'there is no Authorizer'
sed -i 's|Authorise "RBAC"|Authorizer "RBAC"|' $CONF

starts $UNIT
soon 10 'it listens on this machine alone' 0 0100007F listens
same 'and nowhere else' 0100007F "$(listens)"
runs $UNIT tornjak-backend
same 'its database' 'tornjak-backend 600' "$(stat --format '%U %a' $DATABASE)"
same 'the folder of that' 'tornjak-backend 700' "$(stat --format '%U %a' "${DATABASE%/*}")"
answers 'without a token' 0 401 ask ''

# Where it alone was built, there is no server.
if [ -n "$VERSIONS" ]; then
    with_spire
    answers 'the server, by its group' 0 200 ask 'Bearer good'
fi
same 'restarts' 0 "$(systemctl show --property=NRestarts --value $UNIT)"
systemctl stop $UNIT
same 'stopping it' success "$(systemctl show --property=Result --value $UNIT)"
mv /run/backend.conf $CONF
