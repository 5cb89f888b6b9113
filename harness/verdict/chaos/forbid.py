#!/usr/bin/python3
"""forbid: runs a command where a system call fails, as in a container that forbids it.

    forbid.py CALL ERRNO COMMAND [ARGUMENT]...      CALL: io_uring_setup, bpf; ERRNO: EPERM, ENOSYS

A seccomp filter of its own sees to that, which the command and its children keep. Exit status 75: not on this machine.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
CALLS = {"io_uring_setup": 425, "bpf": 280 if platform.machine() == "aarch64" else 321}  # the former on every architecture
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL = 0x7FFF0000, 0x00050000


def instruction(code: int, constant: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, constant)


def forbid(call: int, error: int) -> bool:
    filter_bytes = (
        instruction(LOAD_WORD, 0)  # the number of the call
        + instruction(JUMP_EQUAL, call, 0, 1)
        + instruction(RETURN, FAIL | error)
        + instruction(RETURN, ALLOW)
    )
    program = ctypes.create_string_buffer(filter_bytes, len(filter_bytes))
    count = len(filter_bytes) // len(instruction(0, 0))
    description = struct.pack("@HP", count, ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    return (
        libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) == 0
        and libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), description, zero, zero) == 0
    )


def main() -> int:
    if not forbid(CALLS[sys.argv[1]], getattr(errno, sys.argv[2])):
        print(f"seccomp: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        return 75
    os.execvp(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    sys.exit(main())
