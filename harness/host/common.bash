# shellcheck shell=bash
# common: exit codes, messages, and the one way in which the harness changes the system.

# As verdict/outcome.py has them.
readonly EXIT_PASS=0 EXIT_REGRESSION=3 EXIT_INCONCLUSIVE=4 EXIT_INVALID=5 EXIT_USAGE=64
readonly EXIT_MORE=10 # of a judge that has no verdict yet

# die CODE MESSAGE: one line on stderr, then exit (which undoes everything).
die() {
	progress_end
	printf 'bench: %s\n' "${*:2}" >&2 || true # the status says it, too
	exit "$1"
}

note() {
	progress_end
	printf 'bench: %s\n' "$*" >&2 || true
}

# unexpected STATUS COMMAND PLACE: a failure that nothing has a better message for.
unexpected() {
	((BASH_SUBSHELL == 0 && $1 != 141)) || return 0 # a reader that has seen enough
	# what ended in $( ) with a status of ours has said why
	[[ $2 != *'$('* || ! $1 =~ ^($EXIT_INCONCLUSIVE|$EXIT_INVALID|$EXIT_USAGE)$ ]] || return 0
	note "stopped at $3: '${2%%$'\n'*}' failed (exit $1); if neither the disk nor a missing program explains" \
		"it, it is a defect of the harness"
}

# progress TEXT: what is going on. One rewritten line on a terminal, a line each elsewhere.
progress() {
	progress_text=$1
	if [[ -t 2 ]]; then
		progress_detail ''
	else
		printf '%s\n' "$1" >&2 || true # a full disk under a log ends no measurement
	fi
}

# progress_detail TEXT: what is going on within that. Only on a terminal.
progress_detail() {
	[[ -t 2 ]] || return 0
	printf '\r\033[K%s%s' "${progress_text:-}" "${1:+: $1}" >&2
	progress_open=1
}

progress_end() {
	[[ -z ${progress_open:-} ]] || printf '\r\033[K' >&2
	progress_open=
}

# run COMMAND...: changes something on this host. Logged; the caller has pushed its undo.
run() {
	local output
	state_add commands "$@"
	output=$("$@" 2>&1) || die "$EXIT_INCONCLUSIVE" \
		"'$*' failed: ${output%%$'\n'*}; everything before it is undone"
}

# python MODULE ARGUMENT...: a module of the package harness.
python() {
	/usr/bin/python3 "$HARNESS/start.py" "$@"
}

# print FORMAT ARGUMENT...: what was asked for. (What is said beside a result goes through `say`.)
print() {
	# shellcheck disable=SC2059 # it is one
	{ printf "$@"; } 2>/dev/null || die "$EXIT_INCONCLUSIVE" "cannot print: is the disk under standard output full?"
}

# save FILE COMMAND...: keeps what COMMAND prints in FILE. COMMAND is a process of its own, which its first failure ends:
# before `||`, bash would go on behind each.
save() {
	"${@:2}" >"$1" &
	wait $! || save_failed "$@"
}

save_failed() {
	[[ -w $1 && $(free_mb "${1%/*}") -gt 0 ]] || die "$EXIT_INCONCLUSIVE" \
		"cannot write $1; see whether its disk is full, or name another folder with --results"
	die "$EXIT_INVALID" "$1 is not complete: '${*:2}' failed"
}

# free_mb FOLDER: on its disk; nothing when that cannot be told.
free_mb() {
	df --output=avail -B1M -- "$1" 2>/dev/null | tail -1
}

# no_verdict STATUS [WORDS]: of a judge that has left no document. A disk that is full is no fault of what was measured, and was
# told; a judge that crashes has judged nothing.
no_verdict() {
	case $1 in
	"$EXIT_INCONCLUSIVE") exit "$1" ;;
	"$EXIT_PASS" | "$EXIT_REGRESSION" | "$EXIT_INVALID") die "$EXIT_INVALID" "${2:-no verdict was reached}" ;;
	*) die "$1" "${2:-no verdict was reached}: what was to judge it crashed (exit $1)" ;;
	esac
}

# seconds MS: "2 s", "0.5 s"
seconds() {
	local text
	text=$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))
	while [[ $text == *[.]*0 ]]; do text=${text%0}; done
	printf '%s s' "${text%.}"
}

# uptime_ms VARIABLE: how long the machine has been running; for all that is waited for, or takes a time. Somebody may set
# the machine's clock meanwhile, and bash's SECONDS and EPOCHREALTIME with it. Without a process.
uptime_ms() {
	local -n uptime_found=$1
	local uptime_s
	read -r uptime_s _ </proc/uptime # "4711.23"
	uptime_found=$((10#${uptime_s/./} * 10))
}

# clock_s: seconds, for a budget of time. For tests, BENCH_CLOCK names a file that tells the time; a verdict tells of that.
clock_s() {
	local ms
	if [[ -n ${BENCH_CLOCK:-} ]]; then
		cat "$BENCH_CLOCK"
	else
		uptime_ms ms
		printf '%s' $((ms / 1000))
	fi
}

# pause SECONDS: without a process, which would run where we measure.
pause() {
	[[ -n ${never_fd:-} ]] || exec {never_fd}<> <(:)
	read -rt "$1" -u "$never_fd" || true
}

# poll SECONDS COMMAND...: until COMMAND succeeds; fails when the time is over. Tests, whose machine may be busy with others,
# have BENCH_PATIENCE times as much of it.
poll() {
	local poll_until poll_now
	uptime_ms poll_now
	poll_until=$((poll_now + $1 * ${BENCH_PATIENCE:-1} * 1000))
	shift
	until "$@"; do
		uptime_ms poll_now
		((poll_now < poll_until)) || return 1
		pause 0.02
	done
}

# last_words LOG: of a program that failed.
last_words() {
	local words
	words=$(grep -v '^\[STATS' "$1" | tail -1) || true
	printf '%s' "${words:-not a word in $1}"
}
