#!/usr/bin/python3
"""frames: packets made and looked at by something that shares no code with relay and trafficgen.

    send      UDP datagrams of given sizes with random content through an ordinary socket
    receive   what arrives on an ordinary UDP socket
    replay    payloads of a file, in a given order, some of them damaged
    inject    hand-made Ethernet frames through AF_PACKET: tags, options, fragments, wrong checksums
    tunnel    the other end of a tun device: sends hand-made packets on SIGUSR1, and says what it takes
    link-type makes a tun device, which is down, one of another link type
    capture   each IPv4 frame that an interface receives, taken apart

A payload is a line of hexadecimal digits everywhere, so that both ends can be compared with diff.
receive and capture write "ready" to stderr once they listen, and end on SIGTERM with what has
arrived by then, or after --seconds.
"""

import argparse
import fcntl
import json
import os
import random
import select
import signal
import socket
import struct
import sys
import time

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33
UDP = 17
UDP_SEGMENT = 103
MORE_FRAGMENTS = 0x2000
# what is of no VLAN but has a priority, once and twice; of VLAN 100; with a VLAN behind another tag
TAGS = {"priority": "8100a000", "priorities": "8100a0008100c000", "vlan": "81000064", "qinq": "88a8006481000065",
        "priority-vlan": "8100a00081000064"}


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over data that contains its own correct one."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def pseudo_header(source: bytes, destination: bytes, udp_bytes: int) -> bytes:
    return source + destination + struct.pack("!BBH", 0, UDP, udp_bytes)


# ---- ordinary sockets ---------------------------------------------------------------------------


