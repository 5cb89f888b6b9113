#!/usr/bin/python3
"""cgroup_deny: what leaves a cgroup for one IPv4 destination is refused with EPERM, while we run.

    cgroup_deny.py FOLDER ADDRESS

FOLDER is a cgroup of version 2. A BPF program is attached to it that takes ADDRESS's packets from
the sockets that were made in it: send(2) fails, as with a firewall. Prints "ready" once it does;
ends, and with it the program, with a signal. Exit status 75: not on this kernel.
"""

import ctypes
import errno
import os
import platform
import signal
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, LINK_CREATE = 5, 28
PROG_TYPE_CGROUP_SKB, CGROUP_INET_EGRESS = 8, 1
MISSING = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EOPNOTSUPP)


def instruction(code: int, to: int, of: int, offset: int, value: int) -> bytes:
    return struct.pack("=BBhi", code, of << 4 | to, offset, value)


def program(address: str) -> bytes:
    """The packet begins with its IP header: the destination is at byte 16, in network order."""
    wanted = struct.unpack("=i", socket.inet_aton(address))[0]
    return b"".join((
        instruction(0x61, 2, 1, 76, 0),      # r2 = context->data
        instruction(0x61, 3, 1, 80, 0),      # r3 = context->data_end
        instruction(0xB7, 0, 0, 0, 1),       # r0 = 1: let through
        instruction(0xBF, 4, 2, 0, 0),       # r4 = r2
        instruction(0x07, 4, 0, 0, 20),      # r4 += 20
        instruction(0x2D, 4, 3, 4, 0),       # if r4 > r3 return
        instruction(0x61, 5, 2, 16, 0),      # w5 = destination
        instruction(0xB4, 1, 0, 0, wanted),  # w1 = wanted
        instruction(0x5D, 5, 1, 1, 0),       # if r5 != r1 return
        instruction(0xB7, 0, 0, 0, 0),       # r0 = 0: refused
        instruction(0x95, 0, 0, 0, 0),       # return
    ))


def bpf(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    block = ctypes.create_string_buffer(attributes.ljust(128, b"\0"), 128)
    fd = libc.syscall(SYS_BPF[platform.machine()], command, block, 128)
    if fd < 0:
        error = ctypes.get_errno()
        print(f"bpf({command}): {os.strerror(error)}", file=sys.stderr)
        sys.exit(75 if error in MISSING else 1)
    return fd


def main() -> int:
    if platform.machine() not in SYS_BPF:
        return 75
    code = ctypes.create_string_buffer(program(sys.argv[2]))
    licence = ctypes.create_string_buffer(b"MIT")
    loaded = bpf(PROG_LOAD, struct.pack("=IIQQ", PROG_TYPE_CGROUP_SKB, (len(code) - 1) // 8,
                                        ctypes.addressof(code), ctypes.addressof(licence)))
    folder = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    bpf(LINK_CREATE, struct.pack("=IIII", loaded, folder, CGROUP_INET_EGRESS, 0))
    print("ready", flush=True)
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
