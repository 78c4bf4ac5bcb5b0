# A tar, in which nothing hidden is.
set -eu
to=$STORE/artifacts/$GITHUB_RUN_ID/github-pages
mkdir -p "$to"
tar --create --dereference --hard-dereference --directory "$INPUT_PATH" --file "$to/artifact.tar" --exclude='.[^/]*' .
chmod 0644 "$to/artifact.tar"
