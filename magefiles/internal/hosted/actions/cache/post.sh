# After the job's other steps, if none of them failed. What is there is never
# written again.
set -eu
[ -n "${STATE_keep-}" ] && [ -e "$INPUT_PATH" ] || exit 0
mkdir -p "$STORE/caches"
tar --create --file="$STATE_keep.new" --absolute-names "$INPUT_PATH"
mv "$STATE_keep.new" "$STATE_keep"
echo "kept $INPUT_PATH as $INPUT_KEY"
