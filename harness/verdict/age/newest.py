"""The newest soak in a history: what the floor gate says of "stable for an hour", which no run of seconds can tell."""

import subprocess
from pathlib import Path

from harness import ROOT
from harness.history import history
from harness.verdict.outcome import INCONCLUSIVE, PASS, REGRESSION

HOUR_S = 3600
HOW = "run: bench soak single-hop"


def soak(folder: Path, machine: str, root: Path = ROOT) -> dict | None:
    """On this machine, {"utc", "commit", "verdict", "scenario", "seconds", "commits_ago"}; None: there is none. commits_ago: from its commit to
    HEAD; None where git does not know it."""
    found = [entry for path in folder.glob(f"{machine}/age/*.ndjson") for _, entry in history.read_lines(path)[0]
             if entry.get("kind") == "soak" and isinstance(entry.get("seconds"), (int, float))]
    if not found:
        return None
    entry = max(found, key=lambda one: one["utc"])
    return {key: entry.get(key) for key in ("utc", "commit", "verdict", "scenario", "seconds")} | {
        "commits_ago": commits_since(str(entry.get("commit")), root)}


def commits_since(commit: str, root: Path) -> int | None:
    answer = subprocess.run(["git", "--no-optional-locks", "-c", f"safe.directory={root}", f"--git-dir={root / '.git'}", "rev-list", "--count",
                             f"{commit}..HEAD", "--"], capture_output=True, text=True, check=False)
    return int(answer.stdout) if answer.returncode == 0 and answer.stdout.strip().isdecimal() else None


def ago(found: dict) -> str:
    commits = {None: "of a commit that is not known here", 0: "of this commit", 1: "1 commit ago"}
    return commits.get(found["commits_ago"], f"{found['commits_ago']} commits ago")


def said(found: dict | None) -> str:
    """For people."""
    if found is None:
        return f"stable for an hour: not known, there was no soak on this machine; {HOW}"
    return (f"stable for an hour: the newest soak, of {found['scenario']} for {found['seconds'] / 60:.0f} min on {found['utc'][:10]}, "
            f"{ago(found)} ({str(found['commit'])[:12]}): {found['verdict']}")


def over(word: str, reasons: list[str], found: dict | None) -> tuple[str, list[str]]:
    """A verdict on a tier that asks for it: a PASS needs a soak of an hour that passed."""
    if word != PASS:
        return word, reasons
    if found and found["verdict"] == REGRESSION:
        return REGRESSION, [*reasons, said(found)]
    if not found or found["verdict"] != PASS or found["seconds"] < HOUR_S:
        return INCONCLUSIVE, [*reasons, said(found) + ("" if not found or found["verdict"] != PASS else f"; it has to be an hour: {HOW}")]
    return word, reasons