def sending_socket(address: str, ttl: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
    return sock


def command_send(args: argparse.Namespace) -> None:
    chance = random.Random(args.seed)
    sizes = args.sizes or [chance.randint(0, 1472) for _ in range(args.random)]
    sock = sending_socket(args.address, args.ttl)
    for size in sizes:
        payload = chance.randbytes(size)
        if args.segment:
            sock.setsockopt(UDP, UDP_SEGMENT, args.segment)
        sock.sendto(payload, (args.group, args.port))
        step = args.segment or size
        for start in range(0, size, step) if size else [0]:
            print(payload[start : start + step].hex())


def command_replay(args: argparse.Namespace) -> None:
    with open(args.file, encoding="ascii") as file:
        payloads = [bytes.fromhex(line) for line in file]
    sock = sending_socket(args.address, 1)
    for word in args.order:
        payload = bytearray(payloads[int(word.lstrip("xf"))])
        if word[0] == "x":  # one bit of the filler
            payload[-1] ^= 1
        if word[0] == "f":  # no longer trafficgen's
            payload[0] ^= 0xFF
        sock.sendto(payload, (args.group, args.port))


def listen(sock: socket.socket, seconds: float, take) -> None:
    """Feeds `take` until SIGTERM has come, with all that is in the socket by then; or until the time is over. The signal
    only wakes: an exception from its handler could come anywhere."""
    deadline = time.monotonic() + seconds
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    sock.setblocking(False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    print("ready", file=sys.stderr, flush=True)
    ended = False
    while not ended:
        ready, _, _ = select.select([sock, woken], [], [], min(max(deadline - time.monotonic(), 0), 3600))
        ended = woken in ready or time.monotonic() >= deadline
        try:
            while True:
                take(sock.recv(65536))
        except BlockingIOError:
            pass


def command_receive(args: argparse.Namespace) -> None:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.bind((args.group, args.port))
    request = socket.inet_aton(args.group) + socket.inet_aton(args.address)
    if 224 <= request[0] < 240:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    listen(sock, args.seconds, lambda data: print(data.hex(), flush=True))


# ---- frames -------------------------------------------------------------------------------------


def udp_datagram(args: argparse.Namespace, payload: bytes, kind: str) -> bytes:
    source, group = socket.inet_aton(args.source), socket.inet_aton(args.group)
    length = 8 + len(payload)
    header = struct.pack("!HHHH", 40000, args.port, length, 0)
    value = checksum(pseudo_header(source, group, length) + header + payload) or 0xFFFF
    if kind == "bad-checksum":
        value ^= 0x0101
    if kind == "no-checksum":
        value = 0
    return header[:6] + struct.pack("!H", value) + payload


def ip_packet(args: argparse.Namespace, body: bytes, kind: str, fragment: int = 0) -> bytes:
    options = b"\x94\x04\0\0" if kind == "options" else b""  # router alert
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45 + len(options) // 4,
        args.tos,
        20 + len(options) + len(body),
        4711,
        fragment,
        args.ttl,
        6 if kind == "tcp" else UDP,
        0,
        socket.inet_aton(args.source),
        socket.inet_aton(args.group),
    )
    value = checksum(header + options)
    if kind == "bad-ip-checksum":
        value ^= 0x0101
    return header[:10] + struct.pack("!H", value) + header[12:] + options + body


def frames_of_kind(args: argparse.Namespace, kind: str, payload: bytes) -> list[bytes]:
    group = socket.inet_aton(args.group)
    ethernet = bytes([1, 0, 0x5E, group[1] & 0x7F, group[2], group[3]]) + b"\x02mcrel"
    tags = TAGS.get(kind, "")
    ethernet += bytes.fromhex(tags) + struct.pack("!H", 0x88B5 if kind == "not-ip" else ETH_P_IP)
    datagram = udp_datagram(args, payload, kind)
    if kind in ("fragments", "lone-fragment"):
        cut = len(datagram) // 2 & ~7
        return [
            ethernet + ip_packet(args, datagram[:cut], kind, MORE_FRAGMENTS),
            ethernet + ip_packet(args, datagram[cut:], kind, cut // 8),
        ][:1 if kind == "lone-fragment" else 2]
    frame = ethernet + ip_packet(args, datagram, kind)
    if kind == "cut":  # ends before what its IP header announces
        return [frame[:-4]]
    if kind == "padded":
        frame += b"\xa5" * max(60 - len(frame), 4)
    return [frame]


def command_inject(args: argparse.Namespace) -> None:
    chance = random.Random(args.seed)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.bind((args.interface, 0))
    for word in args.kinds:
        kind, _, size = word.partition(":")
        payload = chance.randbytes(int(size or 100))
        for frame in frames_of_kind(args, kind, payload) * args.times:
            sock.send(frame)
        print(kind, payload.hex())


# ---- the other end of a tun device ---------------------------------------------------------------

TUNSETIFF, TUNSETLINK = 0x400454CA, 0x400454CD
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000


def open_tunnel(interface: str) -> int:
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", interface.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    return tunnel


def send_through(tunnel: int, args: argparse.Namespace, chance: random.Random) -> None:
    """Each packet behind a virtio-net header; an aggregate's says of what size its packets are."""
    for word in args.kinds:
        kind, _, size = word.partition(":")
        size, _, count = size.partition("x")
        payloads = [chance.randbytes(int(size)) for _ in range(int(count or 1))]
        header = bytes(10)
        if kind == "aggregate":
            header = struct.pack("=BBHHHH", 1, 5, 28, int(size), 20, 6)  # NEEDS_CSUM, GSO_UDP_L4
        for frame in frames_of_kind(args, kind, b"".join(payloads)):
            os.write(tunnel, header + frame[14:])
        for payload in payloads:
            print("sent", kind, payload.hex(), flush=True)


def command_tunnel(args: argparse.Namespace) -> None:
    tunnel = open_tunnel(args.interface)
    chance = random.Random(args.seed)
    woken, waker = socket.socketpair()
    waker.setblocking(False)
    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    print("ready", file=sys.stderr, flush=True)
    while True:
        ready, _, _ = select.select([tunnel, woken], [], [])
        if tunnel in ready:
            packet = os.read(tunnel, 70000)[10:]
            fields = take_apart(bytes(12) + b"\x08\0" + packet) if packet[0] >> 4 == 4 else None
            if fields:
                print("taken", fields["payload"], flush=True)
        if woken in ready:
            if woken.recv(1)[0] == signal.SIGTERM:
                return
            send_through(tunnel, args, chance)


def command_link_type(args: argparse.Namespace) -> None:
    fcntl.ioctl(open_tunnel(args.interface), TUNSETLINK, args.type)


def take_apart(frame: bytes) -> dict | None:
    ip = frame[14:]
    if frame[12:14] != b"\x08\x00" or ip[9] != UDP:
        return None
    header_bytes = (ip[0] & 15) * 4
    total, fragment = struct.unpack("!H", ip[2:4])[0], struct.unpack("!H", ip[6:8])[0]
    udp = ip[header_bytes:total]
    from_port, port, udp_bytes, udp_sum = struct.unpack("!HHHH", udp[:8])
    return {
        "mac": frame[:6].hex(":"),
        "source": socket.inet_ntoa(ip[12:16]),
        "destination": socket.inet_ntoa(ip[16:20]),
        "from_port": from_port,
        "port": port,
        "ttl": ip[8],
        "tos": ip[1],
        "fragment": bool(fragment & 0x3FFF),
        "frame_bytes": len(frame),
        "ip_checksum_ok": checksum(ip[:header_bytes]) == 0,
        "udp_checksum_ok": udp_sum != 0
        and checksum(pseudo_header(ip[12:16], ip[16:20], udp_bytes) + udp) == 0,
        "payload": udp[8:].hex(),
    }


def command_capture(args: argparse.Namespace) -> None:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    sock.bind((args.interface, ETH_P_ALL))

    def take(frame: bytes) -> None:
        fields = take_apart(frame)
        if fields:
            print(json.dumps(fields), flush=True)

    listen(sock, args.seconds, take)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)

    def command(name: str, function, *positional: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name)
        for argument in positional:
            sub.add_argument(argument, type=int if argument == "port" else str)
        sub.set_defaults(function=function)
        return sub

    send = command("send", command_send, "address", "group", "port")
    send.add_argument("--sizes", type=int, nargs="+")
    send.add_argument("--random", type=int, help="so many of random sizes")
    send.add_argument("--segment", type=int, help="each size is an aggregate's, of datagrams of so many bytes")
    send.add_argument("--ttl", type=int, default=1)
    send.add_argument("--seed", type=int, default=1)
    replay = command("replay", command_replay, "address", "group", "port", "file")
    replay.add_argument("order", nargs="+", help="line from 0; x before it: damaged; f: foreign")
    receive = command("receive", command_receive, "address", "group", "port")
    receive.add_argument("--seconds", type=float, default=3600)
    inject = command("inject", command_inject, "interface", "source", "group", "port")
    inject.add_argument("kinds", nargs="+", help="KIND or KIND:PAYLOAD_BYTES")
    inject.add_argument("--times", type=int, default=1, help="so often each frame")
    inject.add_argument("--ttl", type=int, default=5)
    inject.add_argument("--tos", type=int, default=0)
    inject.add_argument("--seed", type=int, default=1)
    tunnel = command("tunnel", command_tunnel, "interface", "source", "group", "port")
    tunnel.add_argument("kinds", nargs="*", help="KIND:PAYLOAD_BYTES, or aggregate:PAYLOAD_BYTESxCOUNT")
    tunnel.add_argument("--ttl", type=int, default=5)
    tunnel.add_argument("--tos", type=int, default=0)
    tunnel.add_argument("--seed", type=int, default=1)
    link_type = command("link-type", command_link_type, "interface")
    link_type.add_argument("type", type=int)
    capture = command("capture", command_capture, "interface")
    capture.add_argument("--seconds", type=float, default=3600)

    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
