"""Which gate catches what: bench planted [--only NAME]... [--results FOLDER]

Plants the changes of harness/selftest/planted.toml, one at a time, each as a commit on top of this one in a copy of the tree, and asks
there what a commit is asked (bench verdict), until one question tells. A change is caught by a REGRESSION, or by an INVALID
that says what the change says it has to, and held back by an INCONCLUSIVE that does; the harmless one has to pass. Writes FOLDER/planted/TIME-COMMIT/planted.{json,md}.
Exits with 0 when each is caught or held back, 3 when one is missed, or the harmless one caught, 4 when a gate could not tell, 5 when a
change could not be planted. Needs root; two hours at most.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from harness import HARNESS, ROOT
from harness.report.tables import paint, table
from harness.result.documents import Faulty
from harness.result.keep import keep, utc_now
from harness.run.child import end_by_signals, require_results
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION, STATUS, UNFIT, USAGE

CANNOT_TELL = (INCONCLUSIVE, UNFIT, INVALID)
CAUGHT, HELD, MISSED, NOT_TOLD = "caught", "held back", "MISSED", "not told"
OPEN, PASSED, FALSE_ALARM = "open", "passed", "FALSE ALARM"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def changes() -> list[dict]:
    return tomllib.loads((HARNESS / "selftest/planted.toml").read_text(encoding="utf-8"))["change"]


def environment() -> dict[str, str]:
    """Ours, without what tells bench or make to do otherwise than by default."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("BENCH_", "MAKE", "MFLAGS", "BUILD"))}


