#!/usr/bin/env bats
# Buffers of uring ingress are in huge pages where the machine has reserved some, else in normal ones;
# what they are in makes no difference to what is relayed. vm.nr_hugepages belongs to the whole host:
# it is changed for the time of a test, by one test at a time, and put back whatever becomes of the test.
# Other relays may take and give back some meanwhile: what was measured then does not count.
# To itself: the host.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

# lock: until the end of the test. Where there is a /run for each file of tests, there is still only one of these.
lock() {
	local total fd
	exec {fd}</sys/kernel/mm/hugepages
	flock "$fd"
	total=$(sysctl -n vm.nr_hugepages)
	undo_push sysctl -qw "vm.nr_hugepages=$total"
}

# reserve N: N huge pages beyond those in use by others; skips the test where there are not so many.
reserve() {
	sysctl -qw "vm.nr_hugepages=$(($(used) + $1))"
	(($(huge_pages Free) == $1)) || sysctl -qw "vm.nr_hugepages=$(($(used) + $1))"
	(($(huge_pages Free) >= $1)) || skip "the kernel has not got $1 huge pages"
}

used() {
	printf '%s' $(($(huge_pages Total) - $(huge_pages Free)))
}

huge_pages() {
	awk -v field="HugePages_$1:" '$1 == field {print $2}' /proc/meminfo
}

# KiB of the worker's memory in pages of 2 MiB that were reserved.
worker_huge_kb() {
	local pid
	read -r pid < <(children relay)
	awk '/^KernelPageSize:/ {huge = $2 == 2048} /^Private_Hugetlb:/ && huge {kb += $2} END {print kb + 0}' \
		"/proc/$pid/smaps"
}

# undisturbed N KB OPTION...: a relay that starts with N free pages, and has KB of them or at least is the only one
# to have taken any; else there is another attempt.
undisturbed() {
	reserve "$1"
	relay_start "$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")" --ingress uring "${@:3}"
	[[ $(worker_huge_kb) != "$2" ]] || return 0
	(($(huge_pages Free) * 2048 + $(worker_huge_kb) != $1 * 2048)) || return 0
	relay_stop
	return 1
}

# relays N KB TEXT OPTION...: of N huge pages, the buffers have KB, as the log says; packets are relayed.
relays() {
	lock
	eventually undisturbed "$1" "$2" "${@:4}"
	assert_equal "$(worker_huge_kb)" "$2"
	assert_equal "$(grep -cF "[INFO:Ingress] buffers: $3" "$WORK/relay.log")" 1
	receive_start sink
	send --size 1400 --count 400 --verify
	relay_finish
	receive_end sink
	assert_intact sink 400
	assert_counters matched=400 egress_sent=400
	assert_ledger_closed
}

@test "huge pages for all buffers: they are used, and free again afterwards" {
	relays 4 8192 '1000 small, 500 standard, 200 jumbo; 8 of 8 MiB in huge pages'
	eventually at_least huge_pages Free 4
}

@test "two threads and a pool of other sizes" {
	relays 4 8192 '1100 small, 16 standard, 16 jumbo; 8 of 8 MiB in huge pages' --thread-model split \
		--buffer-pool-small 1100 --buffer-pool-standard 16 --buffer-pool-jumbo 16
}

@test "huge pages for some classes of buffers: the others do without" {
	relays 1 2048 '1000 small, 500 standard, 200 jumbo; 2 of 8 MiB in huge pages (vm.nr_hugepages has no more)'
}

@test "no huge pages: normal ones" {
	relays 0 0 '1000 small, 500 standard, 200 jumbo; 0 of 8 MiB in huge pages (vm.nr_hugepages has no more)'
}
