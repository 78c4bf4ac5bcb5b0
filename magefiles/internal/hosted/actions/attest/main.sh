# Nothing is signed here: it is noted of which digests something would be.
set -eu
file=$(printenv INPUT_SUBJECT-CHECKSUMS)
if [ ! -s "$file" ] || grep -qvE '^[0-9a-f]{64} [ *][^/ ]+$' "$file"; then
	echo "::error::$file is no list of checksums"
	exit 1
fi
mkdir -p "$STORE/attested"
cp "$file" "$STORE/attested/$GITHUB_RUN_ID"
