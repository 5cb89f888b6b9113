# shellcheck shell=bash
# show: results for people. A result is complete and kept before it is shown.

# The result is complete and kept: whoever does not want to read it any more (a closed pipe) changes
# nothing about it.
show() {
	trap '' PIPE
	python harness.report.show "$@" || note "the table could not be printed; see $1"
	[[ -z $MARKDOWN ]] || python harness.report.show "$@" --markdown >>"$MARKDOWN" ||
		note "could not write $MARKDOWN"
}

say() {
	printf '%s\n' "$1" 2>/dev/null || true
}
