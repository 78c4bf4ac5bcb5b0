# shellcheck shell=sh disable=SC2034,SC2153 # the lists are for the scenarios
# What every scenario begins with:
#
#   . "$(dirname "$0")/lib/common.sh"
#
# The driver (magefiles/internal/scenario) calls a scenario as root in a fresh
# container without a network, with these variables:
#   PLACE     the row of tests/distros.yaml, such as debian-12
#   FORMAT    deb or rpm: which vocabulary below is read
#   CLIENT    apt, dnf or zypper
#   STANDIN   not empty: the container is not really of that family
#   ARCH      Go's name of the architecture, such as amd64
#   PKGARCH   what the format calls it, such as x86_64
#   PATIENCE  how many times longer than usual things may take
#   PHASE     1, and one more after each reboot that the scenario asked for
#   URL       where the signed repository is; the files as they were built are
#       below it in built/
#   KILLS     how often the scenario state kills a move; empty for its own number
#   VERSIONS  what it has, oldest first; the last is the one under test
#   NAMES     the packages with programs under test, and of all of them, as packages/ and units/ say:
#   SERVICES  the services that are no templates
#   UNITS     what can be enabled
#   USERS     the users
#   FEWER     not empty: somebody waits, and what takes minutes is left to the nights
#   OTHERS    the packages of other sources, and those without a program, one a word:
#       NAME:VERSION:UNITS:USERS:PROGRAM, with commas between units and users
#   WAITING   likewise, the packages of sources that wait; PROGRAM is what stands in for it
# and with these folders in $TOP:
#   pastes/setup-$CLIENT, pastes/install-$CLIENT   the front page's lines
#   pastes/README.md                               the checkout's own
#   expected/$FORMAT-$ARCH/NAME                    what the build put into the
#       package under test: MODE OWNER/GROUP SHA256 PATH, a line a file or folder
#   packages/NAME.sh                               a package's own test
#   waiting/NAME/                                  what a package that waits would install
#   openrc/                                        the packages' services for OpenRC, as
#       they are below the root
#   tools/NAME-$ARCH                               a program of this checkout that
#       stands for another one, such as sds for Envoy
#
# A scenario prints a line "ok: ..." for each thing checked, and ends at the
# first thing wrong with one line "FAIL: what, expected ..., got ...". One that
# cannot run at its place says so by `skip`.

exec 2>&1 # one stream, in order
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
umask 022

TOP=/opt/spire-packages
LIB=$TOP/scenarios/lib
LISTS=$TOP/expected/$FORMAT-$ARCH
VERSIONS=${VERSIONS:-} # tests/trust has none
VERSION=${VERSIONS##* } # upstream's and the packaging's, as in 1.13.3-1

# The packages under test, from the driver.
NAMES=${NAMES:-} SERVICES=${SERVICES:-} UNITS=${UNITS:-} USERS=${USERS:-} OTHERS=${OTHERS:-} WAITING=${WAITING:-}
SERVER_CONF=/etc/spire/server/server.conf
AGENT_CONF=/etc/spire/agent/agent.conf
OIDC_CONF=/etc/spire/oidc-discovery-provider/oidc-discovery-provider.conf
# Files that the admin makes.
AGENT_ENV=/etc/spire/agent/agent.env
BUNDLE=/etc/spire/agent/bootstrap.crt
SERVER_SOCKET=/run/spire/server/private/api.sock
AGENT_SOCKET=/run/spire/agent/public/api.sock
OIDC_SOCKET=/run/spire/oidc-discovery-provider/server.sock

ok() { printf 'ok: %s\n' "$*"; }

# fail WORDS...: in one line, whatever was got.
fail() {
    printf 'FAIL: %s\n' "$(printf '%s\n' "$*" | paste -sd ' ')"
    exit 1
}

# skip WORDS...: why this scenario cannot run here.
skip() {
    printf 'SKIP: %s\n' "$*"
    exit 77
}

# reboot: ends this phase; the scenario is called again with the next one.
reboot() { exit 194; }

# same WHAT EXPECTED GOT
same() {
    [ "$2" = "$3" ] || fail "$1, expected '$2', got '$3'"
    ok "$1: $3"
}

# there PATH..., gone PATH...
there() {
    for path; do
        [ -e "$path" ] || fail "$path, expected it to be there, got nothing"
        ok "$path is there"
    done
}
gone() {
    for path; do
        if [ -e "$path" ] || [ -L "$path" ]; then
            fail "$path, expected it to be gone, got $(ls -ld "$path")"
        fi
        ok "$path is gone"
    done
}

# quietly COMMAND...: runs it with its output in $OUTPUT, which is shown, and
# its exit code in $CODE.
quietly() {
    CODE=0
    OUTPUT=$("$@" 2>&1) || CODE=$?
    printf '%s\n' "\$ $*" "$OUTPUT"
}

# answers WHAT CODE TEXT COMMAND...: the command ends with that code and says
# that text.
answers() {
    what=$1 code=$2 text=$3
    shift 3
    quietly "$@"
    [ "$CODE" -eq "$code" ] || fail "$what, expected exit code $code, got $CODE: $(brief)"
    case $OUTPUT in
    *"$text"*) ok "$what" ;;
    *) fail "$what, expected '$text', got '$(brief)'" ;;
    esac
}

