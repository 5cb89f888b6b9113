# shellcheck shell=bash
# guard: a bench that measures is two processes. The one that was called starts the other one, which does the work in
# a process group of its own, and waits. A signal ends that whole group at once: nothing in it has to catch a signal
# or ask whether it was one that a child of it died of (a bash that is parsing or reading when a trap runs can end with
# any status, or abort). Whatever it ended of, the guard then plays its journal, and says what it ended of.

guard_caught= # the status of a signal: 128 + its number
guard_child=

# guard ARGUMENT...: returns in the process that does the work.
guard() {
	local status=0
	if [[ ${BENCH_GUARD:-} == "$PPID "* ]]; then # "PID FD"
		RUN_ID=$PPID lock_fd=${BENCH_GUARD#* }
		[[ -n $lock_fd ]] || unset lock_fd
		unset BENCH_GUARD
		return
	fi
	set +Ee
	trap 'guard_catch 129' HUP
	trap 'guard_catch 130' INT
	trap 'guard_catch 141' PIPE
	trap 'guard_catch 143' TERM
	trap '' TTOU # it writes to a terminal from the background
	((EUID != 0)) || host_lock_open
	set -m
	BENCH_GUARD="$$ ${lock_fd:-}" setpriv --pdeathsig TERM -- "$HARNESS/bench" "$@" &
	guard_child=$!
	set +m
	[[ -z $guard_caught ]] || guard_stop TERM
	while true; do
		status=0
		# not -f: bash 5.2 then waits for ever for a child of which a trap has made it lose the record
		wait "$guard_child" || status=$?
		[[ -d /proc/$guard_child ]] || break # else a signal has ended the wait
	done 2>/dev/null # "Terminated"
	trap '' HUP INT PIPE TERM # once more Ctrl-C does not stop the cleaning
	guard_clean "${guard_caught:-$status}"
	exit "${guard_caught:-$status}"
}

guard_catch() {
	guard_caught=$1
	[[ -z $guard_child ]] || guard_stop TERM
}

guard_stop() {
	kill "-$1" -- "-$guard_child" 2>/dev/null || true
}

# guard_clean STATUS: what is left of the group ends, and what the journal says is undone.
guard_clean() {
	exit_status=$1
	[[ ! -t 2 || $1 -le 128 ]] || printf '\r\033[K' >&2 # a line of progress
	if ! guard_alone; then
		guard_stop TERM
		poll 5 guard_alone || guard_stop KILL
	fi
	[[ ! -d $STATE_ROOT/$$ ]] || undo_play "$STATE_ROOT/$$"
}

# Nothing of the group is left but what waits for its parent to look. A pgrep that fails has not said so.
guard_alone() {
	local status=0
	pgrep --pgroup "$guard_child" --runstates D,R,S,T,t,I >/dev/null || status=$?
	((status == 1))
}
