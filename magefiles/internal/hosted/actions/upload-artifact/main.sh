# An artifact is a zip without modes: who downloads it gets 0644. Hidden files are
# left out unless asked for. The content of a folder is at the artifact's top.
set -eu
to=$STORE/artifacts/$GITHUB_RUN_ID/$INPUT_NAME
hidden=-false
[ "$(printenv INPUT_INCLUDE-HIDDEN-FILES)" = true ] || hidden='-name .* ! -name .'
base=$INPUT_PATH
[ -d "$base" ] || base=$(dirname "$base")
found=$(set -f; find "${INPUT_PATH%/}" $hidden -prune -o \( -type f -o -type l \) -print 2>/dev/null || :)
if [ -z "$found" ]; then
	said="No files were found with the provided path: $INPUT_PATH. No artifacts will be uploaded."
	case $(printenv INPUT_IF-NO-FILES-FOUND) in
	error) echo "::error::$said"; exit 1 ;;
	warn) echo "::warning::$said" ;;
	ignore) echo "$said" ;;
	esac
	exit 0
fi
if [ -e "$to" ] && [ "$INPUT_OVERWRITE" != true ]; then
	echo "::error::Failed to CreateArtifact: Received non-retryable error: (409) Conflict: an artifact with this name already exists on the workflow run"
	exit 1
fi
rm -rf "$to"
printf '%s\n' "$found" | while IFS= read -r file; do
	name=${file#"${base%/}"/}
	mkdir -p "$to/$(dirname "$name")"
	cp --dereference --no-preserve=mode "$file" "$to/$name"
	chmod 0644 "$to/$name"
done
echo "uploaded $INPUT_NAME: $(printf '%s\n' "$found" | wc -l) files"
