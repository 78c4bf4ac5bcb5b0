#!/bin/sh
# Workloads of users and groups that are in no file in /etc: the agent, a static
# program, asks the host's name services by getent, inside its sandbox. What nobody
# knows it says. What it cannot ask, the names of hosts, the man page says.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"

SWITCH=/etc/nsswitch.conf
EXTRA=/var/lib/extrausers
UNKNOWN=70098
UNHEARD=70099

# asks DATABASE SERVICE: the name service switch has the service.
asks() { grep -Eq "^$1:.*[[:space:]]$2([[:space:]]|$)" $SWITCH; }

# as NUMBER GROUPS COMMAND...: user and group of that number, and further groups.
as() {
    number=$1 groups=$2
    shift 2
    setpriv --reuid "$number" --regid "$number" --groups "$groups" "$@"
}

# warned NUMBER WORDS: why a number has no name, once.
warned() {
    soon 10 "the log on $1" 0 "$2" journalctl --no-pager --output=cat --unit=spire-agent.service --grep="No name found.*database=passwd .*id=$1 "
    same "warnings on $1" 1 "$(printf '%s\n' "$OUTPUT" | grep -c 'No name found')"
}

# systemd makes a user for as long as a service runs.
dynamic_users() {
    new_entry dynamic unix:user:dynamic-web
    new_entry dynamic-group unix:group:dynamic-web
    for id in dynamic dynamic-group; do
        soon 20 "$id by systemd's name service" 0 "spiffe://example.org/$id" \
            systemd-run --quiet --wait --pipe --collect --property=DynamicUser=yes --property=User=dynamic-web \
            spire-agent api fetch x509
    done
}

extra_users() {
    mkdir -p $EXTRA
    echo 'alice:x:70001:70001:Alice:/nonexistent:/bin/sh' >$EXTRA/passwd
    printf 'people:x:70001:\nreaders:x:70002:alice\n' >$EXTRA/group
    sed -E -i 's/^(passwd|group):.*/& extrausers/' $SWITCH
    same 'alice, to getent' alice "$(getent passwd 70001 | cut -d : -f 1)"
    same 'alice in /etc/passwd' 0 "$(grep -c alice /etc/passwd || :)"
    new_entry alice unix:user:alice
    new_entry people unix:group:people
    new_entry readers unix:supplementary_group:readers
    for id in alice people readers; do
        soon 20 "$id by another name service" 0 "spiffe://example.org/$id" as 70001 70002 spire-agent api fetch x509
    done
}

# An agent whose log says nothing leaves its admin to guess.
nobody_knows() {
    for turn in 1 2; do
        answers "turn $turn: no identity for $UNKNOWN" 1 PermissionDenied as $UNKNOWN $UNKNOWN spire-agent api fetch x509
    done
    warned $UNKNOWN 'neither /etc/passwd nor the name services'
    getent=$(command -v getent)
    mv "$(readlink -f "$getent")" "$TOP/getent"
    answers "no identity for $UNHEARD" 1 PermissionDenied as $UNHEARD $UNHEARD spire-agent api fetch x509
    mv "$TOP/getent" "$getent"
    warned $UNHEARD 'there is no getent'
}

# The man page has the sentence for this.
hosts_are_not_asked() {
    page=$(gzip --decompress --stdout /usr/share/man/man1/spire-agent.1.gz | tr '\n' ' ')
    case $page in
    *'/etc/hosts'*'and by nothing else'*) ok 'the man page says how server_address is resolved' ;;
    *) fail "spire-agent's man page, expected a word on how server_address is resolved, got none" ;;
    esac
    answers 'server.localhost, to getent' 0 localhost getent hosts server.localhost
    sed -i 's/server_address = .*/server_address = "server.localhost"/' "$AGENT_CONF"
    systemctl restart --no-block spire-agent.service
    soon 30 'what the agent waits for' 0 'waiting for the server at server.localhost:8081: ' \
        systemctl show --property=StatusText --value spire-agent.service
    soon 10 'why' 0 'server.localhost' journalctl --no-pager --output=cat --unit=spire-agent.service --grep='lookup server.localhost|produced zero addresses'
    systemctl stop spire-agent.service
}

extras=$(find /usr/lib /lib -name 'libnss_extrausers.so.2' 2>/dev/null | head -n 1)
if ! asks passwd systemd && [ -z "$extras" ]; then
    skip 'there is no name service but files'
fi
pkg_repository
pkg_install
unwarned 'installing'
bring_up
if asks passwd systemd; then dynamic_users; else echo 'not asked: there is no libnss_systemd'; fi
if [ -n "$extras" ]; then extra_users; else echo 'not asked: there is no libnss_extrausers'; fi
nobody_knows
if asks hosts myhostname; then hosts_are_not_asked; else echo 'not asked: there is no libnss_myhostname'; fi
