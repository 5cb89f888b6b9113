# shellcheck shell=bash
# undo: beside each change to the host, its undo is written to a journal under /run before the change
# is made. The journal is played backwards at exit, whatever the reason; should this process be
# killed outright, the next one finds the journal of a dead owner and plays it.

readonly STATE_ROOT=${STATE_ROOT:-/run/mcrelay-bench} # the tests of the relay have another one

# undo_open NAME [OWNER]: a journal ($STATE) that OWNER, a PID (default: this process), plays in the end. It is there
# with its owner or not at all.
undo_open() {
	local new=$STATE_ROOT/.$1 owner reason
	state_root_make
	undo_recover
	owner=$(process_identity "${2:-$$}")
	STATE=$STATE_ROOT/$1
	reason=$( (rm -rf "$new" && mkdir "$new" && printf '%s\n' "$owner" >"$new/owner" && : >"$new/undo" &&
		mv -T "$new" "$STATE") 2>&1) || {
		rm -rf "$new" || true
		die "$EXIT_INCONCLUSIVE" "cannot keep in $STATE_ROOT what has to be undone: ${reason##*: }; make it writable, or make room"
	}
}

state_root_make() {
	local reason
	reason=$(mkdir -p "$STATE_ROOT" 2>&1) || die "$EXIT_INCONCLUSIVE" \
		"${reason#mkdir: }; bench keeps there what it has to undo on this host: make ${STATE_ROOT%/*} writable"
}

# state_add FILE WORD...: a line of the journal, or of its log; in one piece: two runs at a time share them.
state_add() {
	local file=$STATE/$1
	shift
	{ printf '%s\n' "${*@Q}" >>"$file"; } 2>/dev/null || die "$EXIT_INCONCLUSIVE" \
		"cannot write $file, without which nothing is changed on this host; is the disk under it full?"
}

undo_push() {
	state_add undo "$@"
}

# undo_play DIR: runs the journal in DIR backwards and removes DIR.
undo_play() {
	local lines i
	{ mapfile -t lines <"$1/undo"; } 2>/dev/null || {
		printf 'bench: cannot read %s: what it says is not undone; see to it by hand, then remove %s\n' "$1/undo" "$1" >&2
		return 1
	}
	for ((i = ${#lines[@]} - 1; i >= 0; i--)); do
		eval "${lines[i]}" </dev/null || printf 'bench: could not undo: %s\n' "${lines[i]}" >&2
	done
	rm -rf "$1"
}

undo_recover() {
	local dir owner exit_status=137 # what its owner died of
	for dir in "$STATE_ROOT"/*/; do
		owner=$(cat "$dir/owner" 2>/dev/null) || continue # it has just gone
		! process_alive "$owner" || continue
		note "cleaning up after an earlier run that was killed (${dir%/})"
		undo_play "${dir%/}" || exit "$EXIT_INCONCLUSIVE"
	done
}

# A process is known by its PID and its start time, so that a recycled PID is never mistaken for it.
process_identity() {
	local stat
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null && [[ -n $stat ]] || return 1 # gone, or while it was read
	# shellcheck disable=SC2086 # a list of words
	set -- "$1" ${stat##*) }
	[[ $2 != Z ]] || return 1 # dead; only its parent has not looked yet
	printf '%s:%s\n' "$1" "${21}"
}

process_alive() {
	[[ -n $1 && $(process_identity "${1%%:*}") == "$1" ]]
}

process_dead() {
	! process_alive "$1"
}

# process_stop IDENTITY: SIGTERM, then SIGKILL if that has not helped after 5 s.
process_stop() {
	process_alive "$1" || return 0
	kill -TERM "${1%%:*}" 2>/dev/null || return 0
	poll 5 process_dead "$1" || kill -KILL "${1%%:*}" 2>/dev/null || true
}

command_clean() {
	(($# == 0)) || refuse "unexpected argument '$1'"
	host_require_root clean
	host_lock
	undo_recover
}
