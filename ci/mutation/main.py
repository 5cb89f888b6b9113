"""ci/mutants: plants small faults, one at a time, and looks whether a test sees them.

Half of the mutants are written down in ci/mutation/planted.toml, the others are drawn by a seed over the lines of relay/,
trafficgen/ and harness/ and over kinds of faults. Each is made in a copy of the tree and built there; the tests that
should see it run until the first that fails. A failure counts when the same test fails once more on the mutant and passes
on the copy without one; a test that does not end counts as caught, too. A drawn mutant that leaves the programs as they
were, or that does not compile, does not count; another one is drawn. Before a test is asked about a mutant it has to pass
without one: if it does not, nothing would be proven, and the run ends.

What is known is kept in build/mutants, so that a run that was interrupted goes on where it was. Exit status: 0 when at
least 95 % are caught, 1 when fewer are, 2 when nothing could be proven, 64 usage."""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from collections import defaultdict
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from queue import Queue
from threading import Lock

from ci.mutation import mutants, report, sites, tests, tree
from ci.mutation.mutants import Mutant
from ci.mutation.tree import Failed, Tree

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build/mutants"
CAUGHT, SURVIVED, EQUIVALENT = "caught", "survived", "equivalent"
UNCHANGED, BROKEN = "unchanged", "does not compile"  # these do not count
ENOUGH = 0.95
TRIES = 2  # of a test whose failure was not the mutant's


