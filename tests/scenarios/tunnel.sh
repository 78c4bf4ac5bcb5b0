#!/bin/sh
# ghostunnel between two hosts, each with an agent of its own: a program that knows no TLS
# reaches a service that knows none, by its identity. Others are refused at either end, and
# identities are renewed under load without one connection less.
# It has a second machine, peer.
# The nights play it: it takes minutes.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$LIB/spire.sh"
# shellcheck source=lib/peer.sh
. "$LIB/peer.sh"

SHARE=/usr/share/ghostunnel/examples
SECONDS_OF_LOAD=75

# agent_of_peer: the peer's joins as spiffe://example.org/peer.
agent_of_peer() {
    answers "a join token for the peer's agent" 0 'Token: ' spire-server token generate -spiffeID spiffe://example.org/peer
    token=$(printf '%s\n' "$OUTPUT" | sed -n 's/^Token: //p')
    answers "the peer's agent" 0 'Agent is healthy.' in_words_on_peer "
        sed -i 's/\"127.0.0.1\"/\"host\"/' $AGENT_CONF
        cat >$BUNDLE <<'END'
$(cat "$BUNDLE")
END
        (umask 077 && echo SPIRE_JOIN_TOKEN=$token >$AGENT_ENV)
        systemctl start spire-agent.service
        spire-agent healthcheck"
}

# entry PARENT PATH USER: whose identity lasts a minute.
entry() {
    answers "entry for $3 of $1" 0 "spiffe://example.org/$2" spire-server entry create -x509SVIDTTL 60 \
        -parentID "spiffe://example.org/$1" -spiffeID "spiffe://example.org/$2" -selector "unix:user:$3"
}

# service_of_peer: what knows no TLS, on the peer's loopback: it says again what it is told.
service_of_peer() {
    answers 'a service of the peer' 0 '' on_peer "
        printf '[Socket]\nListenStream=127.0.0.1:8080\nAccept=yes\n' >/etc/systemd/system/plain.socket
        printf '[Service]\nExecStart=/bin/cat\nStandardInput=socket\n' >/etc/systemd/system/plain@.service
        systemctl daemon-reload
        systemctl start plain.socket"
}

# tunnel_of_peer NAME USER PORT: the far end of a tunnel, by the example's options, whose
# port is the network's.
tunnel_of_peer() {
    answers "the peer's tunnel $1" 0 '' on_peer "
        mkdir -p /etc/ghostunnel /etc/systemd/system/ghostunnel@$1.service.d
        sed 's/127.0.0.1:8443/0.0.0.0:$3/' $SHARE/server/web.conf >/etc/ghostunnel/$1.conf
        sed s/www-data/$2/ $SHARE/drop-ins/user.conf >/etc/systemd/system/ghostunnel@$1.service.d/user.conf
        systemctl daemon-reload
        systemctl start ghostunnel@$1.service"
}

# tunnel NAME USER PORT TO: the near end, which begins at this port, and looks for the peer's.
tunnel() {
    mkdir -p /etc/ghostunnel "/etc/systemd/system/ghostunnel@$1.service.d"
    sed "s/:5432/:$3/; s/database\.example\.org:8443/peer:$4/; s|example\.org/database|example.org/web|" \
        $SHARE/client/database.conf >"/etc/ghostunnel/$1.conf"
    sed "s/www-data/$2/" $SHARE/drop-ins/user.conf >"/etc/systemd/system/ghostunnel@$1.service.d/user.conf"
    systemctl daemon-reload
    starts "ghostunnel@$1.service"
}

