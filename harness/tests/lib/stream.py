#!/usr/bin/python3
"""stream: packets that never overrun a queue, however slow the way is.

    stream.py [--flows N] [--window N] [--size BYTES] ADDRESS GROUP:PORT NETNS ADDRESS GROUP:PORT

Sends numbered packets to the first group from the interface with the first address, in the network
namespace it was started in, and receives those of the second group at the second address in NETNS.
Of each flow, at most --window packets are on their way: a packet leaves when an earlier one has
arrived. What is lost on the way is waited for until a later one of its flow arrives: where something may
be lost, the window has to be larger than that.

On stdout: "flowing" once packets arrive. SIGUSR1: "arrived N N ...", of each flow. SIGINT: sends no more, and
"sent N". SIGTERM: takes what is in its socket; "lost N N ...", of each flow; and at last, as JSON, what became
of all packets.
"""

import argparse
import ctypes
import json
import random
import signal
import socket
import struct
import sys
import time

PER_TURN = 32  # packets of all flows together
TURN_S = 0.001  # leaves the CPU to what is tested
HEADER = struct.Struct("!HQ")
FILLER = random.Random(0).randbytes(4096)
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE = 33


class Flow:
    def __init__(self, number: int, source: str, window: int, size: int) -> None:
        self.number, self.window, self.size = number, window, size
        self.sent = self.arrived = 0  # the number after the last one
        self.seen: set[int] = set()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(source))
        self.socket.bind((source, 0))

    def packet(self, sequence: int) -> bytes:
        start = (sequence * 37 + self.number * 101) % 2048
        return (HEADER.pack(self.number, sequence) + FILLER[start:])[: self.size]

    def has_room(self) -> bool:
        return self.sent - self.arrived < self.window

    def send(self, to: tuple[str, int]) -> None:
        self.socket.sendto(self.packet(self.sent), to)
        self.sent += 1


class Stream:
    def __init__(self, options: argparse.Namespace) -> None:
        self.to = endpoint(options.group)
        self.flows = [Flow(i, options.source, options.window, options.size) for i in range(options.flows)]
        self.receiver = receiver(options.netns, options.sink, endpoint(options.sink_group))
        self.duplicated = self.reordered = self.corrupt = 0

    def send(self) -> None:
        for _ in range(0, PER_TURN, len(self.flows)):
            for flow in self.flows:
                if flow.has_room():
                    flow.send(self.to)

    def receive(self) -> None:
        """All that is there."""
        while True:
            try:
                packet = self.receiver.recv(65536)
            except BlockingIOError:
                return
            self.account_for(packet)

    def account_for(self, packet: bytes) -> None:
        number, sequence = HEADER.unpack_from(packet) if len(packet) >= HEADER.size else (65535, 0)
        if number >= len(self.flows) or packet != self.flows[number].packet(sequence):
            self.corrupt += 1
            return
        flow = self.flows[number]
        if sequence in flow.seen:
            self.duplicated += 1
        elif sequence < flow.arrived:
            self.reordered += 1
        flow.seen.add(sequence)
        flow.arrived = max(flow.arrived, sequence + 1)

    def report(self) -> dict[str, int]:
        sent = sum(flow.sent for flow in self.flows)
        received = sum(len(flow.seen) for flow in self.flows)
        return {
            "sent": sent,
            "received": received,
            "lost": sent - received,
            "duplicated": self.duplicated,
            "reordered": self.reordered,
            "corrupt": self.corrupt,
        }


def endpoint(text: str) -> tuple[str, int]:
    group, port = text.split(":")
    return group, int(port)


def receiver(netns: str, address: str, group: tuple[str, int]) -> socket.socket:
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net", "rb") as here, open(netns, "rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if libc.setns(here.fileno(), CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "setns")
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    sock.bind(group)
    sock.setsockopt(
        socket.IPPROTO_IP,
        socket.IP_ADD_MEMBERSHIP,
        socket.inet_aton(group[0]) + socket.inet_aton(address),
    )
    return sock


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--size", type=int, default=200)
    for name in ("source", "group", "netns", "sink", "sink_group"):
        parser.add_argument(name)
    got: set[int] = set()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda which, _: got.add(which))
    stream = Stream(parser.parse_args())
    flowing = said = False
    while signal.SIGTERM not in got:
        stream.receive()
        if not flowing and any(flow.arrived for flow in stream.flows):
            flowing = True
            print("flowing", flush=True)
        if signal.SIGUSR1 in got:
            got.discard(signal.SIGUSR1)
            print("arrived", *(flow.arrived for flow in stream.flows), flush=True)
        if signal.SIGINT not in got:
            stream.send()
        elif not said:
            said = True
            print("sent", sum(flow.sent for flow in stream.flows), flush=True)
        time.sleep(TURN_S)
    stream.receive()
    print("lost", *(flow.sent - len(flow.seen) for flow in stream.flows))
    print(json.dumps(stream.report()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
