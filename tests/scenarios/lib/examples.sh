# shellcheck shell=sh
# Packages in the shape of those of spiffe/spire-examples: their names, paths,
# units that run as root, configurations and environment files (which are in
# lib/examples, a folder a package), around the programs of an earlier version
# of ours. Theirs are rpms, and debs made of those by alien: without scripts, and
# with every file in /etc a conffile. What they have of other sources is in theirs where
# ours was built, too, and has the versions that theirs have.

EXAMPLES='spire-common spire-server spire-agent spire-agent-nodeattestor-tpmdirect'
# Older than any that it is replaced by, and not by more than SPIRE's upgrades may be.
EXAMPLES_VERSION=${VERSIONS%% *}
EXAMPLES_VERSION=${EXAMPLES_VERSION%.*}.0
EXAMPLES_TREE=$TOP/examples/tree
# ours_of NAME: of another source, such as 0.6.4-3; nothing where that was not built.
ours_of() { printf '%s\n' "$OTHERS" | tr ' ' '\n' | sed -n "s/^$1:\([^:]*\):.*/\1/p"; }
[ -z "$(ours_of spire-controller-manager)" ] || EXAMPLES="$EXAMPLES spire-controller-manager spiffe-helper"

# theirs_of NAME: its version, with the packaging's number.
theirs_of() {
    case $1 in
    spire-controller-manager) echo 0.6.4-2 ;;
    spiffe-helper) echo 0.11.0-1 ;;
    *) echo "$EXAMPLES_VERSION-1" ;;
    esac
}

# examples_install: builds and installs them. The packages stay in $TOP/examples.
examples_install() {
    [ "$FORMAT" = deb ] || command -v rpmbuild >/dev/null ||
        skip 'there is no rpmbuild (package rpm-build), which makes packages like those of spire-examples'
    pkg_download "$TOP/examples" "${VERSIONS%% *}" spire-server spire-agent
    [ "$CODE" -eq 0 ] || fail "downloading ${VERSIONS%% *}, expected exit code 0, got $CODE: $(brief)"
    cp -r "$LIB/examples" "$EXAMPLES_TREE"
    for name in server agent; do
        programs=$EXAMPLES_TREE/spire-$name/usr/libexec/spire/$name
        mkdir "$TOP/examples/$name"
        "examples_unpack_$FORMAT" "$(pkg_file "$TOP/examples" "${VERSIONS%% *}" "spire-$name")" "$TOP/examples/$name"
        mv "$TOP/examples/$name/usr/bin/spire-$name" "$programs"
        chmod 0755 "$programs"/* "$EXAMPLES_TREE/spire-$name"/bin/*
    done
    chmod 0755 "$EXAMPLES_TREE"/*/usr/libexec/spire/plugins/*
    for name in $EXAMPLES; do
        version=$(ours_of "$name")
        [ -z "$version" ] || examples_of "$name" "$version"
    done
    "examples_$FORMAT"
    for name in $EXAMPLES; do
        same "$name of spire-examples" "$(theirs_of "$name")" "$(pkg_installed "$name")"
    done
}

# examples_of NAME VERSION: the program of ours, of another source.
examples_of() {
    pkg_download "$TOP/examples" "$2" "$1"
    [ "$CODE" -eq 0 ] || fail "downloading $1 $2, expected exit code 0, got $CODE: $(brief)"
    mkdir "$TOP/examples/$1"
    "examples_unpack_$FORMAT" "$(pkg_file "$TOP/examples" "$2" "$1")" "$TOP/examples/$1"
    install -D "$TOP/examples/$1/usr/bin/$1" "$EXAMPLES_TREE/$1/usr/bin/$1"
    find "$EXAMPLES_TREE/$1" -name start.sh -exec chmod 0755 '{}' +
}

# examples_unpack_FORMAT FILE FOLDER
examples_unpack_deb() { dpkg-deb --extract "$1" "$2"; }
examples_unpack_rpm() {
    rpm2archive - <"$1" >"$2.tgz"
    tar --extract --file "$2.tgz" --directory "$2"
}

examples_deb() {
    for name in $EXAMPLES; do
        mkdir "$EXAMPLES_TREE/$name/DEBIAN"
        printf '%s\n' "Package: $name" "Version: $(theirs_of "$name")" "Architecture: $PKGARCH" \
            'Maintainer: nobody <nobody@example.org>' "Description: $name, in the shape of spire-examples" \
            >"$EXAMPLES_TREE/$name/DEBIAN/control"
        (cd "$EXAMPLES_TREE/$name" && find . -path './etc/*' -type f | sed 's|^\.||') >"$EXAMPLES_TREE/$name/DEBIAN/conffiles"
        quietly dpkg-deb --root-owner-group -Znone --build "$EXAMPLES_TREE/$name" "$TOP/examples/theirs-$name.deb"
    done
    quietly dpkg --install "$TOP"/examples/theirs-*.deb
    unwarned 'installing those of spire-examples'
}
examples_rpm() {
    # shellcheck disable=SC2046 # an option is two words
    quietly rpmbuild -bb --quiet --define "_topdir $TOP/examples/build" \
        --define "tree $EXAMPLES_TREE" --define "theirs $EXAMPLES_VERSION" \
        $(case $EXAMPLES in *spiffe-helper*) echo --with others ;; esac) "$LIB/examples.spec"
    [ "$CODE" -eq 0 ] || fail "building those of spire-examples, expected exit code 0, got $CODE: $(brief)"
    quietly rpm --install --nosignature "$TOP"/examples/build/RPMS/*/*.rpm
    unwarned 'installing those of spire-examples'
}
