# One artifact goes flat into the path, be it named or the only one of a pattern;
# several get a folder each.
set -eu
cd "$STORE/artifacts/$GITHUB_RUN_ID" 2>/dev/null || cd "$(mktemp -d)"
if [ -n "$INPUT_NAME" ]; then
	set -- "$INPUT_NAME"
	if [ ! -e "$1" ]; then
		echo "::error::Unable to download artifact(s): Artifact not found for name: $1"
		exit 1
	fi
else
	shopt -s nullglob
	set -- $INPUT_PATTERN
fi
for name; do
	to=$GITHUB_WORKSPACE/$INPUT_PATH
	[ $# -eq 1 ] || [ "$(printenv INPUT_MERGE-MULTIPLE)" = true ] || to=$to/$name
	mkdir -p "$to"
	cp -r "$name/." "$to"
	echo "downloaded $name"
done
echo "Total of $# artifact(s) downloaded"
