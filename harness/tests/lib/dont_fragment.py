#!/usr/bin/python3
"""dont_fragment: changes a socket that another process has opened.

    dont_fragment.py PID ADDRESS PORT on|off

The UDP sockets of process PID that are connected to ADDRESS:PORT no longer fragment what does not
fit the interface, so that send(2) fails with EMSGSIZE; off: what the kernel does by default. Prints
how many sockets there were. Exit status 75: not on this kernel.
"""

import ctypes
import os
import socket
import sys

PIDFD_GETFD = 438  # on every architecture
IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_DO = 10, 1, 2


def connected(pid: int, address: tuple[str, int]):
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for number in os.listdir(f"/proc/{pid}/fd"):
        if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
            continue
        fd = libc.syscall(PIDFD_GETFD, process, int(number), 0)
        if fd < 0:
            print(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
            sys.exit(75)
        with socket.socket(fileno=fd) as theirs:
            if (theirs.family, theirs.type) != (socket.AF_INET, socket.SOCK_DGRAM):
                continue
            try:
                if theirs.getpeername() == address:
                    yield theirs
            except OSError:  # not connected
                pass


def main() -> int:
    pid, address, port, state = sys.argv[1:]
    value = IP_PMTUDISC_DO if state == "on" else IP_PMTUDISC_WANT
    count = 0
    for theirs in connected(int(pid), (address, int(port))):
        theirs.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, value)
        count += 1
    print(count)
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
