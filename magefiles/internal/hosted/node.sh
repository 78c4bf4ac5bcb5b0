#!/bin/bash
# The stand-ins of the actions are scripts, and only of actions for node does act
# know that they have something to do after a job. So this is what it finds by that
# name. Two things that act asks node itself are answered in node's place.
case $1 in
--no-warnings) echo "$0" ;; # where node is
*/hashfiles/index.js)
	cd "$GITHUB_WORKSPACE" || exit 1
	shopt -s globstar nullglob
	hash=$(for pattern in $patterns; do for file in $pattern; do [ -f "$file" ] && sha256sum <"$file"; done; done | sha256sum)
	echo "__OUTPUT__${hash%% *}__OUTPUT__" >&2
	;;
*) exec bash "$@" ;;
esac
