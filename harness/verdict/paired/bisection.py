"""Which commit made the relay slower: bench bisect GOOD BAD [--scenario NAME] [--budget MINUTES] [--results FOLDER]

Compares GOOD with BAD first. If that is a REGRESSION, git bisect halves the commits between them until one is left;
each is asked for by `bench compare GOOD COMMIT`, so all are measured against the same build, by the harness as it is
now. What is INCONCLUSIVE, INVALID or does not build is skipped. NAME is single-hop unless given; MINUTES is the time
that each comparison may take. The tree and its git folder stay as they are: git bisects in a repository of its own.

Writes FOLDER/bisect/TIME-GOOD-BAD/bisect.json. Exits with 3 when the commit was found, 0 when BAD is not slower than
GOOD, 4 when it cannot be told, 5 when GOOD and BAD cannot be compared, 64 usage. Needs root. A comparison takes one to
six minutes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from harness import ROOT
from harness.report.tables import paint, table
from harness.result.keep import keep, utc_now
from harness.run.child import bench, end_by_signals, only, require_results
from harness.verdict import outcome
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION, STATUS, USAGE
from harness.verdict.paired import commits
from harness.verdict.paired.commits import git

FOR_GIT = {STATUS[PASS]: "good", STATUS[REGRESSION]: "bad", STATUS[INCONCLUSIVE]: "skip", STATUS[INVALID]: "skip"}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def compare(good: str, commit: str, scenario: str, budget: str | None) -> dict:
    """One comparison, as a step of bisect.json."""
    say(f"bisect: {commit[:12]} against {good[:12]}")
    with tempfile.TemporaryDirectory(prefix="mcrelay-bisect-") as results:
        status, words = bench("compare", good, commit, "--scenario", scenario, "--results", results,
                              *(("--budget", budget) if budget else ()))
        document = only(results, "compare.json")
    if status not in FOR_GIT:
        say(f"bisect: bench compare ended with {status}: {words}")
        sys.exit(64 if status == 64 else 1)
    found = document["scenarios"][scenario] if document else {"verdict": outcome.word_of(status), "reasons": [words]}
    step = {"commit": commit, "exit": status, "verdict": found["verdict"], "why": "; ".join(found["reasons"]),
            **{key: found.get(key) for key in ("estimate", "lower", "upper", "pairs")}}
    say(f"bisect: {commit[:12]}: {step['verdict']}{': ' + change(step) if change(step) else ''}")
    return step


def change(step: dict) -> str:
    """Of speed; nothing where there was no look."""
    bounds = [step[key] for key in ("estimate", "lower", "upper")]
    return "" if None in bounds else "{:+.1%} ({:+.1%} to {:+.1%})".format(*bounds)


def must(folder: Path, *arguments: str) -> str:
    found = git(folder, *arguments)
    if found is None:
        say(f"bisect: git {arguments[0]} failed in {folder}; is the clone complete? Try: git fsck, git fetch")
        sys.exit(STATUS[INCONCLUSIVE])
    return found


def candidates(clone: Path) -> tuple[list[str], set[str]]:
    """(commits that may be the first bad one, those of them that were skipped)"""
    marks = dict(line.split() for line in must(clone, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)",
                                               "refs/bisect").splitlines())
    good = [commit for name, commit in marks.items() if name.startswith("good-")]
    left = must(clone, "rev-list", marks["bad"], "--not", *good).split()
    return left, {commit for name, commit in marks.items() if name.startswith("skip-")} & set(left)


def search(good: str, bad: str, ask) -> tuple[list[str], list[dict]]:
    """(the commits one of which it is, newest first; the comparisons). `ask(commit)` compares."""
    steps = []
    with tempfile.TemporaryDirectory(prefix="mcrelay-bisect-") as folder:
        clone = Path(folder)
        must(clone, "init", "--quiet", "--bare")  # not git clone, which refuses a repository of somebody else
        (clone / "objects/info/alternates").write_text(
            must(ROOT, "rev-parse", "--path-format=absolute", "--git-path", "objects") + "\n", encoding="utf-8")
        must(clone, "update-ref", "--no-deref", "HEAD", bad)
        must(clone, "bisect", "start", "--no-checkout", bad, good)
        left, skipped = candidates(clone)
        while set(left) - skipped - {left[0]}:
            step = ask(must(clone, "rev-parse", "BISECT_HEAD"))
            steps.append(step)
            git(clone, "bisect", FOR_GIT[step["exit"]], step["commit"])  # fails where only skipped ones are left
            before, (left, skipped) = (left, skipped), candidates(clone)
            if (left, skipped) == before:
                say("bisect: git does not go on")
                sys.exit(STATUS[INVALID])
    return left, steps


def conclude(ends: dict, left: list[str]) -> tuple[str, str]:
    """(verdict, why)"""
    if ends["exit"] != STATUS[REGRESSION]:
        return outcome.word_of(ends["exit"]), f"the last commit against the first: {ends['verdict']}, {ends['why']}"
    if len(left) == 1:
        return REGRESSION, f"{left[0][:12]} is the first slower commit: {git(ROOT, 'log', '-1', '--format=%s', left[0])}"
    return INCONCLUSIVE, f"it is one of {len(left)}, which could not be told apart: {', '.join(c[:12] for c in left)}"


def show(document: dict) -> str:
    return table(["commit", f"speed against {document['good'][:12]}", "pairs", "verdict"],
                 [[step["commit"][:12], change(step), str(step["pairs"] or ""), step["verdict"]]
                  for step in document["steps"]], False) + "\n"


def ends_of(good: str, bad: str) -> tuple[str, str]:
    """The commits of these names; exits where there is no way from the one to the other."""
    try:
        first, last = commits.commit(good, ROOT), commits.commit(bad, ROOT)
        if first == last:
            raise commits.Absent(USAGE, f"{good} and {bad} are the same commit, which is no change")
        commits.require_ancestor(first, last, ROOT)
    except commits.Absent as absent:
        say(f"bench: bisect: {absent}")
        sys.exit(absent.status)
    return first, last


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench bisect", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (say(f"bench: bisect: {message}; see 'harness/bench help'"), sys.exit(64))
    parser.add_argument("good")
    parser.add_argument("bad")
    parser.add_argument("--scenario", default="single-hop")
    parser.add_argument("--budget")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    args = parser.parse_args()
    good, bad = ends_of(args.good, args.bad)
    require_results(args.results)
    end_by_signals()

    def ask(commit: str) -> dict:
        return compare(good, commit, args.scenario, args.budget)

    ends = ask(bad)
    left, steps = search(good, bad, ask) if ends["exit"] == STATUS[REGRESSION] else ([], [])
    word, why = conclude(ends, left)
    document = {"schema": 1, "verdict": word, "why": why, "utc": utc_now(), "scenario": args.scenario, "good": good, "bad": bad,
                "candidates": left, "steps": [ends, *steps]}
    folder = keep(args.results, "bisect", f"{good[:12]}-{bad[:12]}", "bisect", document)
    print(show(document))
    print(f"{paint(word, word)}: {why}\n\nresults: {folder / 'bisect.json'}")
    return STATUS[word]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
