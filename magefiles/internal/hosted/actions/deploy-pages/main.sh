# The site becomes what the run has uploaded, whatever it was.
set -eu
from=$STORE/artifacts/$GITHUB_RUN_ID/github-pages/artifact.tar
if [ ! -e "$from" ]; then
	echo "::error::No artifacts named \"github-pages\" were found for this workflow run."
	exit 1
fi
find "$STORE/site" -mindepth 1 -delete
tar --extract --no-overwrite-dir --directory "$STORE/site" --file "$from"
echo "page_url=$PAGES/" >>"$GITHUB_OUTPUT"
