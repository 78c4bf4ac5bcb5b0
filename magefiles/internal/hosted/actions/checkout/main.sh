# As many commits of the repository as are asked for, 0 for all, and nothing of any other job.
set -eu
depth=$(printenv INPUT_FETCH-DEPTH)
[ "$depth" != 0 ] || depth=
git clone --quiet ${depth:+"--depth=$depth"} "file://$STANDIN/origin.git" .
git remote set-url origin "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
# What every later step can read, where nobody has forbidden it.
if [ "$(printenv INPUT_PERSIST-CREDENTIALS)" != false ]; then
	git config "http.$GITHUB_SERVER_URL/.extraheader" "AUTHORIZATION: bearer $INPUT_TOKEN"
fi
# What this machine has compiled of the same source, from which packages are made: a
# machine of GitHub's has not, and nobody would wait for it here.
case $GITHUB_JOB in
build | vouch) dist=dist/$SPIRE_SOURCE version=$SPIRE_VERSION ;;
earlier) dist=dist/.earlier/$SPIRE_SOURCE version='*' ;;
*) exit 0 ;;
esac
mkdir -p $dist
to=$PWD/$dist
cd "$STANDIN/$dist"
shopt -s nullglob
cp --archive --parents .work/$version/{source,source.json,source-archives.json,upstream.tar} \
	.work/$version/*/{bin,binaries.json,compressed} $version/*.orig*.tar.xz "$to"
