# The site becomes what the run has uploaded, whatever it was.
set -eu
from=$STORE/artifacts/$GITHUB_RUN_ID/github-pages/artifact.tar
if [ ! -e "$from" ]; then
	echo "::error::No artifacts named \"github-pages\" were found for this workflow run."
	exit 1
fi
new=$(mktemp -d) # the site's own folder is not this user's to change
tar --extract --directory "$new" --file "$from"
find "$STORE/site" -mindepth 1 -delete
cp -r "$new/." "$STORE/site"
echo "page_url=$PAGES/" >>"$GITHUB_OUTPUT"
