#!/usr/bin/env bats
# trafficgen through a Geneve tunnel: what goes in comes out, as a reader that shares no code with it sees it as well.
#
#   gen                sink: the endpoint, 10.77.1.2:6081
#   out0 ─────────▶ in0

load ../lib/testbed
load ../lib/json

setup_file() {
	testbed build
}

build() {
	node gen && node sink
	link gen out0 10.77.1.1 sink in0 10.77.1.2
	# nobody has to ask for it: each packet of the link is one of ours
	ip -n "$(namespace gen)" neigh replace 10.77.1.2 dev out0 lladdr "$(ip -n "$(namespace sink)" -j link show in0 | gojq -r '.[0].address')"
}

endpoint() {
	receive_start sink --group 10.77.1.2 --port 6081 --geneve
}

through() {
	send --geneve 10.77.1.2 --vni 7 "$@"
}

# datagrams HEX...: to the endpoint, through an ordinary socket.
datagrams() {
	at gen /usr/bin/python3 -c 'import socket, sys
out = socket.socket(type=socket.SOCK_DGRAM)
for text in sys.argv[1:]:
    out.sendto(bytes.fromhex(text.replace(" ", "")), ("10.77.1.2", 6081))' "$@"
}

@test "every packet comes out of the tunnel as it went in, of each size, in messages and one by one" {
	local gso
	for gso in 1 16; do
		endpoint
		through --size 18x3,64x5,576x2,1400 --count 440 --flows 4 --interleave --gso "$gso" --verify --gwlb-endpoint 9 --gwlb-endpoints 3
		receive_end sink
		assert_intact sink 440
		assert_json "$WORK/sink.json" .geneve.ok=440 .geneve.udp=440 .geneve.wrong_cookies=0 '[.flows[].flow]=[0,1,2,3]'
		assert_json "$WORK/send.json" '[.flows[].port]=[5000,5000,5000,5000]' .gso.fallback=false
	done
}

@test "what is on the wire, read by hand: header, options, the datagram inside" {
	local wire
	listen_start wire sink receive 10.77.1.2 10.77.1.2 6081
	through --size 18 --count 2 --flows 2 --interleave --batch 1 --port-step 1 --gwlb-endpoint 72623859790382856 --gwlb-endpoints 2 --first-flow 2 --ttl 3
	listen_end wire sink
	wire=$(/usr/bin/python3 - "$WORK/wire.out" <<-'END'
		import struct, sys
		for line in sorted(open(sys.argv[1])):
		    data = bytes.fromhex(line)
		    print(data[:8].hex(), *(f"{cls:x}.{kind}={body.hex()}" for cls, kind, body in (
		        (int.from_bytes(data[at:at + 2], "big"), data[at + 2], data[at + 4:at + 4 + data[at + 3] * 4]) for at in (8, 20, 32))))
		    ip = data[40:60]
		    print(ip[0], struct.unpack(">H", ip[2:4])[0], ip[8], ip[9], ".".join(map(str, ip[12:16])), ".".join(map(str, ip[16:20])),
		          hex(sum(struct.unpack(">10H", ip)) % 0xffff), *struct.unpack(">4H", data[60:68]), len(data))
	END
	)
	assert_equal "$wire" "0800080000000700 108.1=0102030405060708 108.2=0102030405060708 108.3=00000003
69 46 3 17 10.77.1.1 239.255.1.1 0x0 49154 5000 26 0 86
0800080000000700 108.1=0102030405060709 108.2=0102030405060709 108.3=00000004
69 46 3 17 10.77.1.1 239.255.1.1 0x0 49155 5001 26 0 86"
}

@test "what is no such packet is counted by its name, and is foreign" {
	local udp='4500001e 0000 0000 0411 0000 0a000001 ef010101 c000 1388 000a 0000 abcd'
	endpoint
	datagrams '00' '0000080000000700' '4000 0800 000007 00' '3f00 0800 000007 00' '0080 0800 000007 00' \
		'0100 0800 000007 00 0102 81 00' "0100 0800 000007 00 0102 01 00 $udp" '0100 0800 000007 00 0108 03 00' \
		'0100 0800 000007 00 0102 01 01' '0000 86dd 000007 00 6000' "0000 6558 000007 00 $udp" \
		'0000 0800 000007 00 4500001e 0000 0000 0406 0000 0a000001 ef010101 c0001388' '0000 0800 000007 00 6500'"${udp#4500}"
	receive_end sink
	assert_json "$WORK/sink.json" .received=0 .foreign=13 '.geneve | del(.ok)={"control":1,"critical_option":1,"cut":1,'\
'"not_ipv4":3,"not_udp":1,"option_cut":1,"option_length":1,"short":2,"udp":1,"version":1,"wrong_cookies":0}'
}

@test "a cookie that is another flow's is seen" {
	endpoint
	through --count 5 --size 100 --gwlb-endpoint 1
	listen_start wire sink receive 10.77.1.2 10.77.1.2 6082
	send --geneve 10.77.1.2 --geneve-port 6082 --count 1 --size 100 --gwlb-endpoint 1 --first-flow 3
	listen_end wire sink
	datagrams "$(sed 's/^\(.\{72\}\).\{8\}/\100000009/' "$WORK/wire.out")"
	receive_end sink
	assert_json "$WORK/sink.json" .received=6 .geneve.ok=6 .geneve.wrong_cookies=1
}

@test "without --geneve a tunnel's packets are foreign, and the report has null" {
	receive_start sink --group 10.77.1.2 --port 6081
	through --count 5 --size 100
	receive_end sink
	assert_json "$WORK/sink.json" .received=0 .foreign=5 .geneve=null
}

@test "what a tunnel cannot have: exit status 64" {
	local send=(--interface 10.77.1.1 --group 239.1.1.1 --port 5000 --rate 0 --count 1)
	run -64 "$TRAFFICGEN" send "${send[@]}" --vni 7
	assert_output --partial '--vni and --gwlb-endpoint are of a tunnel; name its endpoint with --geneve'
	run -64 "$TRAFFICGEN" send "${send[@]}" --geneve 10.0.0.1 --vni 16777216
	assert_output --partial '--vni'
	run -64 "$TRAFFICGEN" send "${send[@]}" --geneve 10.0.0.1 --size 65472
	assert_output --partial '--size: 65472 bytes and the 36 of the tunnel exceed the 65507 of a datagram'
}