def say(text: str) -> None:
    print(f"mutants: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Store:
    """One file for each mutant, with the tree that it was tried in."""

    def __init__(self, folder: Path, state: str, commit: str, reuse: bool):
        self.folder, self.state, self.commit, self.reuse = folder, state, commit, reuse
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, mutant: Mutant) -> Path:
        return self.folder / f"{mutant.id}.json"

    def known(self, mutant: Mutant) -> dict | None:
        """What was found out about this very mutant. A survivor has to face tests that it has not met."""
        try:
            result = json.loads(self.path(mutant).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if result["text"] != digest(mutant.text):
            return None
        if result["outcome"] == SURVIVED and result["tests"] != list(mutant.tests):
            return None
        return result if result["state"] == self.state or (self.reuse and result["outcome"] != SURVIVED) else None

    def keep(self, mutant: Mutant, outcome: str, by: str = "", said: str = "", seconds: float = 0.0) -> dict:
        result = {"id": mutant.id, "kind": mutant.kind, "file": mutant.file, "line": mutant.line, "old": mutant.old,
                  "new": mutant.new, "random": mutant.random, "why": mutant.why, "outcome": outcome, "by": by, "said": said,
                  "seconds": round(seconds, 1), "state": self.state, "commit": self.commit, "text": digest(mutant.text),
                  "tests": list(mutant.tests)}
        write(self.path(mutant), result)
        return result


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def write(path: Path, document) -> None:
    partial = path.with_name(f".{path.name}")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.rename(path)


class Original:
    """The copy without a mutant: what passes there, and how long that takes."""

    def __init__(self, copy: Tree, path: Path):
        self.copy, self.path = copy, path
        self.locks: defaultdict[str, Lock] = defaultdict(Lock)  # one test is not asked twice at a time
        self.seconds: dict[str, float] = {}
        try:
            self.known: dict[str, dict] = json.loads(path.read_text(encoding="utf-8"))["tests"]
        except (OSError, ValueError, KeyError):
            self.known = {}

    def require(self, name: str) -> None:
        """The test passes, now or as far as is known; else nothing can be proven with it."""
        with self.locks[name]:
            if name in self.seconds:
                return
            state = tree.state_for(self.copy.folder, name.partition(": ")[0])
            for known in (self.known.get(name), self.known.get(name.partition(": ")[0])):
                if known and known["state"] == state:
                    self.seconds[name] = known["seconds"]
                    return
            for attempt in range(1, 4):
                outcome = tests.run(self.copy, name, 1200)
                say(f"without a mutant: {name}: {'passed' if outcome.passed else 'FAILED'} in {outcome.seconds:.0f} s")
                if outcome.passed:
                    break
                say(f"  attempt {attempt}: {outcome.test}: {outcome.said}")
            if not outcome.passed:
                raise Failed(f"{name} fails without a mutant, so nothing is proven: {outcome.test}: {outcome.said}")
            self.seconds[name] = outcome.seconds
            self.known[name] = {"state": state, "seconds": outcome.seconds}
            with self.locks[""]:
                write(self.path, {"tests": dict(self.known)})

    def limit(self, name: str) -> float:
        return max(tests.LEAST_LIMIT_S, tests.SLOWER * self.seconds[name])

    def passes(self, name: str, only: str) -> bool:
        return tests.run(self.copy, name, self.limit(name), only).passed


def try_test(copy: Tree, original: Original, name: str) -> tuple[str, str] | None:
    """(test, what it said) when the mutant makes it fail, and only the mutant does."""
    bats = name.partition(": ")[0].endswith(".bats")
    for _ in range(TRIES):
        outcome = tests.run(copy, name, original.limit(name))
        if outcome.passed:
            return None
        only = outcome.test if bats and not outcome.hang and outcome.test != name.partition(": ")[0] else ""
        again = outcome if outcome.hang else tests.run(copy, name, original.limit(name), only)
        if not again.passed and original.passes(name, only):
            shown = name.partition(": ")[0]
            outcome = outcome if only or outcome.hang else again
            return (f"{shown}: {outcome.test}" if outcome.test and outcome.test != shown else shown,
                    f"hangs: {outcome.said}" if outcome.hang else outcome.said)
        say(f"  {name}: {outcome.test} failed, and not because of the mutant; once more")
    return None


def examine(mutant: Mutant, copy: Tree, original: Original, programs: str, store: Store) -> dict:
    began = time.monotonic()
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    compiled = sites.language(mutant.file, source) == "c"
    if not sites.readable(mutant.file, mutant.text):
        return store.keep(mutant, BROKEN)
    if not compiled and sites.same_program(mutant.file, source, mutant.text):
        return store.keep(mutant, UNCHANGED)
    copy.mutate(mutant.file, mutant.text)
    complaint = copy.build()
    if complaint:
        return store.keep(mutant, BROKEN, said=complaint)
    if compiled and copy.programs() == programs:
        return store.keep(mutant, UNCHANGED)
    for name in mutant.tests:
        original.require(name)
        found = try_test(copy, original, name)
        if found:
            return store.keep(mutant, CAUGHT, *found, time.monotonic() - began)
    return store.keep(mutant, SURVIVED, said=f"{len(mutant.tests)} tests pass", seconds=time.monotonic() - began)


class Run:
    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.commit, self.changed, self.state = tree.state_of(ROOT)
        self.rules = mutants.read("tests.toml")["rule"]
        mutants.check_rules(ROOT, self.rules)
        self.planted = mutants.planted(ROOT, mutants.read("planted.toml")["mutant"])
        self.excused = {entry["id"]: entry["why"] for entry in mutants.read("equivalent.toml").get("mutant", [])}
        self.store = Store(KEPT / "results", self.state, self.commit, options.reuse)
        self.trees: Queue[Tree] = Queue()
        self.results: dict[str, dict] = {}

    def prepare(self) -> None:
        say(f"copies of {self.commit}{' with changes' if self.changed else ''} in {KEPT}")
        copy = Tree(ROOT, KEPT / "trees/original")
        self.original = Original(copy, KEPT / "original.json")
        for one in [copy] + [Tree(ROOT, KEPT / f"trees/{number}") for number in range(self.options.jobs)]:
            one.prepare()
            complaint = one.build()
            if complaint:
                raise Failed(f"does not build without a mutant: {complaint}")
            if one is not copy:
                self.trees.put(one)
        self.programs = copy.programs()
        if any(one.programs() != self.programs for one in list(self.trees.queue)):
            raise Failed("two builds of the same sources differ: whether a mutant changes a program cannot be told")

    def one(self, mutant: Mutant) -> dict:
        known = self.store.known(mutant)
        if mutant.id in self.excused:  # which is not tried at all
            known = self.store.keep(mutant, EQUIVALENT, said=self.excused[mutant.id])
        elif known is None or known["outcome"] == EQUIVALENT:
            copy = self.trees.get()
            try:
                known = examine(mutant, copy, self.original, self.programs, self.store)
            finally:
                copy.restore()
                self.trees.put(copy)
        say(f"{mutant.id} {mutant.kind} {mutant.file}:{mutant.line}: {known['outcome']}"
            + (f" by {known['by']}" if known["by"] else f" ({known['said']})" if known["said"] else ""))
        return known

    def counts(self, result: dict) -> bool:
        return result["outcome"] not in (UNCHANGED, BROKEN)

    def all(self) -> None:
        """The planted, then as many drawn ones as count: always the first that do."""
        draw = mutants.drawn(ROOT, self.rules, self.options.seed)
        queue, wanted = list(self.planted), self.options.random
        with ThreadPoolExecutor(self.options.jobs) as pool:
            pending: dict[Future, Mutant] = {}
            try:
                while queue or wanted or pending:
                    while len(pending) < self.options.jobs and (queue or wanted):
                        if queue:
                            mutant = queue.pop(0)
                        else:
                            mutant, wanted = next(draw), wanted - 1
                        pending[pool.submit(self.one, mutant)] = mutant
                    for done in wait(pending, return_when=FIRST_COMPLETED).done:
                        mutant = pending.pop(done)
                        result = done.result()
                        self.results[mutant.id] = result
                        wanted += mutant.random and result["outcome"] in (UNCHANGED, BROKEN, EQUIVALENT)
            except BaseException:
                for future in pending:
                    future.cancel()
                tree.end_all()
                raise

    def only(self) -> None:
        wanted = set(self.options.only)
        chosen = [mutant for mutant in self.planted if mutant.id in wanted]
        wanted -= {mutant.id for mutant in chosen}
        draw = mutants.drawn(ROOT, self.rules, self.options.seed)
        for _, mutant in zip(range(2000 if wanted else 0), draw):
            if mutant.id in wanted:
                chosen.append(mutant)
                wanted -= {mutant.id}
        if wanted:
            raise Failed(f"no mutant {', '.join(sorted(wanted))} with seed {self.options.seed}; see ci/mutants --list")
        for mutant in chosen:
            self.store.path(mutant).unlink(missing_ok=True)
            self.results[mutant.id] = self.one(mutant)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ci/mutants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = lambda message: (print(f"mutants: {message}; see 'ci/mutants --help'", file=sys.stderr), sys.exit(64))
    parser.add_argument("--only", metavar="ID", action="append", default=[], help="this one alone, anew; may be repeated")
    parser.add_argument("--seed", type=int, default=11, metavar="N", help="what the draw begins with (default 11)")
    parser.add_argument("--random", type=int, metavar="N", help="drawn mutants (default: as many as were planted)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="copies to work in at a time (default 1)")
    parser.add_argument("--list", action="store_true", help="print the mutants, and try none")
    parser.add_argument("--report", action="store_true", help="write ci/mutants.md when done")
    parser.add_argument("--reuse", action="store_true",
                        help="mutants that were caught in an earlier tree count, if their file has not changed; the report "
                             "says so")
    options = parser.parse_args()
    if options.jobs < 1 or (options.random or 0) < 0:
        parser.error("--jobs takes 1 or more, --random 0 or more")
    return options


def show_list(run: Run) -> None:
    draw = mutants.drawn(ROOT, run.rules, run.options.seed)
    for mutant in [*run.planted, *(mutant for _, mutant in zip(range(run.options.random), draw))]:
        known = run.store.known(mutant)
        print(f"{mutant.id:<28} {mutant.kind:<8} {mutant.file}:{mutant.line}: {known['outcome'] if known else 'not tried'}")
        if mutant.random:
            print("\n".join(f"    {sign} {line}" for sign, text in (("-", mutant.old), ("+", mutant.new))
                            for line in text.splitlines()))


def conclude(run: Run) -> int:
    counted = [result for result in run.results.values() if run.counts(result) and result["outcome"] != EQUIVALENT]
    caught = sum(result["outcome"] == CAUGHT for result in counted)
    for result in counted:
        if result["outcome"] == SURVIVED:
            print(f"SURVIVED {result['id']} {result['kind']} {result['file']}:{result['line']}")
    none = [result for result in run.results.values() if not result["random"] and not run.counts(result)]
    if none:
        raise mutants.Stale("\n".join(f"{one['id']} is no mutant, {one['outcome']}: mend it in planted.toml {one['said']}"
                                      for one in none))
    share = caught / len(counted) if counted else 0.0
    print(f"{caught} of {len(counted)} mutants caught ({share:.1%})")
    return 0 if share >= ENOUGH else 1


def alone():
    """Two runs would change the same copies."""
    KEPT.mkdir(parents=True, exist_ok=True)
    lock = open(KEPT / "lock", "a", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Failed(f"another ci/mutants works in {KEPT}; wait for it to end") from error
    return lock


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also of one that was started in the background
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run = Run(options)
        if options.random is None:
            options.random = len(run.planted)
        if options.list:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            show_list(run)
            return 0
        if os.geteuid() != 0:
            raise Failed("the tests need network namespaces; run: sudo ci/mutants")
        lock = alone()  # held as long as it is there
        say(f"seed {options.seed}, {len(run.planted)} planted, {options.random} drawn")
        run.prepare()
        if options.only:
            run.only()
        else:
            run.all()
        if options.report and not options.only:
            (ROOT / "ci/mutants.md").write_text(report.render(list(run.results.values()), {
                "utc": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"), "seed": options.seed,
                "commit": run.commit + (" with changes" if run.changed else ""), "machine": report.machine(),
                "excused": run.excused}), encoding="utf-8")
        lock.close()
        return conclude(run)
    except (Failed, mutants.Stale) as reason:
        print("\n".join(f"mutants: {line}" for line in str(reason).splitlines()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        tree.end_all()
        print("mutants: interrupted; what is known is kept, the next run goes on from there", file=sys.stderr)
        return 130
