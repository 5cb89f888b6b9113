# shellcheck shell=bash
# undo: beside each change to the host, its undo is written to a journal under /run before the change
# is made. The journal is played backwards at exit, whatever the reason; should this process be
# killed outright, the next one finds the journal of a dead owner and plays it.

readonly STATE_ROOT=/run/mcrelay-bench

# undo_begin: opens the journal ($STATE), cleans up after dead owners.
undo_begin() {
	mkdir -p "$STATE_ROOT"
	undo_recover
	STATE=$STATE_ROOT/$RUN_ID
	mkdir "$STATE"
	process_identity $$ >"$STATE/owner"
	: >"$STATE/undo"
	trap undo_end EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

undo_push() {
	printf '%s ' "${@@Q}" >>"$STATE/undo"
	printf '\n' >>"$STATE/undo"
}

# undo_play DIR: runs the journal in DIR backwards and removes DIR.
undo_play() {
	local line
	while IFS= read -r line; do
		eval "$line" || printf 'bench: could not undo: %s\n' "$line" >&2
	done < <(tac "$1/undo")
	rm -rf "$1"
}

undo_end() {
	exit_status=$?
	trap '' HUP INT TERM # once more Ctrl-C does not stop the cleaning
	progress_end
	undo_play "$STATE"
	exit "$exit_status"
}

undo_recover() {
	local dir
	for dir in "$STATE_ROOT"/*/; do
		[[ -f $dir/owner && -f $dir/undo ]] || continue
		process_alive "$(<"$dir/owner")" && continue
		note "cleaning up after an earlier run that was killed (${dir%/})"
		undo_play "${dir%/}"
	done
}

# A process is known by its PID and its start time, so that a recycled PID is never mistaken for it.
process_identity() {
	local stat
	{ stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
	set -- "$1" ${stat##*) }
	printf '%s:%s\n' "$1" "${21}"
}

process_alive() {
	[[ $(process_identity "${1%%:*}") == "$1" ]]
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
