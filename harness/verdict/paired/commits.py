"""commits.py commit NAME: prints the commit that NAME is.
commits.py default: prints the commit that a change is held against unless another one is named, and, on a second line, what
there is to say of it.

Where there is none, says why, and what to do about it, and exits with 4 when it is the clone that lacks it, 64 when it is a
mistake of whoever asks. A clone may lack what there is elsewhere: a shallow one has no history; a branch that was rewritten
(force-push) has left its old commits behind, which a new clone does not get; a clone of one branch knows no other.
"""

import re
import subprocess
import sys
from pathlib import Path

from harness import ROOT
from harness.verdict.outcome import INCONCLUSIVE, STATUS, USAGE

LACKING = STATUS[INCONCLUSIVE]
HASH = re.compile(r"[0-9a-fA-F]{7,40}")
MAIN_BRANCHES = ("origin/main", "origin/master", "main", "master")
WHOLE_HASH = 40  # digits; git fetches by no shorter one


class Absent(Exception):
    """There is no such commit here; the message says why and what to do."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """git in the repository in this folder, and in none around it."""
    own = folder / ".git" if (folder / ".git").exists() else folder
    return subprocess.run(["git", "--no-optional-locks", "-c", f"safe.directory={ROOT}", f"--git-dir={own}", "-C", str(folder), *arguments],
                          capture_output=True, text=True, check=False)


def git(folder: Path, *arguments: str) -> str | None:
    """What git says; None when it fails."""
    answer = run(folder, *arguments)
    return answer.stdout.strip() if answer.returncode == 0 else None


def unreadable(root: Path) -> str:
    """Why git finds no repository here, and what to do."""
    own = root / ".git"
    if own.is_file():  # "gitdir: /somewhere/.git/worktrees/NAME"
        gone = own.read_text(encoding="utf-8", errors="replace").strip().removeprefix("gitdir: ")
        return f"{root} is a worktree of a repository that is gone: there is no {gone}; restore it, or clone it anew"
    if own.exists():
        return f"git cannot read {own}: {complaint(run(root, 'rev-parse', '--git-dir'))}; restore it, or clone it anew"
    return f"{root} is no git repository, and has no commits to compare; clone it, or compare two programs: --builds BASE HEAD"


def complaint(answer: subprocess.CompletedProcess) -> str:
    """What git said when it failed, in a line."""
    lines = answer.stderr.strip().splitlines()
    return lines[0].removeprefix("fatal: ") if lines else f"it ended with {answer.returncode}"


def lacking(root: Path, what: str, mistake: str, status: int = USAGE) -> Absent:
    """Why `what` cannot be told; `mistake`, with its status, when it is not that the clone lacks it."""
    if git(root, "rev-parse", "--git-dir") is None:
        return Absent(LACKING, unreadable(root))
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        return Absent(LACKING, f"this clone is shallow, and {what} is not among the commits that it has; run: "
                               f"git fetch --unshallow (in a CI job: check out with fetch-depth: 0)")
    return Absent(status, mistake)


def damaged(what: str, answer: subprocess.CompletedProcess) -> str:
    return f"git cannot tell {what}: {complaint(answer)}; is the clone complete? Try: git fsck, git fetch"


def commit(name: str, root: Path = ROOT) -> str:
    found = git(root, "rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    if found:
        return found
    remotes = (git(root, "remote") or "").split()
    remote = next((remote for remote in remotes if name.startswith(f"{remote}/")), None)
    if remote:
        branch = name.removeprefix(f"{remote}/")
        raise lacking(root, name, f"this clone has no branch '{name}'; run: "
                                  f"git fetch {remote} {branch}:refs/remotes/{name}", LACKING)
    several = (git(root, "rev-parse", f"--disambiguate={name}") or "").split() if HASH.fullmatch(name) else []
    if len(several) > 1:
        raise lacking(root, name, f"{name} is the beginning of {len(several)} hashes, as of {several[0]} and {several[1]}; give "
                                  f"more digits")
    if HASH.fullmatch(name) and not several:
        origin = remotes[0] if remotes else "REMOTE"
        hash_ = name if len(name) == WHOLE_HASH else "HASH (all 40 digits of it)"
        raise lacking(root, name, f"this clone has no commit {name}: it was never fetched, or its branch was rewritten "
                                  f"(force-push); run: git fetch {origin} {hash_}, or name another commit, as that of: git "
                                  f"merge-base HEAD {origin}/main", LACKING)
    raise lacking(root, name, f"no commit {name!r}; see 'harness/bench help'")


def fork(branch: str, root: Path = ROOT) -> str:
    answer = run(root, "merge-base", branch, "HEAD")
    if answer.returncode and answer.stderr:
        raise lacking(root, f"where HEAD left {branch}", damaged(f"where HEAD left {branch}", answer), LACKING)
    found = answer.stdout.strip()
    if not found:
        raise lacking(root, f"where HEAD left {branch}", f"HEAD and {branch} have no commit in common; name a BASE", LACKING)
    return found


def parent(root: Path = ROOT) -> str:
    found = git(root, "rev-parse", "-q", "--verify", "HEAD~1^{commit}")
    if not found:
        raise lacking(root, "the one before HEAD", "there is no commit before HEAD; name a BASE", LACKING)
    return found


def is_dirty(root: Path) -> bool:
    """Have the files been changed since HEAD? Results are none."""
    return bool(git(root, "status", "--porcelain", "--", ".", ":!results"))


def default_base(root: Path = ROOT) -> tuple[str, str]:
    """Where the branch of a change left the main one, as others have it, if a remote is known: commits that were not pushed are
    one change. On the main branch itself, the commit before, or the last one while there are changes on top. And a note, or ""."""
    branch = next((branch for branch in MAIN_BRANCHES if git(root, "rev-parse", "-q", "--verify", f"{branch}^{{commit}}")), "HEAD")
    base = fork(branch, root)
    if base != git(root, "rev-parse", "HEAD") or is_dirty(root):
        return base, ""
    return parent(root), "" if branch != "HEAD" else (
        "this clone has no main branch to tell where the change began: base is the commit before the last one; git fetch the "
        "main branch, or name a BASE")


def require_ancestor(good: str, bad: str, root: Path = ROOT) -> None:
    answer, way = run(root, "merge-base", "--is-ancestor", good, bad), f"the way from {good[:12]} to {bad[:12]}"
    if answer.returncode and answer.stderr:  # git ends with 1, as for "no"
        raise lacking(root, way, damaged(way, answer), LACKING)
    if answer.returncode:
        raise lacking(root, way, f"{good[:12]} is not an ancestor of {bad[:12]}; bench compare takes any two commits")


def main() -> int:
    try:
        if sys.argv[1] == "commit":
            print(commit(sys.argv[2]))
        else:
            print("\n".join(default_base()))
    except Absent as absent:
        print(f"bench: {absent}", file=sys.stderr)
        return absent.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