# said PORT LINE: what comes back of it.
# shellcheck disable=SC2016 # bash's own
said() { timeout 30 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && echo "$2" >&3 && head -n 1 <&3' said "$1" "$2"; }

# refused WHAT PORT WORDS COMMAND...: nothing comes back, and that log has the words.
refused() {
    what=$1 port=$2 words=$3
    shift 3
    same "$what: what comes back" '' "$(said "$port" hello 2>/dev/null || :)"
    soon 10 "$what: the log" 0 "$words" "$@"
}

# coming SECONDS: how often it connected and was answered, and how often not.
coming() {
    end=$(($(date +%s) + $1)) done=0 failed=0
    while [ "$(date +%s)" -lt "$end" ]; do
        if [ "$(said 9001 "$done" 2>/dev/null)" = "$done" ]; then done=$((done + 1)); else failed=$((failed + 1)); fi
    done
    echo "$done $failed"
}

# shellcheck disable=SC2016 # bash's own
# staying SECONDS: how many lines came back over one connection, a tenth of a second between
# two. It fails where one did not.
staying() {
    bash -c '
        exec 3<>/dev/tcp/127.0.0.1/9001
        lines=0
        while [ "$SECONDS" -lt "$1" ]; do
            echo "$lines" >&3
            read -r -t 30 back <&3 && [ "$back" = "$lines" ] || exit 1
            lines=$((lines + 1))
            sleep 0.1
        done
        echo "$lines"' staying "$1"
}

# certificate: the serial of the one that the peer's tunnel shows.
certificate() { openssl s_client -connect peer:8443 </dev/null 2>/dev/null | openssl x509 -noout -serial; }

command -v openssl >/dev/null || skip 'this place has no openssl'
for one in $OTHERS; do
    case $one in ghostunnel:*) TUNNEL=$(printf '%s\n' "$one" | cut -d : -f 2) ;; esac
done
[ -n "${TUNNEL:-}" ] || skip 'ghostunnel was not built'
pkg_repository
pkg_install "$VERSION" spire-server spire-agent
unwarned 'installing SPIRE'
pkg_install "$TUNNEL" ghostunnel
unwarned 'installing ghostunnel'
sed -i 's/bind_address = "127.0.0.1"/bind_address = "0.0.0.0"/' "$SERVER_CONF"
bring_up
answers 'installing on the peer' 0 'without a warning' in_words_on_peer "
    pkg_repository
    pkg_install $VERSION spire-agent
    pkg_install $TUNNEL ghostunnel
    unwarned 'installing on the peer'"
agent_of_peer
service_of_peer
entry peer web ghostunnel
entry peer impostor bin
entry host client daemon
entry host other bin
tunnel_of_peer web ghostunnel 8443
tunnel_of_peer impostor bin 8444
tunnel allowed daemon 9001 8443
tunnel other bin 9002 8443
tunnel deceived daemon 9003 8444

same 'between the hosts the identity gets through' hello "$(said 9001 hello)"
answers 'by TLS alone' 1 'refused' bash -c ': <>/dev/tcp/peer/8080'
refused 'another identity of the other host' 9002 'unauthorized' on_peer journalctl --unit=ghostunnel@web.service --no-pager
refused 'another identity in the place of the service' 9003 'unauthorized' journalctl --unit=ghostunnel@deceived.service --no-pager
answers "the same user of the other host" 1 'no identity issued' on_peer 'setpriv --reuid daemon --clear-groups spire-agent api fetch x509'

before=$(certificate)
coming $SECONDS_OF_LOAD >/tmp/coming &
coming=$!
staying $SECONDS_OF_LOAD >/tmp/staying &
staying=$!
changes=0 last=$before
end=$(($(date +%s) + SECONDS_OF_LOAD))
while [ "$(date +%s)" -lt "$end" ]; do
    shown=$(certificate)
    [ "$shown" = "$last" ] || changes=$((changes + 1))
    last=$shown
    sleep 1
done
for job in $coming $staying; do
    wait "$job" || fail "connections under load, expected each line to come back, got one that did not"
done
[ "$changes" -ge 2 ] || fail "the peer's certificate, expected it to be renewed twice under load, got $changes times"
ok "the peer's certificate was renewed $changes times under load"
read -r came failed </tmp/coming
same 'connections coming: failed' 0 "$failed"
ok "connections coming: $came"
ok "lines on the one that stays: $(cat /tmp/staying)"
for unit in allowed other; do
    same "restarts of ghostunnel@$unit" 0 "$(systemctl show --property=NRestarts --value ghostunnel@$unit.service)"
done
same "restarts of the peer's" 0 "$(on_peer systemctl show --property=NRestarts --value ghostunnel@web.service)"
