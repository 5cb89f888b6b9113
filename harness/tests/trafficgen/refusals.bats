#!/usr/bin/env bats
# What trafficgen cannot do it refuses: one line on stderr that says what and where; exit status 64
# for a wrong command line, 1 otherwise; and nothing is left behind.

# shellcheck disable=SC2154 # stderr is set by bats' run
load ../lib/testbed

setup_file() {
	testbed build
}

build() {
	node gen && node sink
	link gen out0 10.77.1.1 sink in0 10.77.1.2
}

SEND=(send --interface 10.77.1.1 --group "$GROUP_IN" --port 5000 --rate 1000)
RECV=(recv --interface 10.77.1.1 --group "$GROUP_IN" --port 5000)

# refuses STATUS PATTERN [ARGUMENT]...: trafficgen with these arguments, at gen; a wrong command line (64) is
# refused anywhere.
refuses() {
	local node=(at gen)
	(($1 != 64)) || node=()
	run --separate-stderr -"$1" "${node[@]}" "$TRAFFICGEN" "${@:3}"
	assert_one_line "$2"
	assert_output ''
	assert_no_files
}

assert_no_files() {
	local files
	shopt -s nullglob globstar dotglob
	files=("$WORK"/**/*)
	shopt -u nullglob globstar dotglob
	assert_equal "${files[*]}" ''
}

mount_small() {
	mkdir "$WORK/small"
	undo_push umount "$WORK/small"
	mount -t tmpfs -o size=4k tmpfs "$WORK/small"
	head -c 4096 /dev/zero >"$WORK/small/ballast"
}

@test "no or an unknown command, option, value: exit status 64" {
	refuses 64 "^trafficgen: expected a command; see 'trafficgen --help'$"
	refuses 64 "^trafficgen: unknown command 'frobnicate'" frobnicate
	refuses 64 "^trafficgen send: unknown or ambiguous option '--nonsense'; see 'trafficgen send --help'$" \
		"${SEND[@]}" --nonsense
	refuses 64 "^trafficgen recv: unknown or ambiguous option '--nonsense'" "${RECV[@]}" --nonsense
	refuses 64 "unexpected argument 'x'" "${RECV[@]}" x
	refuses 64 '--size needs a value' "${SEND[@]}" --size
	refuses 64 '--interface IP is missing' send
	refuses 64 '--interface IP is missing' recv
	refuses 64 '--count N or --duration SECONDS is missing' "${SEND[@]}"
}

@test "a value out of its range: exit status 64" {
	local pair
	for pair in rate=-1 count=0 gso=0 gso=65 batch=0 flows=65537 threads=257 \
		ttl=0 ttl=256 port=0 port=65536 sndbuf=1 sample-ms=0 count=1e6 count=; do
		refuses 64 "^trafficgen send: --${pair%=*}: '${pair#*=}' is not a whole number from [0-9]+ to [0-9]+" \
			"${SEND[@]}" --count 1 "--${pair%=*}" "${pair#*=}"
	done
	for pair in ports=0 batch=1025 rcvbuf=1 max-size=17 busy-poll=10001; do
		refuses 64 "^trafficgen recv: --${pair%=*}: '${pair#*=}' is not a whole number" \
			"${RECV[@]}" "--${pair%=*}" "${pair#*=}"
	done
	refuses 64 "--duration: '-1' is not a time from" "${SEND[@]}" --duration -1
	refuses 64 "--duration: '1.2345' is not a time from" "${SEND[@]}" --duration 1.2345
	refuses 64 "^trafficgen recv: --gro: 'maybe' is neither on nor off" "${RECV[@]}" --gro maybe
	refuses 64 "--group: 'video' is not an IPv4 address" "${SEND[@]}" --count 1 --group video
	refuses 64 "--json: expected FILE, found an empty string" "${SEND[@]}" --count 1 --json ''
}

@test "sizes that are none: exit status 64" {
	local sizes
	for sizes in 0 65508 -1 x7 64x 64x0 '64,' 64,,65 64x7x2 '64 ' 1e3 IMIX imix,64; do
		refuses 64 "^trafficgen send: --size: '$sizes' is not a number of bytes from 1 to 65507" \
			"${SEND[@]}" --count 1 --size "$sizes"
	done
	refuses 64 "--size: '64x4096,65' repeats after more than 4096 packets" \
		"${SEND[@]}" --count 1 --size 64x4096,65
}

@test "options that contradict each other: exit status 64" {
	refuses 64 '--flows 1 leaves threads without work' "${SEND[@]}" --count 9 --flows 1 --threads 2
	refuses 64 '--port-step 60536 takes the last flow past port 65535' \
		"${SEND[@]}" --count 9 --flows 2 --port-step 60536
	refuses 64 '--burst needs a --rate' "${SEND[@]}" --count 9 --rate 0 --burst 8
	refuses 64 '--first-flow 65535 numbers the last of 2 flows past 65535' \
		"${SEND[@]}" --count 9 --flows 2 --first-flow 65535
	refuses 64 '--rate is lower than one packet per second and thread' \
		"${SEND[@]}" --count 9 --threads 2 --rate 1
	# one each is enough
	refuses 64 '--verify needs' "${SEND[@]}" --count 9 --threads 2 --rate 2 --size 17 --verify
	refuses 64 '--verify needs a --size of 18 bytes or more' "${SEND[@]}" --count 9 --size 1400,17 --verify
	refuses 64 '--ports 65535 goes past port 65535' "${RECV[@]}" --ports 65535
	refuses 64 '--busy-poll works with one port only' "${RECV[@]}" --ports 2 --busy-poll 50
}

