# One commit of the repository, and nothing of any other job.
set -eu
git clone --quiet --depth=1 "file://$STANDIN/origin.git" .
git remote set-url origin "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY"
# What every later step can read, where nobody has forbidden it.
if [ "$(printenv INPUT_PERSIST-CREDENTIALS)" != false ]; then
	git config "http.$GITHUB_SERVER_URL/.extraheader" "AUTHORIZATION: bearer $INPUT_TOKEN"
fi
# What a job of an earlier run has compiled of the same source by the same compiler: a
# machine of GitHub's has not, and nobody would wait for it here.
case $GITHUB_JOB in
build | vouch) dist=dist ;;
earlier) dist=dist/.earlier ;;
*) exit 0 ;;
esac
compiler=$(musl-gcc --version)
kept=$KEPT/$(echo "$compiler" | cat - srpm/*/source.yaml srpm/*/patches/* | sha256sum | cut -c 1-16)-${dist##*/}.tar
if [ -e "$kept" ]; then
	tar --extract --file="$kept"
else
	printf 'kept=%s\ndist=%s\n' "$kept" "$dist" >>"$GITHUB_STATE"
fi
