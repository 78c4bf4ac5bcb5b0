# Every step's shell reads this first, by BASH_ENV: what act leaves to who calls it.
unset BASH_ENV
case $0 in /var/run/act/workflow/*) ;; *) return ;; esac
. "$STANDIN/settings"
# A token can do what its job's permissions say.
if [ -n "${GITHUB_TOKEN-}" ]; then
	case " $writers " in *" $GITHUB_JOB "*) ;; *) GITHUB_TOKEN=$read_token ;; esac
fi
# No machine of another architecture is here.
case $GITHUB_JOB in
plan | visit) grep -q ' setup' "$0" || export SPIRE_ARCH=$arch ;; # which setup must not be told
release) [ -z "${SPIRE_ARCH-}" ] || SPIRE_ARCH=$arch ;;
esac
# It compiles everything at each place.
if [ "$GITHUB_JOB" = rebuild ] && grep -q ' test:rebuild' "$0"; then
	echo "left out: test:rebuild"
	exec bash -e <(sed 's/ test:rebuild//' "$0")
fi
