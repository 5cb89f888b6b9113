"""instructions.py: from what callgrind writes to a verdict."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import HARNESS
from harness.result.documents import Faulty
from harness.tests.python.support import load, schema
from harness.verdict.budget import instructions

CASES = ("one rule", "one rule of 100", "one rule of 1,000")
# function -> of each packet; a call of the library for each; the driver's own functions, and the library's, count for nothing
FUNCTIONS = {"forward.c: fan_out_one": 80, "packet.c: packet_parse": 100}
PACKETS = 1000

CALLGRIND = """# callgrind format
version: 1
creator: callgrind-3.19.0
pid: 7
cmd:  build/packet_path
part: {number}


desc: Timerange: Basic block 0 - 100
desc: Trigger: Client Request: {case}

positions: line
events: Ir
summary: 5


ob=(1) /lib/libc.so.6
fl=(1) ./string/memcpy.c
fn=(1) memcpy
10 7000

ob=(2) /build/packet_path
fl=(2) ./relay/tests/cost/packet_path.c
fn=(2) io_uring_submit
20 9000
+5 9000

fl=(3) ./relay/worker/forward.c
fn=(3) fan_out_one.isra.0
30 {first}
fi=(4) ./relay/contract/counters.h
138 {inlined}
fe=(3)
+2 0
cob=(1)
cfi=(1)
cfn=(1)
calls={calls} 10
* 7000
cfi=(5) ./relay/worker/packet.c
cfn=(4) packet_parse
calls=1000 40
-1 99999

fl=(5)
fn=(4)
40 {parse}
calls=3 41
+1 5
"""


def write_counts(folder: Path, changes: dict | None = None, cases: dict | None = None, calls: int = PACKETS,
                 compiler: str = "gcc 12; -O2; x86_64") -> None:
    """As packet_path and callgrind leave them. `changes`: of every case; `cases`: of one case each."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = []
    for number, case in enumerate(CASES, 1):
        counts = FUNCTIONS | (changes or {}) | (cases or {}).get(case, {})
        fan_out, parse = (round(PACKETS * count) for count in counts.values())
        (folder / f"callgrind.out.{number}").write_text(CALLGRIND.format(
            number=number, case=case, first=fan_out - 500, inlined=500, calls=calls, parse=parse).replace("calls=3 41\n+1 5\n", ""))
        lines.append(json.dumps({"case": case, "unit": "packet", "count": PACKETS}))
    (folder / "cases.ndjson").write_text("\n".join(lines) + "\n")
    (folder / "compiler").write_text(compiler + "\n")


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name) / "instructions"
        self.baselines = Path(scratch.name) / "baselines"
        self.baselines.mkdir()
        write_counts(self.folder / "here")

    def judge(self) -> dict:
        found = instructions.of_sitting(self.folder, self.baselines)
        schema("budget").evolve(schema=schema("budget").schema["properties"]["instructions"]).validate(found)
        return found

    def accept(self) -> None:
        instructions.accept(self.folder, self.baselines, {"commit": "a" * 12, "utc": "2026-11-28T20:00:00Z"})
        schema("instructions").validate(load(self.baselines / "instructions.json"))


class Counting(Scratch):
    def test_own_functions_with_what_is_inlined_in_them(self):
        counted = instructions.read_counts(self.folder / "here")["one rule"]
        self.assertEqual(counted.functions, FUNCTIONS)
        self.assertEqual((counted.unit, counted.instructions, counted.calls), ("packet", 180, 1))

    def test_names_are_those_of_the_source(self):
        for name, expected in (("reap", "reap"), ("read_slot.isra.0", "read_slot"), ("prepare_queued.part.0", "prepare_queued"),
                               ("worker_main'2", "worker_main"), ("look.constprop.0.isra.0", "look"), ("add.cold", "add")):
            self.assertEqual(instructions.CLONE.sub("", name), expected)

    def test_a_call_within_the_file_is_none_of_a_library(self):
        path = self.folder / "here/callgrind.out.1"
        path.write_text(path.read_text() + "calls=500 41\n+1 5\n+1 1000\n")
        counted = instructions.read_counts(self.folder / "here")["one rule"]
        self.assertEqual((counted.instructions, counted.calls), (181, 1))

    def test_what_is_none_is_said(self):
        here = self.folder / "here"
        for name, text, said in (("callgrind.out.2", "fn=(7)\n", "not what callgrind writes"),
                                 ("callgrind.out.2", "", "no instruction of the relay's own"),
                                 ("callgrind.out.2", (here / "callgrind.out.1").read_text(), "is of 'one rule', not of 'one rule of 100'"),
                                 ("cases.ndjson", "", "had no case"), ("cases.ndjson", "{}\n", "not what packet_path writes"),
                                 ("cases.ndjson", "[", "not what packet_path writes")):
            with self.subTest(said):
                write_counts(here)
                (here / name).write_text(text)
                with self.assertRaisesRegex(Faulty, said):
                    self.judge()
        write_counts(here)
        (here / "callgrind.out.3").unlink()
        with self.assertRaisesRegex(Faulty, "No such file"):
            self.judge()
        write_counts(here)
        (here / "compiler").unlink()
        with self.assertRaisesRegex(Faulty, "not known what built"):
            self.judge()


