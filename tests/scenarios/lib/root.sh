# shellcheck shell=sh
# A root file system that nothing runs in.

# copied_root FOLDER: this one, without what is mounted, and without this test.
copied_root() {
    mkdir "$1"
    for path in /*; do
        case $path in
        /dev | /mnt | /opt | /proc | /run | /sys | /tmp) mkdir "$1$path" ;;
        *) cp --archive --one-file-system "$path" "$1" ;;
        esac
    done
}
