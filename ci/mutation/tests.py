"""Runs one test: a unit test in C (with sanitizers), a Python module, or a bats file, all of it or the tests of some words.

A test is named by its file, as relay/tests/worker/test_packet.c, or as harness/tests/relay/gso.bats: WORDS, where WORDS
stand in the names of the tests that are meant; the folder harness/tests/python is all that is in it."""

import contextlib
import fcntl
import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ci.mutation.tree import RUNNING, SANITIZED, Ended, Failed, Tree, end, go_on

LEAST_LIMIT_S, SLOWER = 120, 8  # a hang is what takes so many times as long as without a fault, and this at least


@dataclass(frozen=True)
class Outcome:
    passed: bool
    test: str      # the first that failed
    said: str      # a line of it
    seconds: float
    hang: bool = False


def stale(root: Path, name: str) -> str:
    """Why there is no such test; nothing when there is."""
    path, _, words = name.partition(": ")
    if not (root / path).exists():
        return f"no file {path}"
    if words and not any(words in line for line in (root / path).read_text().splitlines() if line.startswith("@test ")):
        return f"no test in {path} has '{words}' in its name"
    return ""


def run(tree: Tree, name: str, limit_s: float, only: str = "") -> Outcome:
    """`only`: the one test of a bats file that is wanted."""
    path, _, words = name.partition(": ")
    began = time.monotonic()
    try:
        if path.endswith(".bats"):
            outcome = run_bats(tree, path, f"^{pattern(only)}$" if only else pattern(words) if words else "", limit_s)
        elif path.endswith((".py", "/python")):
            outcome = run_python(tree, path, limit_s)
        else:
            outcome = run_unit(tree, path, limit_s)
    except Ended:
        return Outcome(False, "", f"not over after {limit_s:.0f} s", time.monotonic() - began, True)
    return Outcome(*outcome, time.monotonic() - began)


LEFT_OUT = ("BATS", "BENCH", "MCR_", "MAKE")  # of the environment
SET_HERE = ("BUILD", "RELAY", "MFLAGS", "PYTHONPATH")


def start(command: list, folder: Path, limit_s: float,
          **environment: str) -> tuple[subprocess.Popen, threading.Timer, list]:
    go_on()
    own = {key: value for key, value in os.environ.items() if not key.startswith(LEFT_OUT) and key not in SET_HERE}
    process = subprocess.Popen(command, cwd=folder, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, errors="replace",
                               env={**own, "PYTHONDONTWRITEBYTECODE": "1", **environment})
    RUNNING.add(process)
    late: list[bool] = []

    def stop() -> None:
        late.append(True)
        end(process)

    timer = threading.Timer(limit_s, stop)
    timer.start()
    return process, timer, late


def finish(process: subprocess.Popen, timer: threading.Timer, late: list) -> int:
    status = process.wait()
    timer.cancel()
    RUNNING.discard(process)
    if late:
        raise Ended
    return status


def whole(command: list, folder: Path, limit_s: float, **environment: str) -> tuple[int, list[str]]:
    process, timer, late = start(command, folder, limit_s, **environment)
    lines = process.stdout.read().splitlines()
    return finish(process, timer, late), lines


def run_unit(tree: Tree, path: str, limit_s: float) -> tuple[bool, str, str]:
    target = f"build/asan/unit/{path.removesuffix('.c')}"
    complaint = tree.make(*SANITIZED, target)
    if complaint:
        return False, path, f"does not build: {complaint}"
    status, lines = whole([tree.folder / target], tree.folder, limit_s, CMOCKA_MESSAGE_OUTPUT="TAP")
    failed = [line for line in lines if line.startswith("not ok") and "# skip" not in line.lower()]
    if status == 0 and not any(line.startswith("ok ") for line in lines):
        raise Failed(f"{path} ran no test")
    if status == 0:
        return True, "", ""
    told = [line for line in lines if "ERROR: " in line or "runtime error" in line or "SUMMARY" in line]
    name = re.sub(r"^not ok \d+ - (\S+).*", r"\1", failed[0]) if failed else path
    return False, name, (told or [f"exit status {status}"])[0].strip()


