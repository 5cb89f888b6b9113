#!/usr/bin/env bats
# The sandbox of workers, in each mode that they have: what they bring with them, what they may call, and what
# the relay needs of io_uring. Each system call by itself and each operation of an io_uring: test_sandbox, test_uring.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

RULE=$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")
SYSCALL=$TESTS/lib/syscall.py
FORBID=("$TESTS/../verdict/chaos/forbid.py" io_uring_setup)
OPENAT=257 # on x86-64, the only one that syscall.py knows

worker_pid() {
	children relay
}

# relays N: so many packets, all of them.
relays() {
	receive_start sink
	send --count "$1" --size 100 --verify
	relay_finish
	receive_end sink
	assert_intact sink "$1"
}

# count_urings PID
count_urings() {
	find "/proc/$1/fd" -lname 'anon_inode:\[io_uring\]' | wc -l
}

@test "a worker has an empty environment, and its standard descriptors are the log" {
	local pid fd
	! is_sanitized "$RELAY" || skip "a build with a sanitizer gets its options that way"
	relay_start "$RULE"
	pid=$(worker_pid)
	assert_equal "$(wc -c <"/proc/$pid/environ")" 0
	for fd in 0 1; do
		assert_equal "$(readlink "/proc/$pid/fd/$fd")" "$(readlink "/proc/$pid/fd/2")"
	done
	relay_stop
}

@test "in every mode a worker relays, and is killed for a call that relaying does not need" {
	local ingress egress model pid
	! is_sanitized "$RELAY" || skip "a build with a sanitizer has no sandbox"
	for ingress in ring uring; do
		for egress in uring sendmmsg; do
			for model in unified split; do
				relay_start "$RULE" --ingress "$ingress" --egress "$egress" --thread-model "$model"
				pid=$(worker_pid)
				run "$SYSCALL" "$pid" "$OPENAT"
				((status != 75)) || skip "cannot make another process call: $output"
				assert_success
				ready relay 'worker 0 was killed by signal 31 \(Bad system call\): its sandbox does not allow'
				ready relay 'starting worker 0 again'
				relays 20
			done
		done
	done
}

@test "--ingress ring --egress sendmmsg: no io_uring at all, also where it is forbidden" {
	local model
	for model in unified split; do
		RELAY_WRAPPER="${FORBID[*]} EPERM" relay_start "$RULE" --ingress ring --egress sendmmsg --thread-model "$model"
		assert_equal "$(count_urings "$(worker_pid)")" 0
		relays 100
	done
}

@test "io_uring is forbidden, or there is none: the relay says so and what to do, and ends" {
	local error
	rule_file "$RULE" >"$WORK/rules.json"
	for error in EPERM ENOSYS; do
		run --separate-stderr -1 at r1 "${FORBID[@]}" "$error" "$RELAY" --config "$WORK/rules.json"
		# shellcheck disable=SC2154 # of run
		assert_regex "$stderr" "\[ERROR:Worker\] cannot set up an io_uring .*--ingress ring --egress sendmmsg"
	done
}

@test "io_urings do not count against what root may lock" {
	RELAY_WRAPPER="prlimit --memlock=65536:65536" relay_start "$RULE" --num-workers 4
	relays 20
}