class Judging(Scratch):
    def test_what_was_accepted_passes_and_little_more_does(self):
        self.accept()
        self.assertEqual((self.judge()["verdict"], self.judge()["budgets"]), ("PASS", "instructions.json"))
        for parse, expected in ((100.8, "PASS"), (101, "REGRESSION"), (50, "PASS")):
            with self.subTest(parse):
                write_counts(self.folder / "here", {"packet.c: packet_parse": parse})
                self.assertEqual(self.judge()["verdict"], expected)

    def test_the_function_that_has_grown_is_named_and_no_other(self):
        self.accept()
        write_counts(self.folder / "here", {"packet.c: packet_parse": 108, "forward.c: fan_out_one": 79})
        said = instructions.reasons(self.judge())
        self.assertEqual(said[0], "one rule: 187.0 instructions instead of 180.0 for each packet: packet.c: packet_parse +8.0")
        self.assertEqual(len(said), len(CASES))

    def test_a_call_more_for_each_packet_is_a_regression(self):
        self.accept()
        write_counts(self.folder / "here", calls=2 * PACKETS)
        found = self.judge()
        self.assertEqual(found["verdict"], "REGRESSION")
        self.assertIn("2.000 calls instead of 1.000", instructions.reasons(found)[0])

    def test_a_cost_that_grows_with_the_rules_needs_no_budget_to_be_seen(self):
        write_counts(self.folder / "here", cases={"one rule of 1,000": {"packet.c: packet_parse": 4100}})
        found = self.judge()
        self.assertEqual((found["verdict"], found["budgets"]), ("REGRESSION", None))
        self.assertEqual(instructions.reasons(found), [
            "one rule of 1,000: 4,180.0 instructions a packet, with one rule alone 180.0: the cost grows with the rules: "
            "packet.c: packet_parse +4,000.0"])

    def test_without_a_budget_nothing_else_is_judged_and_it_is_said(self):
        found = self.judge()
        self.assertEqual((found["verdict"], found["budgets"]), ("PASS", None))
        self.assertIn("none yet: bench budget --accept", instructions.shown(found))
        self.assertIn("new", instructions.shown(found))

    def test_another_compiler_s_budget_is_none_and_the_base_is_counted_instead(self):
        self.accept()
        write_counts(self.folder / "here", {"packet.c: packet_parse": 300}, compiler="gcc 13; -O2; x86_64")
        self.assertEqual((self.judge()["verdict"], self.judge()["budgets"]), ("PASS", None))
        write_counts(self.folder / "base", {"packet.c: packet_parse": 290}, compiler="gcc 13; -O2; x86_64")
        (self.folder / "base/commit").write_text("c" * 40 + "\n")
        found = self.judge()
        self.assertEqual((found["verdict"], found["budgets"]), ("REGRESSION", "cccccccccccc, built by this compiler"))
        write_counts(self.folder / "base", compiler="gcc 14; -O2; x86_64")
        with self.assertRaisesRegex(Faulty, "the base was built by gcc 14"):
            self.judge()

    def test_a_case_that_is_gone_has_not_passed(self):
        self.accept()
        path = self.folder / "here/cases.ndjson"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
        with self.assertRaisesRegex(Faulty, "does not count any more: one rule of 1,000"):
            self.judge()

    def test_the_budgets_in_force_are_as_the_schema_says(self):
        schema("instructions").validate(load(HARNESS.parent / "baselines/instructions.json"))


if __name__ == "__main__":
    unittest.main()