class Copy:
    """A clone of this tree's last commit, in which one change after another is planted."""

    def __init__(self, folder: Path):
        self.root = folder
        self.run("git", "-c", f"safe.directory={ROOT}/.git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
        self.git("config", "user.name", "planted")
        self.git("config", "user.email", "planted@localhost")
        self.base = self.git("rev-parse", "HEAD")

    @staticmethod
    def run(*command: str, inside: Path | None = None) -> str:
        answer = subprocess.run(command, cwd=inside, capture_output=True, text=True, check=False, env=environment())
        if answer.returncode:
            raise Faulty(f"'{' '.join(command[:4])}' failed: {(answer.stderr or answer.stdout).strip()[-300:]}")
        return answer.stdout.strip()

    def git(self, *arguments: str) -> str:
        return self.run("git", "-C", str(self.root), *arguments)

    def plant(self, change: dict) -> None:
        """As a commit on top of the base, built."""
        self.git("reset", "--quiet", "--hard", self.base)
        for edit in change.get("edit", []):
            path = self.root / edit["file"]
            text = path.read_text(encoding="utf-8")
            if text.count(edit["old"]) != 1:
                raise Faulty(f"{change['name']}: {edit['file']} has what it changes {text.count(edit['old'])} times, not once; "
                             f"mend harness/selftest/planted.toml")
            path.write_text(text.replace(edit["old"], edit["new"].replace("{old}", edit["old"])), encoding="utf-8")
        for name in change.get("remove", []):
            shutil.rmtree(self.root / name)
        self.git("commit", "--quiet", "--all", "--message", change["name"])
        self.run("make", "-j2", "all", inside=self.root)

    def ask(self, gate: str, results: Path) -> dict:
        """One question: its answer, as in commit.json; one that was refused before is an answer, too."""
        before = set(results.glob("verdict/*/commit.json"))
        begun = time.monotonic()
        with subprocess.Popen([self.root / "harness/bench", "verdict", "--base", self.base, "--only", gate, "--results", results],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment()) as child:
            try:
                said = child.stderr.read()
                child.wait()
            except BaseException:
                child.terminate()  # it undoes what it did
                child.wait()
                raise
        found = sorted(set(results.glob("verdict/*/commit.json")) - before)
        seconds = round(time.monotonic() - begun, 1)
        if found:
            answer = json.loads(found[0].read_text(encoding="utf-8"))["answers"][0]
            return {"gate": gate, "verdict": answer["verdict"], "why": "; ".join(filter(None, [*answer["figures"], answer["said"]])), "seconds": seconds}
        word = INVALID if child.returncode == STATUS[INVALID] else f"exit {child.returncode}"
        return {"gate": gate, "verdict": word, "why": (said.strip().splitlines() or [""])[-1], "seconds": seconds}


def tells(change: dict, answer: dict) -> bool:
    """A sitting is INVALID or INCONCLUSIVE for many reasons, most of which have nothing to do with what was planted."""
    texts = {INVALID: change.get("invalid", []), INCONCLUSIVE: change.get("inconclusive", [])}.get(answer["verdict"], [])
    return answer["verdict"] == REGRESSION or any(text in answer["why"] for text in texts)


def conclude(change: dict, answers: list[dict]) -> str:
    """What became of a change."""
    words = [answer["verdict"] for answer in answers]
    if change.get("harmless"):
        return (FALSE_ALARM if REGRESSION in words or INVALID in words else
                NOT_TOLD if any(word != PASS for word in words) else PASSED)
    told = [answer["verdict"] for answer in answers if tells(change, answer)]
    if told:
        return HELD if set(told) == {INCONCLUSIVE} else CAUGHT
    return NOT_TOLD if any(word in CANNOT_TELL for word in words) else MISSED


def examine(change: dict, copy: Copy, results: Path) -> dict:
    entry = {"name": change["name"], "what": change["what"], "answers": [], "open": change.get("open")}
    if entry["open"]:
        return entry | {"outcome": OPEN, "seconds": 0.0}
    copy.plant(change)
    for gate in change["gates"]:
        say(f"planted: {change['name']}: {gate}?")
        entry["answers"].append(copy.ask(gate, results))
        say(f"  {entry['answers'][-1]['verdict']}")
        if tells(change, entry["answers"][-1]):
            break
    return entry | {"outcome": conclude(change, entry["answers"]), "seconds": round(sum(a["seconds"] for a in entry["answers"]), 1)}


def overall(outcomes: list[str]) -> str:
    if MISSED in outcomes or FALSE_ALARM in outcomes:
        return REGRESSION
    return INCONCLUSIVE if NOT_TOLD in outcomes else PASS


def show(document: dict, markdown: bool) -> str:
    rows, whys = [], []
    for entry in document["changes"]:
        last = entry["answers"][-1] if entry["answers"] else None
        rows.append([entry["name"], entry["what"], entry["outcome"], ", ".join(f"{a['gate']}: {a['verdict']}" for a in entry["answers"]),
                     f"{entry['seconds']:.0f} s" if last else ""])
        whys.append(f"{'- ' if markdown else '  '}{entry['name']}: {last['why'] if last else 'open: ' + entry['open']}")
    word = document["verdict"]
    ends = {PASS: "each is caught or held back that has to be", REGRESSION: "a gate has missed one, or found what is none: see above",
            INCONCLUSIVE: "a gate could not tell; again, on a quieter machine"}
    return "\n\n".join([table(["change", "what", "", "answers", "after"], rows, markdown), "\n".join(whys),
                        f"{f'**{word}**' if markdown else paint(word, word)}: {ends[word]}"]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench planted", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (say(f"bench: planted: {message}; see 'harness/bench help'"), sys.exit(USAGE))
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="changes whose name has this in it")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    args = parser.parse_args()
    require_results(args.results)
    end_by_signals()
    wanted = [change for change in changes() if not args.only or any(text in change["name"] for text in args.only)]
    if not wanted:
        parser.error(f"no change with '{args.only[0]}' in its name; there are: {', '.join(c['name'] for c in changes())}")
    utc = utc_now()
    with tempfile.TemporaryDirectory(prefix="mcrelay-planted-") as scratch:
        try:
            copy = Copy(Path(scratch) / "tree")
            found = [examine(change, copy, Path(scratch) / "results") for change in wanted]
        except Faulty as fault:
            say(f"bench: planted: {fault}")
            return STATUS[INVALID]
        commit = copy.base[:12]
    document = {"schema": 1, "verdict": overall([entry["outcome"] for entry in found]), "utc": utc, "commit": commit, "changes": found}
    folder = keep(args.results, "planted", commit, "planted", document, show)
    print(show(document, False))
    print(f"results: {folder}")
    return STATUS[document["verdict"]]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
