#!/usr/bin/python3
"""syscall: makes a process that sleeps in a system call make another one.

    syscall.py PID NUMBER

It is stopped with ptrace(2), its registers are set so that the system call instruction that it sleeps
in is executed once more, with NUMBER, and it is let go. One that does not sleep is let go and stopped again.
What becomes of it, the caller has to look at. Exit status 75: not on this machine. x86-64 only.
"""

import ctypes
import os
import platform
import sys
import time

PTRACE_PEEKTEXT, PTRACE_GETREGS, PTRACE_SETREGS = 1, 12, 13
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
# struct user_regs_struct, in 64-bit words
RAX, ORIG_RAX, RIP, WORDS = 10, 15, 16, 27
SYSCALL_INSTRUCTION = 0x050F
ATTEMPTS = 1000


def call(libc: ctypes.CDLL, pid: int, number: int) -> bool:
    """Whether it was in a system call."""
    registers = (ctypes.c_ulonglong * WORDS)()
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) < 0:
        print(f"ptrace: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        raise SystemExit(75)
    os.waitpid(pid, 0)
    libc.ptrace(PTRACE_GETREGS, pid, None, registers)
    word = libc.ptrace(PTRACE_PEEKTEXT, pid, registers[RIP] - 2, None)
    found = word & 0xFFFF == SYSCALL_INSTRUCTION
    if found:
        registers[RIP] -= 2
        registers[RAX] = number
        registers[ORIG_RAX] = 2**64 - 1  # not inside one: there is nothing to restart
        libc.ptrace(PTRACE_SETREGS, pid, None, registers)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return found


def main() -> int:
    if platform.machine() != "x86_64":
        return 75
    pid, number = int(sys.argv[1]), int(sys.argv[2])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for _ in range(ATTEMPTS):
        if call(libc, pid, number):
            return 0
        time.sleep(0.01)
    print("it never sleeps", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
