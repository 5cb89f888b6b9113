# shellcheck shell=bash
# undo: beside each change to the host, its undo is written to a journal under /run before the change
# is made. The journal is played backwards at exit, whatever the reason; should this process be
# killed outright, the next one finds the journal of a dead owner and plays it.

readonly STATE_ROOT=${STATE_ROOT:-/run/mcrelay-bench} # the tests of the relay have another one

# undo_open NAME [OWNER]: a journal ($STATE) that OWNER, a PID (default: this process), plays in the end. It is there
# with its owner or not at all.
undo_open() {
	local new=$STATE_ROOT/.$1
	mkdir -p "$STATE_ROOT"
	undo_recover
	STATE=$STATE_ROOT/$1
	rm -rf "$new"
	mkdir "$new"
	process_identity "${2:-$$}" >"$new/owner"
	: >"$new/undo"
	mv -T "$new" "$STATE"
}

undo_push() {
	printf '%s\n' "${*@Q}" >>"$STATE/undo" # in one piece: two runs at a time share the journal
}

# undo_play DIR: runs the journal in DIR backwards and removes DIR.
undo_play() {
	local line
	while IFS= read -r line; do
		eval "$line" </dev/null || printf 'bench: could not undo: %s\n' "$line" >&2
	done < <(tac "$1/undo")
	rm -rf "$1"
}

undo_recover() {
	local dir owner exit_status=137 # what its owner died of
	for dir in "$STATE_ROOT"/*/; do
		owner=$(cat "$dir/owner" 2>/dev/null) || continue # it has just gone
		! process_alive "$owner" || continue
		note "cleaning up after an earlier run that was killed (${dir%/})"
		undo_play "${dir%/}"
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
