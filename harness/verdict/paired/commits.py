"""commits.py commit NAME: prints the commit that NAME is.
commits.py fork BRANCH: prints the commit where HEAD left BRANCH.
commits.py parent: prints the commit before HEAD.

Where there is none, says why, and what to do about it, and exits with 5 when it is the clone that lacks it, 64 when it is a
mistake of whoever asks. A clone may lack what there is elsewhere: a shallow one has no history; a branch that was rewritten
(force-push) has left its old commits behind, which a new clone does not get; a clone of one branch knows no other.
"""

import re
import subprocess
import sys
from pathlib import Path

from harness import ROOT
from harness.verdict.outcome import INVALID, STATUS, USAGE

INVALID_STATUS = STATUS[INVALID]
HASH = re.compile(r"[0-9a-fA-F]{7,40}")
WHOLE_HASH = 40  # digits; git fetches by no shorter one


class Absent(Exception):
    """There is no such commit here; the message says why and what to do."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


def git(folder: Path, *arguments: str) -> str | None:
    """What git says of the repository in this folder, and of none around it; None when it fails."""
    own = folder / ".git" if (folder / ".git").exists() else folder
    answer = subprocess.run(["git", "-c", f"safe.directory={ROOT}", f"--git-dir={own}", "-C", str(folder), *arguments],
                            capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def lacking(root: Path, what: str, mistake: str, status: int = USAGE) -> Absent:
    """Why `what` cannot be told; `mistake`, with its status, when it is not that the clone is shallow."""
    if git(root, "rev-parse", "--git-dir") is None:
        return Absent(USAGE, f"{root} is no git repository, and has no commits to compare; clone it, or compare two programs: "
                             f"--builds BASE HEAD")
    if git(root, "rev-parse", "--is-shallow-repository") == "true":
        return Absent(INVALID_STATUS, f"INVALID: this clone is shallow, and {what} is not among the commits that it has; run: "
                                      f"git fetch --unshallow (in a CI job: check out with fetch-depth: 0)")
    return Absent(status, mistake)


def commit(name: str, root: Path = ROOT) -> str:
    found = git(root, "rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    if found:
        return found
    remotes = (git(root, "remote") or "").split()
    remote = next((remote for remote in remotes if name.startswith(f"{remote}/")), None)
    if remote:
        branch = name.removeprefix(f"{remote}/")
        raise lacking(root, name, f"INVALID: this clone has no branch '{name}'; run: "
                                  f"git fetch {remote} {branch}:refs/remotes/{name}", INVALID_STATUS)
    several = (git(root, "rev-parse", f"--disambiguate={name}") or "").split() if HASH.fullmatch(name) else []
    if len(several) > 1:
        raise lacking(root, name, f"{name} is the beginning of {len(several)} hashes, as of {several[0]} and {several[1]}; give "
                                  f"more digits")
    if HASH.fullmatch(name) and not several:
        origin = remotes[0] if remotes else "REMOTE"
        hash_ = name if len(name) == WHOLE_HASH else "HASH (all 40 digits of it)"
        raise lacking(root, name, f"INVALID: this clone has no commit {name}: it was never fetched, or its branch was rewritten "
                                  f"(force-push); run: git fetch {origin} {hash_}, or name another commit, as that of: git "
                                  f"merge-base HEAD {origin}/main", INVALID_STATUS)
    raise lacking(root, name, f"no commit {name!r}; see 'harness/bench help'")


def fork(branch: str, root: Path = ROOT) -> str:
    found = git(root, "merge-base", branch, "HEAD")
    if not found:
        raise lacking(root, f"where HEAD left {branch}", f"INVALID: HEAD and {branch} have no commit in common; name a BASE",
                      INVALID_STATUS)
    return found


def parent(root: Path = ROOT) -> str:
    found = git(root, "rev-parse", "-q", "--verify", "HEAD~1^{commit}")
    if not found:
        raise lacking(root, "the one before HEAD", "there is no commit before HEAD; name a BASE")
    return found


def require_ancestor(good: str, bad: str, root: Path = ROOT) -> None:
    if git(root, "merge-base", "--is-ancestor", good, bad) is None:
        raise lacking(root, f"the way from {good[:12]} to {bad[:12]}",
                      f"{good[:12]} is not an ancestor of {bad[:12]}; bench compare takes any two commits")


def main() -> int:
    ask = {"commit": commit, "fork": fork, "parent": parent}[sys.argv[1]]
    try:
        print(ask(*sys.argv[2:]))
    except Absent as absent:
        print(f"bench: {absent}", file=sys.stderr)
        return absent.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
