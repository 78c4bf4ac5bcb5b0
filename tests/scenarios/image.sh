#!/bin/sh
# Images: built where no systemd runs, as `docker build` does and as the recipes of
# spiffe/bootc are, then booted with an empty /var, and run with /etc and /usr
# read-only.
# Of the stand-ins, dnf's plays it.
# The newest of a family plays it.
set -eu
# shellcheck source=lib/common.sh
. "$(dirname "$0")/lib/common.sh"
# shellcheck source=lib/spire.sh
. "$(dirname "$0")/lib/spire.sh"
# shellcheck source=lib/instances.sh
. "$(dirname "$0")/lib/instances.sh"
# shellcheck source=lib/root.sh
. "$(dirname "$0")/lib/root.sh"

ROOT=/opt/image
DOMAIN=example.org # where nobody says another one
USERS='spire-server spire-agent' # of the recipe's packages
ENABLED='spire.target spire-server.target spire-agent.target spire-server@main.service spire-agent@main.service spire-server.service'

# in_build COMMAND...: in the root, as one step of `docker build`: with processes of
# its own, of which none is systemd, and nothing mounted but /, /proc and /dev/pts.
in_build() {
    # shellcheck disable=SC2016 # for the other shell
    quietly unshare --fork --pid --mount sh -c 'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts" && exec chroot "$0" "$@"' "$ROOT" "$@"
}

# bare_root: what a chroot has that somebody made by hand: devices, no mounts.
bare_root() {
    copied_root $ROOT
    chmod 1777 $ROOT/tmp
    for device in null:3 zero:5 full:7 random:8 urandom:9; do
        mknod --mode=0666 "$ROOT/dev/${device%:*}" c 1 "${device#*:}"
    done
    mkdir $ROOT/dev/pts
    ln -s pts/ptmx $ROOT/dev/ptmx
    ln -s /proc/self/fd $ROOT/dev/fd
}

# recipe: what the image's recipe installs, by its names. Theirs are dnf's alone, so
# zypper gets our names.
recipe() {
    case $CLIENT in
    apt) in_build apt-get install --yes spire-server spire-agent ;;
    dnf) in_build dnf install --assumeyes spire-common spire-server spire-agent ;;
    zypper) in_build zypper --non-interactive install spire-server spire-agent ;;
    esac
}

# accounts FILE: the names in it.
accounts() { cut -d : -f 1 "$ROOT/etc/$1" | sort; }