def run_python(tree: Tree, path: str, limit_s: float) -> tuple[bool, str, str]:
    which = ["discover", "-s", path, "-t", ".", "-p", "test_*.py"]  # of a folder: all
    if path.endswith(".py"):
        which = [path.removesuffix(".py").replace("/", ".")]
    status, lines = whole(["/usr/bin/python3", "-m", "unittest", *which, "--failfast"], tree.folder, limit_s)
    if status == 0 and not any(re.match(r"Ran [1-9]", line) for line in lines):
        raise Failed(f"{path} ran no test")
    if status == 0:
        return True, "", ""
    first = next((line for line in lines if line.startswith(("FAIL: ", "ERROR: "))), path)
    said = [line for line in lines if re.match(r"[A-Za-z.]*(Error|Exception|Unusable|Faulty)", line)]
    return False, first.split(": ", 1)[-1].split(" ")[0], (said or [f"exit status {status}"])[0]


# Namespaces of its own for mounts and processes: journals, locks and network namespaces are not those of the host, and
# nothing that it started outlives it. What changes the host all the same waits for others that do, as in ci/part.
ALONE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--", "bash", "-c",
         'mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/lock && "$@"; exit $?', "-"]
HOST_LOCK = Path("/run/mcrelay-bench/lock")
SYSCTLS = ("wmem_max", "wmem_default", "rmem_max", "netdev_max_backlog")


def sysctls() -> dict[Path, str]:
    return {path: path.read_text() for path in (Path("/proc/sys/net/core") / name for name in SYSCTLS)}


@contextlib.contextmanager
def host(path: str):
    """While a bats file of those that change the host runs, nobody else does."""
    with contextlib.ExitStack() as stack:
        if re.search("/(bench/|ci/|relay/pages)", path):
            HOST_LOCK.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(stack.enter_context(HOST_LOCK.open("a", encoding="ascii")), fcntl.LOCK_EX)
        yield


def pattern(name: str) -> str:
    """For bats --filter, which looks at a name as it stands in the file: with a backslash before each quotation mark."""
    return re.escape(name).replace('"', '\\\\?"')


def run_bats(tree: Tree, path: str, words: str, limit_s: float) -> tuple[bool, str, str]:
    """Up to the first test that fails."""
    with host(path):
        return run_bats_now(tree, path, words, limit_s)


def run_bats_now(tree: Tree, path: str, words: str, limit_s: float) -> tuple[bool, str, str]:
    before = sysctls()
    process, timer, late = start([*ALONE, "bats", "--tap", *(["--filter", words] if words else []), path],
                                 tree.folder, limit_s, BUILD=str(tree.folder / "build"))
    failed, said, ran = "", "", 0
    for line in process.stdout:
        ran += line.startswith("ok ")
        if line.startswith("not ok ") and "# skip" not in line.lower() and not failed:
            failed = re.sub(r"^not ok \d+ | # (timeout|in \d).*$", "", line.strip())
        elif failed and not said and re.match(r"#\s+`.*' failed|# .*(expected|actual|not within|ERROR)", line):
            said = line.strip("# \n")
        elif failed and line.startswith(("ok ", "not ok ")):
            break
    if failed and process.poll() is None:
        end(process)
    else:
        process.stdout.read()
    status = finish(process, timer, late)
    for name, value in before.items():  # what a mutant forgot to put back
        if name.read_text() != value:
            name.write_text(value)
    if failed:
        return False, failed, said or "failed"
    if status != 0:
        return False, path, f"bats ended with exit status {status}"
    if not ran:
        raise Failed(f"{path}: no test has '{words}' in its name, or all were skipped")
    return True, "", ""
