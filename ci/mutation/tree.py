"""Copies of the source tree, each with a build of its own. A mutant is a change in one of them, committed there, so that
what asks git whether something was changed hears the same of every copy."""

import os
import re
import shutil
import signal
import subprocess
import threading
from hashlib import sha256
from pathlib import Path

PROGRAMS = ("build/mcrelay", "build/mcrelayctl", "build/trafficgen")
RELEASE = ("BUILD=build", "CFLAGS=-O2")
SANITIZED = ("BUILD=build/asan", "CC=gcc", "CFLAGS=-O1 -fno-omit-frame-pointer",
             "SANITIZE=-fsanitize=address,undefined -fno-sanitize-recover=all")
A_TEST = re.compile(r"/tests/(.*/)?test_\w+\.(c|py)$|\.bats$")
PATHS = ("relay", "trafficgen", "harness", "Makefile", "baselines")


class Failed(Exception):
    """Something that has to work did not; the message says what."""


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-c", "safe.directory=*", "-c", "user.name=mutants", "-c", "user.email=mutants@localhost",
                           "-c", "commit.gpgsign=false", "-C", folder, *arguments],
                          text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise Failed(f"git {' '.join(arguments[:2])} in {folder}: {done.stderr.strip()}")
    return done.stdout


def state_of(root: Path) -> tuple[str, bool, str]:
    """(commit, has it been changed since, a name of all that programs and tests are made from)"""
    changed = git(root, "status", "--porcelain", "--", *PATHS)
    return git(root, "rev-parse", "--short=12", "HEAD").strip(), bool(changed), state_for(root)


def state_for(root: Path, test: str | None = None) -> str:
    """A name of all files; with `test`, without other tests than this one."""
    listed = git(root, "ls-tree", "-r", "HEAD", "--", *PATHS).splitlines()
    if test is not None:
        listed = [line for line in listed if not A_TEST.search(line) or line.endswith(f"\t{test}")]
    new = "".join(f"{name}\n{(root / name).read_bytes()!r}" for name in new_files(root))
    return sha256(("\n".join(listed) + git(root, "diff", "HEAD", "--", *PATHS) + new).encode()).hexdigest()[:16]


def new_files(root: Path) -> list[str]:
    return names(git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", *PATHS))


def names(listed: str) -> list[str]:
    """Of what git lists with -z, as it is: blanks and all."""
    return [name for name in listed.split("\0") if name]


class Tree:
    def __init__(self, root: Path, folder: Path):
        self.root, self.folder = root, folder
        self.changed: str | None = None
        self.making = threading.Lock()

    def prepare(self) -> None:
        """As the files are at the root now. What is built stays: make knows what is new."""
        if not (self.folder / ".git").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            git(self.root, "clone", "--quiet", "--shared", str(self.root), str(self.folder))
        commit = git(self.root, "rev-parse", "HEAD").strip()
        git(self.folder, "fetch", "--quiet", str(self.root), "HEAD")
        git(self.folder, "checkout", "--quiet", "--force", "--detach", commit)
        git(self.folder, "clean", "-fdq")
        for name in names(git(self.root, "diff", "-z", "--name-only", "HEAD")) + new_files(self.root):
            source, target = self.root / name, self.folder / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
                os.utime(target)
            else:
                target.unlink(missing_ok=True)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "as it is")
        self.base = git(self.folder, "rev-parse", "HEAD").strip()

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def mutate(self, name: str, text: str) -> None:
        self.restore()
        self.changed = name
        (self.folder / name).write_text(text, encoding="utf-8")
        git(self.folder, "commit", "--quiet", "--all", "--message", "a mutant")

    def restore(self) -> None:
        git(self.folder, "reset", "--quiet", "--hard", self.base)
        git(self.folder, "clean", "-fdq")
        self.changed = None

    def make(self, *words: str) -> str | None:
        """None, or what make complained of."""
        go_on()
        own = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD")}
        with self.making:
            done = subprocess.run(["make", "-C", self.folder, *words], text=True, capture_output=True, check=False, env=own)
        if done.returncode == 0:
            return None
        lines = done.stderr.splitlines() or ["make failed"]
        return next((line for line in lines if "error" in line), lines[-1])

    def build(self) -> str | None:
        return self.make(*RELEASE, "all")

    def programs(self) -> str:
        """What they are, whatever their folder is called."""
        return sha256(b"".join(sha256((self.folder / name).read_bytes()).digest() for name in PROGRAMS)).hexdigest()


class Ended(Exception):
    """The process took longer than it may."""


RUNNING: set[subprocess.Popen] = set()
STOPPED = threading.Event()  # nothing is started any more


def end(process: subprocess.Popen) -> None:
    """With its whole group; one that leads processes of its own namespace takes them along."""
    for number, patience in ((signal.SIGINT, 30), (signal.SIGKILL, 30)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
            break
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def go_on() -> None:
    if STOPPED.is_set():
        raise Failed("interrupted")


def end_all() -> None:
    STOPPED.set()
    for process in list(RUNNING):
        end(process)
