# Keeps what was compiled for the next run: see main.sh.
set -eu
[ -n "${STATE_kept-}" ] && [ ! -e "$STATE_kept" ] || exit 0
rm -f "$KEPT"/*"-${STATE_dist##*/}.tar"
shopt -s nullglob
set -- "$STATE_dist"/.work/*/{source,source.json,source-archives.json,upstream.tar} \
	"$STATE_dist"/.work/*/*/{bin,binaries.json,compressed} "$STATE_dist"/*/*.orig*.tar.xz
tar --create --file="$STATE_kept.$GITHUB_JOB" "$@"
mv "$STATE_kept.$GITHUB_JOB" "$STATE_kept"
