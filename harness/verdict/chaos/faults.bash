# shellcheck shell=bash
# faults: what `bench chaos` does to the relay of r1, or to its host. Each fault NAME has chaos_begin_NAME and chaos_end_NAME, which
# run while packets flow, and perhaps chaos_before_NAME, before the relay starts.

# name|goes on within so many ms of the fault's end|meanwhile packets: keep (flow on), may stop|where packets may be lost, see chaos.py|
# what happens
readonly CHAOS_FAULTS='
worker-killed|1000|may-stop|worker_died unseen buffer_exhaustion|the worker is killed
supervisor-stopped|1000|keep||the supervisor stands still (SIGSTOP), and goes on
input-down|2000|may-stop|before unseen buffer_exhaustion|the interface that packets come in by goes down, and up
output-down|2000|may-stop|egress_errors behind no_match unseen|the interface that packets leave by goes down, and up
output-unreachable|2000|may-stop|egress_errors behind no_match unseen|the other end of the output goes down, and up
input-deleted|2000|may-stop|before unseen buffer_exhaustion|the input is deleted, and made anew
output-deleted|2000|may-stop|egress_errors behind no_match unseen|the output is deleted, and made anew
input-renamed|2000|may-stop|unseen buffer_exhaustion|the input gets another name, and its own again
output-renamed|2000|may-stop|egress_errors behind no_match unseen|the output gets another name, and its own again
input-moved|2000|may-stop|before unseen buffer_exhaustion|the input goes to another network namespace, and comes back
output-mtu-lowered|2000|keep||the MTU of the output is less than a packet, which leaves in fragments, and as it was again
output-address-changed|2000|may-stop|egress_errors|the output gets another address
cpu-taken|1000|may-stop|buffer_exhaustion|a cgroup leaves the relay 2 % of a CPU
memory-tight|1000|keep|buffer_exhaustion|a cgroup leaves the relay the memory that it has, and 4 MiB
uring-refused|1000|keep||io_uring is forbidden; the relay is started without it
bpf-refused|1000|keep||bpf(2) is forbidden; the relay is started without --exclusive
control-flooded|1000|keep|buffer_exhaustion|clients ask the control socket as fast as they can
disk-full|1000|keep||the disk is full that statistics are written to
clock-stepped|1000|keep||the wall clock of the relay goes back by a day, and forward again
rules-nonsense|1000|keep||the rule file becomes nonsense, and the relay is told to read it'

chaos_names() {
	cut -d'|' -f1 <<<"$CHAOS_FAULTS" | sed '/^$/d'
}

# chaos_field NAME NUMBER: of the table above.
chaos_field() {
	grep "^$1|" <<<"$CHAOS_FAULTS" | cut -d'|' -f"$2"
}

# in_r1 COMMAND...: ip, in the relay's namespace
in_r1() {
	ip -n "$(namespace r1)" "$@"
}

chaos_supervisor() {
	printf '%s' "${SUT[r1]%%:*}"
}

# The PIDs of the relay, the supervisor first.
chaos_processes() {
	printf '%s\n' "$(chaos_supervisor)"
	pgrep -P "$(chaos_supervisor)" | sort -n || true
}

chaos_begin_worker-killed() {
	kill -KILL "$(pgrep -P "$(chaos_supervisor)" | head -1)"
}

chaos_begin_supervisor-stopped() {
	kill -STOP "$(chaos_supervisor)"
}

chaos_end_supervisor-stopped() {
	kill -CONT "$(chaos_supervisor)"
}

chaos_begin_input-down() {
	in_r1 link set in0 down
}

chaos_end_input-down() {
	in_r1 link set in0 up
}

chaos_begin_output-down() {
	in_r1 link set out0 down
}

chaos_end_output-down() {
	in_r1 link set out0 up
}

chaos_begin_output-unreachable() {
	ip -n "$(namespace sink)" link set port down
}

chaos_end_output-unreachable() {
	ip -n "$(namespace sink)" link set port up
}

chaos_begin_input-deleted() {
	chaos_count gone r1:in0
	in_r1 link del in0
}

chaos_end_input-deleted() {
	segment_plug gen out0 r1 in0 10.77.1.2
}

chaos_begin_output-deleted() {
	chaos_count gone r1:out0
	in_r1 link del out0
}

chaos_end_output-deleted() {
	segment_plug sink in0 r1 out0 10.77.2.1
}

chaos_begin_input-renamed() {
	in_r1 link set in0 name elsewhere
}

chaos_end_input-renamed() {
	in_r1 link set elsewhere name in0
}

chaos_begin_output-renamed() {
	in_r1 link set out0 name elsewhere
}

chaos_end_output-renamed() {
	in_r1 link set elsewhere name out0
}

# An interface loses its addresses when it moves, and is down.
chaos_begin_input-moved() {
	in_r1 link set in0 netns "$(namespace sink)" name moved
}