# soon SECONDS WHAT CODE TEXT COMMAND...: answers, asked until it is so.
soon() {
    end=$(($(date +%s) + $1 * PATIENCE))
    shift
    while :; do
        if got=$(answers "$@"); then
            break
        elif [ "$(date +%s)" -ge "$end" ]; then
            printf '%s\n' "$got"
            exit 1
        fi
        sleep 0.3
    done
    # What a subshell set is lost: take the answer from what it printed.
    OUTPUT=$(printf '%s\n' "$got" | sed '1d;$d')
    printf '%s\n' "$got"
}

# brief: the last line that a command printed.
brief() { printf '%s\n' "$OUTPUT" | grep -v '^[[:space:]]*$' | tail -n 1; }

# unwarned WHAT: the package manager whose output is in $OUTPUT went through
# without a complaint, but for those that the vocabulary expects.
unwarned() {
    [ "$CODE" -eq 0 ] || fail "$1, expected exit code 0, got $CODE: $(brief)"
    if line=$(printf '%s\n' "$OUTPUT" | grep -Ev "$EXPECTED" | grep -Eim1 'warn|error|fail|cannot|unable|not found|no such|denied|deprecated|^[WEN]: '); then
        fail "$1, expected no warning, got '$line'"
    fi
    ok "$1, without a warning"
}

# went_well WHAT: and nobody complains of what is ours, by its name or by the address
# URL. What is said of the distribution's own repositories is not for us to mend.
went_well() {
    [ "$CODE" -eq 0 ] || fail "$1, expected exit code 0, got $CODE: $(brief)"
    OUTPUT=$(printf '%s\n' "$OUTPUT" | grep -F -e "$URL" -e spire -e spiffe || :)
    unwarned "$1"
}

# pkg_setup: adds our repository, by the front page's own lines.
pkg_setup() { quietly sh -e "$TOP/pastes/setup-$CLIENT"; }

# pkg_repository: likewise, and nothing else can be reached.
pkg_repository() {
    pkg_prepare
    pkg_setup
    unwarned "the front page's lines that add the repository"
}

# unit_is UNIT ENABLED ACTIVE
unit_is() {
    same "$1 enabled" "$2" "$(systemctl is-enabled "$1" 2>&1 || :)"
    case $1 in *@.*) return ;; esac
    same "$1 active" "$3" "$(systemctl is-active "$1" 2>&1 || :)"
}

# unit_unknown UNIT: systemd neither knows the unit nor runs it.
unit_unknown() {
    case $1 in *@.*) return ;; esac
    same "$1" 'not-found inactive' "$(systemctl show --property=LoadState,ActiveState --value "$1" | paste -sd ' ')"
}

# no_process: nothing of ours runs.
no_process() {
    running=$(readlink /proc/[0-9]*/exe | grep -E '^/usr/bin/spi(re|ffe)' || :)
    same 'processes of ours' '' "$running"
}

# user_of UNIT: whose its main process is. Not by the owner of its folder in /proc,
# which is root where the process keeps others of its user out.
user_of() {
    pid=$(systemctl show --property=MainPID --value "$1")
    id --user --name "$(sed -n 's/^Uid:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$pid/status")"
}

# runs UNIT USER: its main process belongs to that user and runs the program that
# is installed now. Of a replaced one the kernel says "(deleted)", in the memory
# map also where an emulator runs another architecture's programs.
runs() {
    same "$1's user" "$2" "$(user_of "$1")"
    pid=$(systemctl show --property=MainPID --value "$1")
    program=/usr/bin/${1%%[@.]*}
    same "$1's program" "$program" "$(sed -n "s|.* \($program.*\)|\1|p" "/proc/$pid/maps" | sort -u)"
}

# users_are_there: also after a removal, or files would fall to a later user
# with the same number.
users_are_there() {
    for user in $USERS; do
        entry=$(getent passwd "$user") || fail "user $user, expected it to be there, got none"
        same "shell of user $user" nologin "$(basename "${entry##*:}")"
    done
}

# now: in milliseconds. Ubuntu 26.04's date heeds no width between % and N.
now() { echo "$(($(date +%s%N) / 1000000))"; }

# without_news: standard input without what an older systemd says of the directives
# that it does not know: EL 8's has none of these. Each is one protection more, and
# the unit runs without it. Whatever else is unknown is a mistake of ours.
without_news() {
    here=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    names=
    for name in ProtectHostname=242 ProtectKernelLogs=244 ProtectClock=245 ProtectProc=247 PrivateIPC=248; do
        [ "$here" -ge "${name#*=}" ] || names="$names|${name%=*}"
    done
    grep -Ev "Unknown (lvalue|key name) '(${names#|})' in section 'Service'(, ignoring[.]?)?\$" || :
}

# credentials VERSION: systemd hands them over by a mount, which a container keeps to itself, and
# a machine does not; skips where systemd is older than that.
credentials() {
    [ "$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" -ge "$1" ] || skip "systemd here has no such credentials; all before this was seen"
    mount --make-rshared / || skip 'this container keeps mounts to itself; all before this was seen'
}

# has VERSION NAME...: installed, and what the program says of itself.
has() {
    version=$1
    shift
    for name; do
        same "$name installed" "$version" "$(pkg_installed "$name")"
        case $name in spiffe-*) flag=-version ;; *) flag=--version ;; esac
        same "$name $flag" "${version%-*}" "$("$name" "$flag" 2>&1)"
    done
}

# digest FILE
digest() { sha256sum "$1" | cut -d ' ' -f 1; }

# shellcheck source=deb.sh
. "$LIB/$FORMAT.sh"
