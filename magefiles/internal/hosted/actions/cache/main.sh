# Modes and hidden files outlive a cache, which is a tar.
set -eu
kept=$STORE/caches/$(printf %s "$INPUT_KEY" | sha256sum | cut -c 1-32).tar
if [ -e "$kept" ]; then
	tar --extract --file="$kept" --absolute-names
	echo "restored $INPUT_PATH from $INPUT_KEY"
	echo cache-hit=true >>"$GITHUB_OUTPUT"
else
	echo "there is no cache of $INPUT_KEY"
	echo cache-hit=false >>"$GITHUB_OUTPUT"
	echo "keep=$kept" >>"$GITHUB_STATE"
fi