@test "--help and --version print to stdout and exit with 0" {
	local word
	for word in '' send recv; do
		run --separate-stderr -0 "$TRAFFICGEN" $word --help
		assert_output --partial 'Usage: trafficgen'
		assert_equal "$stderr" ''
	done
	run --separate-stderr -0 "$TRAFFICGEN" --version
	assert_output --regexp '^trafficgen [0-9]+\.[0-9]+\.[0-9]+$'
}

@test "an address that is not on this host" {
	refuses 1 "^trafficgen send: cannot send from 10.9.9.9: no interface has this address; see 'ip -4 addr'$" \
		"${SEND[@]}" --count 1 --interface 10.9.9.9
	refuses 1 '^trafficgen recv: cannot receive on 10.9.9.9: no interface has this address' \
		"${RECV[@]}" --interface 10.9.9.9
	refuses 1 '^trafficgen recv: cannot listen on 10.9.9.9:5000: .*neither a multicast group nor an address of this host' \
		"${RECV[@]}" --group 10.9.9.9
}

@test "a report that cannot be written is refused before anything is sent" {
	local before
	before=$(tx_packets gen out0)
	refuses 1 "^trafficgen send: cannot write the report $WORK/no/x.json: No such file or directory" \
		"${SEND[@]}" --count 1 --json "$WORK/no/x.json"
	refuses 1 "^trafficgen recv: cannot write the report $WORK: Is a directory" "${RECV[@]}" --json "$WORK"
	assert_equal "$(tx_packets gen out0)" "$before"
}

@test "a report in the place of a symbolic link or a FIFO is refused" {
	local before name
	before=$(tx_packets gen out0)
	ln -s other "$WORK/link"
	mkfifo "$WORK/fifo"
	for name in link fifo; do
		run --separate-stderr -1 at gen "$TRAFFICGEN" "${SEND[@]}" --count 1 --json "$WORK/$name"
		assert_one_line "^trafficgen send: cannot write the report $WORK/$name: it is a (symbolic link|FIFO)"
	done
	[[ ! -e $WORK/other ]] || fail "the link was followed"
	assert_equal "$(tx_packets gen out0)" "$before"
}

@test "a disk that is full at the end: one line, exit status 1, the summary is printed" {
	mount_small
	run --separate-stderr -1 at gen "$TRAFFICGEN" "${SEND[@]}" --count 5 --json "$WORK/small/send.json"
	assert_one_line "^trafficgen send: cannot write the report $WORK/small/send.json: No space left on device$"
	assert_output --partial 'Total packets sent: 5'
	run --separate-stderr -1 at sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" \
		--port 5000 --duration 0.05 --json "$WORK/small/recv.json"
	assert_one_line "^trafficgen recv: cannot write the report $WORK/small/recv.json: No space left on device$"
	assert_output --partial 'Received:     0 packets'
	assert_equal "$(ls "$WORK/small")" ballast
}

# With standard output on a full disk.
send_to_full() {
	at gen "$TRAFFICGEN" "${SEND[@]}" --count 5 >/dev/full
}

@test "standard output on a full disk: one line, exit status 1" {
	run --separate-stderr -1 send_to_full
	assert_one_line '^trafficgen: cannot write to standard output: No space left on device$'
}

@test "a port that another program has for itself" {
	spawn squatter sink /usr/bin/python3 -c "import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 5000))
print('ready', flush=True); signal.pause()"
	ready squatter '^ready'
	run --separate-stderr -1 at sink "$TRAFFICGEN" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000
	assert_one_line "^trafficgen recv: cannot listen on $GROUP_IN:5000: Address already in use; see 'ss -uanp'"
}

@test "without privileges it sends and receives all the same" {
	local copy
	copy=$(mktemp -d /tmp/mcrelay-test.XXXXXX) # where anybody may look
	undo_push rm -rf "$copy"
	install -m 755 "$TRAFFICGEN" "$copy/trafficgen"
	chmod 755 "$copy"
	run --separate-stderr -0 at gen setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$copy/trafficgen" "${SEND[@]}" --count 5
	assert_output --partial 'Total packets sent: 5'
	run --separate-stderr -0 at sink setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$copy/trafficgen" recv --interface 10.77.1.2 --group "$GROUP_IN" --port 5000 --duration 0.05 \
		--rcvbuf 1000000000
	assert_one_line 'asked for a receive buffer of 1000000000 bytes, got [0-9]+; run as root or raise net.core.rmem_max$'
}
