# The Go of the machine that plays the runner, if it is not older than the file asks
# for. What the caches of modules and compiled code hold, every job finds.
set -eu
wanted=$(sed -n 's/^go //p' "$(printenv INPUT_GO-VERSION-FILE)")
there=$("$STANDIN/go/bin/go" env GOVERSION)
if [ "$(printf '%s\n' "$wanted" "${there#go}" | sort --version-sort | head -n 1)" != "$wanted" ]; then
	echo "::error::there is $there, and not $wanted"
	exit 1
fi
echo "$STANDIN/go/bin" >>"$GITHUB_PATH"
echo GOTOOLCHAIN=local >>"$GITHUB_ENV"
echo "$STANDIN/canary/bin" >>"$GITHUB_PATH" # before it: see package hosted