# lint: the rules of `bootc container lint` that a package can break. Nothing is
# where the running system mounts something else; what is in /var, or who is in
# /etc/passwd, is made anew from tmpfiles.d and sysusers.d.
lint() {
    same 'what the image has in /run, /tmp and /boot' '' "$(find $ROOT/run $ROOT/tmp $ROOT/boot -name '*spi[rf]*')"
    # What the package managers note for themselves is theirs; what the archive's
    # keyring notes of the files that it gave apt is a note of that kind.
    same 'what the image has in /var' '' "$(find $ROOT/var \( -path $ROOT/var/lib/dpkg -o -path $ROOT/var/lib/rpm -o -path $ROOT/var/lib/apt -o -path $ROOT/var/cache \
        -o -path $ROOT/var/lib/systemd/deb-systemd-helper-enabled -o -path $ROOT/var/lib/dnf -o -path $ROOT/var/lib/spire-archive-keyring -o -path $ROOT/var/log \) -prune -o -name '*spi[rf]*' -print)"
    gone $ROOT/usr/etc
    for file in passwd group; do
        for name in $(accounts $file | comm -13 "$TOP/$file" -); do
            grep -Eq "^[ug] +$name " $ROOT/usr/lib/sysusers.d/*.conf || fail "$name in /etc/$file, expected a line in sysusers.d, got none"
            ok "$name of /etc/$file is in sysusers.d"
        done
    done
    same 'names that are not plain' '' "$(find $ROOT -xdev -name '*spi[rf]*' | LC_ALL=C grep '[^ -~]' || :)"
}

# off_by_default: also where the first boot asks the presets.
off_by_default() {
    quietly systemctl --root=$ROOT preset-all --preset-mode=enable-only
    # It waits two minutes for an address, where no container gets one from it.
    quietly systemctl --root=$ROOT mask systemd-networkd-wait-online.service
    for unit in $UNITS; do
        case $unit in spiffe-*) continue ;; esac # not in the recipe
        same "$unit in the image" disabled "$(systemctl --root=$ROOT is-enabled "$unit" 2>&1 || :)"
    done
}

build() {
    bare_root
    for file in passwd group; do accounts $file >"$TOP/$file"; done
    recipe
    unwarned 'installing in the image'
    lint
    off_by_default
    # shellcheck disable=SC2086 # a list
    in_build systemctl enable $ENABLED
    [ "$CODE" -eq 0 ] || fail "enabling in the image, expected exit code 0, got $CODE: $(brief)"
    for unit in $ENABLED; do
        same "$unit in the image" enabled "$(systemctl --root=$ROOT is-enabled "$unit" 2>&1 || :)"
    done
    # Where not even /proc is.
    # shellcheck disable=SC2086 # a list
    answers 'enabling in a bare chroot' 0 '' chroot $ROOT systemctl enable $ENABLED
    # The recipe's own configurations, which no environment file goes with.
    for part in server agent; do
        cp "$LIB/examples/spire-$part/etc/spire/$part/default.conf" "$ROOT/etc/spire/$part/default.conf"
    done
    sed -i 's/"8081"/"8099"/' "$ROOT$SERVER_CONF"
    same 'what the build started' '' "$(readlink /proc/[0-9]*/exe | grep -E '/usr/bin/spi(re|ffe)' || :)"
}

# becomes_the_root: this machine boots the image, with nothing in /var. What Docker
# mounts in /etc stays.
becomes_the_root() {
    tar --directory=$ROOT --create --exclude=etc/hosts --exclude=etc/hostname --exclude=etc/resolv.conf etc usr |
        tar --directory=/ --extract --preserve-permissions
    rm -rf $ROOT
    find /var -xdev -mindepth 1 -delete || : # what a service still has mounted
    reboot
}

services_are_healthy() {
    unit_is spire-server.service enabled active
    unit_is spire-server@main.service enabled active
    server_is_healthy
    server_at_is_healthy main
}

# gets_its_svid: the agent of the recipe's configuration tells workloads apart by
# their units.
gets_its_svid() {
    soon 20 'SVID for workload.service' 0 "spiffe://$DOMAIN/web" \
        systemd-run --quiet --wait --pipe --collect --unit=workload.service --uid=65534 spire-agent api fetch x509
}

first_boot() {
    users_are_there
    unit_is spire.target enabled active
    services_are_healthy
    for part in server agent; do
        same "owner of /var/lib/spire/$part/main" "spire-$part 700" "$(stat --format '%U %a' "/var/lib/spire/$part/main")"
    done
    token_at main "$DOMAIN"
    (umask 077 && printf 'JOIN_TOKEN=%s\n' "$TOKEN" >/etc/spire/agent/main.env)
    systemctl restart spire-agent@main.service
    agent_at_is_healthy main
    rm /etc/spire/agent/main.env
    entry_at main "$DOMAIN" systemd:id:workload.service
    gets_its_svid
}

# read_only FOLDER
read_only() {
    mount --rbind "$1" "$1" # with what Docker mounts in /etc
    mount -o remount,bind,ro "$1"
    if (: >"$1/written") 2>/dev/null; then fail "$1, expected it read-only, got a file written"; fi
    ok "$1 is read-only"
}

then_read_only() {
    read_only /etc
    read_only /usr
    systemctl restart spire-server.service spire-server@main.service spire-agent@main.service
    services_are_healthy
    agent_at_is_healthy main
    gets_its_svid
}

case $PHASE in
1)
    pkg_repository
    build
    becomes_the_root
    ;;
2)
    first_boot
    then_read_only
    ;;
esac
