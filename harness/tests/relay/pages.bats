#!/usr/bin/env bats
# Buffers of uring ingress are in huge pages where the machine has reserved some, else in normal ones;
# what they are in makes no difference to what is relayed. vm.nr_hugepages belongs to the whole host:
# it is changed for the time of a test, and put back whatever becomes of the test.

load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	topology single
}

# reserve N: N huge pages beyond those in use by others; skips the test where there are not so many.
reserve() {
	local used total
	total=$(sysctl -n vm.nr_hugepages)
	used=$((total - $(huge_pages Free)))
	undo_push sysctl -qw "vm.nr_hugepages=$total"
	sysctl -qw "vm.nr_hugepages=$((used + $1))"
	(($(huge_pages Free) == $1)) || skip "the kernel has not got $1 huge pages"
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

# relays KB TEXT OPTION...: KB of the buffers are in huge pages, as the log says; packets are relayed.
relays() {
	relay_start "$(rule one "in0:$GROUP_IN:5000" "out0:$GROUP_OUT:6000")" --ingress uring "${@:3}"
	assert_equal "$(worker_huge_kb)" "$1"
	assert_equal "$(grep -cF "[INFO:Ingress] buffers: $2" "$WORK/relay.log")" 1
	receive_start sink
	send --size 1400 --count 2000 --verify
	relay_finish
	receive_end sink
	assert_intact sink 2000
	assert_counters matched=2000 egress_sent=2000
	assert_ledger_closed
	rm "$WORK/relay.json"
}

@test "huge pages for all buffers: they are used, and free again afterwards" {
	reserve 4
	relays 8192 '1000 small, 500 standard, 200 jumbo; 8 of 8 MiB in huge pages'
	assert_equal "$(huge_pages Free)" 4
}

@test "two threads and a pool of other sizes" {
	reserve 4
	relays 8192 '1100 small, 16 standard, 16 jumbo; 8 of 8 MiB in huge pages' --thread-model split \
		--buffer-pool-small 1100 --buffer-pool-standard 16 --buffer-pool-jumbo 16
}

@test "huge pages for some classes of buffers: the others do without" {
	reserve 1
	relays 2048 '1000 small, 500 standard, 200 jumbo; 2 of 8 MiB in huge pages (vm.nr_hugepages has no more)'
}

@test "no huge pages: normal ones" {
	reserve 0
	relays 0 '1000 small, 500 standard, 200 jumbo; 0 of 8 MiB in huge pages (vm.nr_hugepages has no more)'
}