chaos_end_input-moved() {
	ip -n "$(namespace sink)" link set moved netns "$(namespace r1)" name in0
	in_r1 addr add 10.77.1.2/24 dev in0
	in_r1 link set in0 up
}

chaos_begin_output-mtu-lowered() {
	in_r1 link set out0 mtu 1000
}

chaos_end_output-mtu-lowered() {
	in_r1 link set out0 mtu 1500
}

chaos_begin_output-address-changed() {
	in_r1 addr del 10.77.2.1/24 dev out0
	in_r1 addr add 10.77.2.9/24 dev out0
}

# chaos_cgroup CONTROLLER: the path of a cgroup of ours, version 1 or 2, made if it is missing; its undo is in the journal.
chaos_cgroup() {
	local root=/sys/fs/cgroup
	[[ ! -d $root/$1 ]] || root+=/$1
	if [[ ! -d $root/mcrelay-$RUN_ID ]]; then
		undo_push chaos_cgroup_remove "$root/mcrelay-$RUN_ID"
		run mkdir "$root/mcrelay-$RUN_ID"
	fi
	printf '%s' "$root/mcrelay-$RUN_ID"
}

chaos_cgroup_remove() {
	local pid
	[[ -d $1 ]] || return 0
	while read -r pid; do
		printf '%s\n' "$pid" >"${1%/*}/cgroup.procs" || true
	done <"$1/cgroup.procs"
	rmdir "$1"
}

# chaos_confine CONTROLLER FILE VALUE
chaos_confine() {
	local group pid
	group=$(chaos_cgroup "$1")
	for pid in $(chaos_processes); do
		printf '%s\n' "$pid" >"$group/cgroup.procs"
	done
	printf '%s\n' "$3" >"$group/$2"
}

chaos_release() {
	local group
	group=$(chaos_cgroup "$1")
	chaos_cgroup_remove "$group"
}

chaos_begin_cpu-taken() {
	if [[ -d /sys/fs/cgroup/cpu ]]; then
		chaos_confine cpu cpu.cfs_quota_us 2000
	else
		chaos_confine cpu cpu.max '2000 100000'
	fi
}

chaos_end_cpu-taken() {
	chaos_release cpu
}

# What it has stays charged to where it was: this is what it may have besides.
chaos_begin_memory-tight() {
	if [[ -d /sys/fs/cgroup/memory ]]; then
		chaos_confine memory memory.limit_in_bytes 4194304
	else
		chaos_confine memory memory.max 4194304
	fi
}

chaos_end_memory-tight() {
	chaos_release memory
}

chaos_before_uring-refused() {
	SUT_WITHIN="$HARNESS/verdict/chaos/forbid.py io_uring_setup EPERM"
	SCENARIO[relay_options]+=' --egress sendmmsg'
}

chaos_before_bpf-refused() {
	SUT_WITHIN="$HARNESS/verdict/chaos/forbid.py bpf EPERM"
	SCENARIO[relay_options]=${SCENARIO[relay_options]//--exclusive/} # which it refuses to start with, then
}

chaos_begin_control-flooded() {
	python harness.verdict.chaos.flood "$(living_socket r1)" "$CHAOS_HOLD_MS" >"$CHAOS_RAW/flood.json"
}

chaos_before_disk-full() {
	undo_push chaos_unmount "$CHAOS_RAW"
	run mount -t tmpfs -o size=8M none "$CHAOS_RAW"
}

chaos_unmount() {
	! mountpoint -q "$1" || umount "$1"
}

chaos_begin_disk-full() {
	dd if=/dev/zero of="$CHAOS_RAW/full" bs=1M count=8 2>/dev/null || true
}

chaos_end_disk-full() {
	rm "$CHAOS_RAW/full"
}

chaos_before_clock-stepped() {
	run gcc -O1 -shared -fPIC -o "$STATE/clock.so" "$HARNESS/verdict/chaos/stepped_clock.c"
	printf 0 >"$STATE/clock"
	chmod 644 "$STATE/clock" "$STATE/clock.so"
	SUT_WITHIN="env LD_PRELOAD=$STATE/clock.so STEPPED_CLOCK=$STATE/clock"
}

chaos_begin_clock-stepped() {
	printf -- '-86400' >"$STATE/clock"
}

chaos_end_clock-stepped() {
	printf 86400 >"$STATE/clock"
}

chaos_begin_rules-nonsense() {
	cp "$CHAOS_RAW/r1.rules.json" "$CHAOS_RAW/r1.rules.kept"
	printf '{"rules": [{"id": 7, nonsense' >"$CHAOS_RAW/r1.rules.json"
	kill -HUP "$(chaos_supervisor)"
}

chaos_end_rules-nonsense() {
	cp "$CHAOS_RAW/r1.rules.kept" "$CHAOS_RAW/r1.rules.json"
	kill -HUP "$(chaos_supervisor)"
}
