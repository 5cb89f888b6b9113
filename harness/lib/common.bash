# shellcheck shell=bash
# common: exit codes, messages, and the one way in which the harness changes the system.

readonly EXIT_PASS=0 EXIT_REGRESSION=3 EXIT_INCONCLUSIVE=4 EXIT_INVALID=5 EXIT_USAGE=64
# shellcheck disable=SC2034 # used by the files that source this one
readonly EXIT_PASS EXIT_REGRESSION

# die CODE MESSAGE: one line on stderr, then exit (which undoes everything).
die() {
	progress_end
	printf 'bench: %s\n' "$2" >&2
	exit "$1"
}

note() {
	progress_end
	printf 'bench: %s\n' "$1" >&2
}

# progress TEXT: what is going on. One rewritten line on a terminal, a line each elsewhere.
progress() {
	if [[ -t 2 ]]; then
		printf '\r\033[K%s' "$1" >&2
		progress_open=1
	else
		printf '%s\n' "$1" >&2
	fi
}

progress_end() {
	[[ -z ${progress_open:-} ]] || printf '\r\033[K' >&2
	progress_open=
}

# run COMMAND...: changes something on this host. Logged; the caller has pushed its undo.
run() {
	local output
	printf '%s ' "${@@Q}" >>"$STATE/commands"
	printf '\n' >>"$STATE/commands"
	output=$("$@" 2>&1) || die "$EXIT_INCONCLUSIVE" "'$*' failed: ${output%%$'\n'*}"
}

# poll SECONDS COMMAND...: until COMMAND succeeds; fails when the time is over.
poll() {
	local deadline=$((SECONDS + $1 + 1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.02
	done
}
