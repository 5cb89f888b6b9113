#!/usr/bin/env bats
# Over links as they come, which carry aggregates whole, and with default options: rules that change, workers
# that are killed and interfaces that flap beside packets. The packets wait complete in the ring, of workers that
# are stopped, while all that happens; each has to leave, once and in order.

load ../lib/testbed
load ../lib/whole_links

setup_file() {
	testbed build
}

build() {
	topology single
	link r1 extra 10.77.9.1 gen spare 10.77.9.2
}

IN=in0:$GROUP_IN:5000
RULE=$(rule one "$IN" "out0:$GROUP_OUT:6000")
OTHER=(--input-interface in0 --input-group 239.255.1.9 --input-port)
BURST=512 # packets: fewer frames than a ring has slots of a kind

# begin [OPTION]...: a relay that nothing has been sent to.
begin() {
	relay_start "$RULE" "${CONTROL[@]}" "$@"
	BURSTS=0
}

# hold: no worker takes anything from now on; the supervisor goes on.
hold() {
	local pid
	for pid in $(children relay); do
		kill -STOP "$pid"
		eventually stopped "$pid"
	done
}

let_go() {
	local pid
	for pid in $(children relay); do
		kill -CONT "$pid" 2>/dev/null || true # one that was killed, and is no more
	done
}

# burst: in turn aggregates, and single packets.
burst() {
	local shapes=('--gso 16 --size 1400' '--batch 1 --size 100')
	# shellcheck disable=SC2086 # words
	send --verify --flows 8 --count "$BURST" ${shapes[BURSTS++ % 2]}
}

# relayed: each burst so far has left, once.
relayed() {
	eventually relay_counts egress_sent $((BURSTS * BURST))
}

# beside COMMAND...: with a burst in the ring, which arrives once, in order, not a byte changed.
beside() {
	local name
	receive_start sink
	hold
	burst
	"$@"
	let_go
	relayed
	receive_end sink
	assert_equal "received $(received sink)" "received $BURST"
	for name in lost duplicated reordered stale corrupt unverified foreign socket_drops; do
		assert_equal "$name $(received sink "$name")" "$name 0"
	done
}

# finish: the account of all bursts.
finish() {
	relay_stop
	assert_counters recv_packets=$((BURSTS * BURST)) matched=$((BURSTS * BURST)) egress_errors=0 buffer_exhaustion=0 \
		drop_worker_died=0 drop_truncated=0 drop_no_match=0
	(($(counter recv_frames) < BURSTS * BURST)) || fail 'no aggregate came whole'
	assert_ledger_closed
}

MODES=('' '--num-workers 2 --thread-model split')

add_rules() {
	ctl add --rule-id a "${OTHER[@]}" 5000 --outputs 239.1.1.1:6000:out0,239.1.1.2:6000:extra
	ctl add --rule-id b --input-interface extra --input-group "$GROUP_IN" --input-port 5000 --outputs 239.1.1.3:6000:out0
} >/dev/null

replace_rules() {
	ctl add --rule-id a "${OTHER[@]}" 5001 --outputs 239.1.1.4:6000:out0
	ctl add --rule-id b --input-interface extra --input-group "$GROUP_IN" --input-port 5001
} >/dev/null

remove_rules() {
	ctl remove --rule-id a
	ctl remove --rule-id b
} >/dev/null

@test "rules that come, change and go beside a full ring cost another rule nothing" {
	local mode change
	for mode in "${MODES[@]}"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		begin $mode
		for change in add_rules replace_rules remove_rules; do
			beside "$change"
		done
		finish
	done
}

@test "a rule that is replaced beside a full ring sends each packet once, by the old or by the new outputs" {
	local old new
	begin
	receive_start sink
	hold
	burst
	ctl add --rule-id one --input-interface in0 --input-group "$GROUP_IN" --input-port 5000 \
		--outputs 239.255.2.3:6000:out0 >/dev/null
	let_go
	relayed
	receive_end sink
	burst
	relayed
	relay_stop
	old=$(received sink) new=$(counter '.outputs[0].sent')
	((old == 0 || old == BURST)) || fail "$old packets went to the old output"
	assert_equal "$new" $((2 * BURST - old))
	assert_equal "$(received sink lost) $(received sink duplicated)" "0 0"
	assert_counters matched=$((2 * BURST)) egress_errors=0 drop_no_match=0
}

# What a worker has in hand when it is killed is lost; one that is stopped between two bursts has nothing.
kill_workers() {
	local pid identity
	for pid in $(children relay); do
		identity=$(process_identity "$pid")
		kill -KILL "$pid"
		eventually process_dead "$identity"
	done
}

@test "workers that are killed beside a full ring leave it to their successors, to the last packet" {
	local mode
	for mode in "${MODES[@]}"; do
		printf 'with %s\n' "$mode"
		# shellcheck disable=SC2086 # words
		begin $mode
		beside kill_workers
		eventually relay_counts '.workers | map([.restarts, .pid > 0]) | unique | tostring' '[[1,true]]'
		beside kill_workers
		finish
	done
}

@test "a relay that is killed beside a full ring is replaced by one that relays what comes next" {
	begin
	hold
	burst
	stop relay KILL
	begin
	beside true
	beside true
	finish
}

# What an interface is before and after.
link_up() {
	local state
	read -r _ state _ <<<"$(ip_at "$1" -br link show dev "$2")"
	[[ $state == UP ]]
}

both_up() {
	link_up gen out0 && link_up r1 in0 && link_up r1 out0 && link_up sink in0
}

# knows INTERFACE up: the relay does.
knows() {
	relay_report
	[[ $(counter ".interfaces[] | select(.name == \"$1\") | .up") == "$2" ]]
}

# flap NODE INTERFACE: an end of one of the relay's links, whose end INTERFACE of r1 is.
flap() {
	ip_at "$1" link set "$2" down
	eventually knows "$3" false
	ip_at "$1" link set "$2" up
	eventually both_up
	eventually knows "$3" true
}

input_flaps() {
	flap r1 in0 in0
}

input_loses_its_carrier() {
	flap gen out0 in0
}

output_flaps() {
	flap r1 out0 out0
}

output_loses_its_carrier() {
	flap sink in0 out0
}

input_changes_its_mtu() {
	ip_at r1 link set in0 mtu 3000
	ip_at r1 link set in0 mtu 1500
}

input_changes_its_address() {
	ip_at r1 addr add 10.99.0.1/24 dev in0
	ip_at r1 addr del 10.77.1.2/24 dev in0
	ip_at r1 addr add 10.77.1.2/24 dev in0
	ip_at r1 addr del 10.99.0.1/24 dev in0
}

@test "interfaces that flap beside a full ring: it is relayed, and what comes next" {
	local change
	begin
	for change in input_flaps input_loses_its_carrier output_flaps output_loses_its_carrier input_changes_its_mtu \
		input_changes_its_address; do
		printf '%s\n' "$change"
		beside "$change"
	done
	beside true
	finish
}
