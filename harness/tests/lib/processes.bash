# shellcheck shell=bash
# processes: programs that a test starts in a node, in the foreground or behind it; what is waited for is polled, within a
# bound that only what is broken reaches.

# at NODE COMMAND...: in the foreground; ended when it takes far too long, killed if it does not end then.
at() {
	timeout --foreground --kill-after=20 "$PATIENCE_S" ip netns exec "$(namespace "$1")" "${@:2}" 3>&-
}

# ip_at NODE ARGUMENT...: the ip command.
ip_at() {
	ip -n "$(namespace "$1")" "${@:2}"
}

# spawn NAME NODE COMMAND...: in the background; output in $WORK/NAME.out, errors in $WORK/NAME.log.
spawn() {
	rm -f "$WORK/$1.out" "$WORK/$1.log" # ready() must not find what an earlier one has said
	in_node "$2" "${@:3}" >"$WORK/$1.out" 2>"$WORK/$1.log" 3>&- &
	PROCESS[$1]=$(process_identity $!)
	undo_push process_stop "${PROCESS[$1]}"
}

pid_of() {
	printf '%s' "${PROCESS[$1]%%:*}"
}

# signal SIGNAL NAME: to the process; STOP and CONT to its children as well, the relay's workers.
signal() {
	local child
	kill "-$1" "$(pid_of "$2")"
	[[ $1 == STOP || $1 == CONT ]] || return 0
	for child in $(children "$2"); do
		kill "-$1" "$child"
	done
}

# The processes that NAME has started.
children() {
	local pid=${PROCESS[$1]%%:*} pids
	read -ra pids <"/proc/$pid/task/$pid/children" || [[ -n ${pids[*]} ]] || return 1
	printf '%s' "${pids[*]}"
}

# stopped PID: by SIGSTOP, all of its threads.
stopped() {
	local file stat
	for file in /proc/"$1"/task/*/stat; do
		read -r stat <"$file"
		[[ ${stat##*) } == T* ]] || return 1
	done
}

# wait_for NAME: until it ends by itself; its exit status is in EXIT[NAME].
wait_for() {
	poll "$PATIENCE_S" ended "$1" || fail "$1 has not ended after $PATIENCE_S s"
	EXIT[$1]=0
	wait "$(pid_of "$1")" || EXIT[$1]=$?
}

# stop NAME [SIGNAL]
stop() {
	signal "${2:-TERM}" "$1"
	wait_for "$1"
}

# ended NAME: as process_dead, of what this shell has started and not waited for.
ended() {
	local identity=${PROCESS[$1]} fields
	read -ra fields 2>/dev/null <"/proc/${identity%%:*}/stat" || return 0
	fields=("${fields[@]: -50}") # from the state on, whatever its name is
	[[ ${fields[0]} == Z || ${fields[19]} != "${identity##*:}" ]]
}

# ready NAME PATTERN: until PATTERN, an extended regular expression, is found in a line of its output or log.
ready() {
	poll "$PATIENCE_S" ready_or_dead "$1" "$2" || true
	said "$1" "$2" || fail "$1 did not start: $(<"$WORK/$1.log")"
}

ready_or_dead() {
	said "$1" "$2" || ended "$1"
}

# said NAME PATTERN
said() {
	local file line lines
	for file in "$WORK/$1.log" "$WORK/$1.out"; do
		[[ -s $file ]] || continue
		mapfile -t lines <"$file"
		for line in "${lines[@]}"; do
			[[ ! $line =~ $2 ]] || return 0
		done
	done
	return 1
}

# poll SECONDS COMMAND...: in place of the harness' own, which looks less often.
poll() {
	local poll_until poll_now pauses=(0.001 0.002 0.004 0.008 0.016) i=0
	uptime_ms poll_now
	poll_until=$((poll_now + $1 * 1000))
	shift
	until "$@"; do
		uptime_ms poll_now
		((poll_now < poll_until)) || return 1
		pause "${pauses[i]:-0.03}"
		((++i))
	done
}

# eventually COMMAND...: fails the test unless COMMAND succeeds at last.
eventually() {
	poll "$PATIENCE_S" "$@" || fail "not within $PATIENCE_S s: $*"
}

# same COMMAND VALUE: what COMMAND prints is VALUE, for eventually.
same() {
	[[ $("${@:1:$#-1}") == "${!#}" ]]
}

at_least() {
	(($("${@:1:$#-1}") >= ${!#}))
}

# A program built with a sanitizer keeps what it has freed, and runs without a sandbox.
is_sanitized() {
	grep -qE '__[at]san_init' "$1"
}

# assert_one_line PATTERN: the last `run --separate-stderr` said exactly one line on stderr, which matches.
assert_one_line() {
	# shellcheck disable=SC2154 # set by bats' run
	assert_equal "${#stderr_lines[@]} line: $stderr" "1 line: $stderr"
	[[ $stderr =~ $1 ]] || fail "found on stderr '$stderr', expected '$1'"
}
