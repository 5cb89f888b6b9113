#!/usr/bin/env bats
# Hosts that lack something: bench measures all the same, or says in one line what it lacks, ends with 4, and has changed nothing.

load ../lib/bench

# confined SCRIPT ARGUMENT...: bench, in a mount namespace of its own that SCRIPT prepares.
confined() {
	lock_free
	run --separate-stderr unshare --mount bash -euc "$1"'
		exec "$@"' - "$BENCH" "${@:2}"
	printf '%s\n' "$output" "$stderr"
}

# lacks PATTERN: one line, exit status 4, and nothing is left.
lacks() {
	assert_failure 4
	assert_output ''
	assert_said "$1"
	assert_nothing_left
	assert_no_namespace
	assert_equal "$(sysctls)" "$SYSCTLS"
}

@test "a host without IPv6 measures" {
	need_root
	# the settings of IPv6 in a namespace are hidden from the sysctl that is to change them there; then they are changed all the
	# same, for this host has IPv6, whose packets would be counted
	with_program ip '
		[[ "$1 $2 ${4:-}" != "netns exec sysctl" ]] || "$REAL" netns exec "$3" unshare --mount bash -c \
			'\''mount -t tmpfs none /proc/sys/net/ipv6 && exec "$@"'\'' - "${@:4}" || exit
		exec "$REAL" "$@"'
	measure run short
	assert_equal "$status" 0
	assert_equal "$(result .valid)" true
}

@test "settings of the host that are read-only, as in a container" {
	need_root
	PATH=${PATH#"$WORK/bin:"} # the real sysctl
	confined 'mount --bind /proc/sys /proc/sys
		mount -o remount,bind,ro /proc/sys' run short --results "$RESULTS"
	lacks "'sysctl -qw net.core.wmem_max=16777216' failed: sysctl: .*; everything before it is undone$"
	assert_equal "$(find "$STATE_ROOT" -mindepth 1 ! -name lock ! -name calibration.json)" ''
}

@test "settings of the host that are not there" {
	need_root
	rm "$WORK/sysctl/net.core.rmem_max"
	# shellcheck disable=SC2030,SC2031 # for this test
	SYSCTLS=$(sysctls)
	measure run short
	lacks "^bench: .*net.core.rmem_max.*: this host does not let its settings be read; in a container, run this on the host itself$"
}

@test "a /run that is read-only, with and without a folder of bench in it" {
	need_root
	local command
	for command in "run short --results $WORK/results" clean; do
		# shellcheck disable=SC2086 # words
		confined 'mount -t tmpfs none /run
			mount -o remount,ro /run' $command
		lacks "^bench: cannot create directory .*: Read-only file system; bench keeps there what it has to undo on this host: make /run writable$"
		# shellcheck disable=SC2086
		confined 'mount -t tmpfs none /run
			mkdir /run/mcrelay-bench
			mount -o remount,ro /run' $command
		lacks "^bench: cannot write /run/mcrelay-bench/lock, which keeps two measurements apart; make /run writable$"
	done
}

@test "a /run that is full" {
	need_root
	confined 'mount -t tmpfs -o size=64k none /run
		mkdir /run/mcrelay-bench
		cat /dev/zero >/run/filler 2>/dev/null || true' run short --results "$RESULTS"
	lacks "^bench: cannot keep in /run/mcrelay-bench what has to be undone: No space left on device; make it writable, or make room$"
}

@test "a /run that becomes full: no change without its undo" {
	run --separate-stderr bash -Eeuo pipefail -c 'source "$1/host/common.bash"
		STATE_ROOT=$2
		source "$1/host/undo.bash"
		STATE=$2
		ln -s /dev/full "$STATE/undo"
		undo_push touch "$2/undone"
		touch "$2/changed"' - "$HARNESS" "$WORK"
	lacks "cannot write $WORK/undo, without which nothing is changed on this host; is the disk under it full\?$"
	[[ ! -e $WORK/changed ]]
}

@test "what ends within \$( ) says why once, what nobody explains is a defect" {
	local ends
	for ends in 4 5 64; do
		run --separate-stderr bash -c 'set -Eeuo pipefail
			shopt -s inherit_errexit
			source "$1/host/common.bash"
			trap '\''unexpected $? "$BASH_COMMAND" here'\'' ERR
			name=$(die "$2" "it is so")' - "$HARNESS" "$ends"
		assert_failure "$ends"
		assert_said '^bench: it is so$'
	done
	run --separate-stderr bash -c 'set -Eeuo pipefail
		source "$1/host/common.bash"
		trap '\''unexpected $? "$BASH_COMMAND" here'\'' ERR
		name=$(grep -q nothing /dev/null)' - "$HARNESS"
	assert_failure 1
	assert_said '^bench: stopped at here: .*it is a defect of the harness$'
}

@test "a host where root may not see which program runs" {
	need_root
	with_program sha256sum '
		[[ $1 != /proc/*/exe ]] || { echo "sha256sum: $1: Permission denied" >&2; exit 1; }
		exec "$REAL" "$@"'
	measure run short
	assert_equal "$status" 4
	assert_among_said 'bench: which program runs as the relay of r1 cannot be told \(/proc/[0-9]*/exe: Permission denied\); run this where root may look at processes \(CAP_SYS_PTRACE\)'
	[[ $stderr != *'defect of the harness'* ]]
	assert_no_namespace
	# shellcheck disable=SC2031
	assert_equal "$(sysctls)" "$SYSCTLS"
}
