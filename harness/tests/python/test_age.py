"""age.py and counters.py: from the runs of a sitting to a verdict, with files on disk."""

import json
import tempfile
import unittest
from pathlib import Path

from harness import ROOT
from harness.result import living
from harness.result.documents import Faulty
from harness.tests.python.support import agree, load, program, relay_run, schema, verified_run
from harness.verdict.age import age, counters, newest
from harness.verdict.capacity import last
from harness.verdict.commit import answers

SHA256 = relay_run()["sut"]["sha256"]
NOISE = (0.010, -0.004, 0.003, -0.009, 0.006, -0.002, 0.004, -0.007, 0.008, -0.003, 0.001, -0.006)


def told(packets: int, **more) -> dict:
    """What counters.py finds in a run at whose end the relay has received so many."""
    before = {"cpu_ns": packets - 1, "total.recv_packets": packets - 1, "worker 0.restarts": 0}
    return {"hops": {"r1": {"reports": 10, "backwards": [], "first": before,
                            "last": {"cpu_ns": packets, "total.recv_packets": packets, "worker 0.restarts": 0}, "rss_bytes": 1} | more}}


class Sitting(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.packets = 0
        agree(self.folder)
        for number in (1, 2, 3):
            self.load(number)
        self.snapshot("start", 9 << 20, 30)
        for number in (1, 2, 3):
            self.snapshot(f"load/{number:02}", 9 << 20, 30)
        (self.folder / "changes.log").write_text("add ok\nremove ok\n" * 10)

    def run_of(self, place: str, run: dict, **counted) -> None:
        folder = self.folder / place
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(run))
        if not place.endswith("base"):
            self.packets += 1000
            (folder / "counters.json").write_text(json.dumps(told(self.packets, **counted)))

    def load(self, number: int, lost: float = 0.0) -> None:
        run = relay_run()
        run["hops"][0]["loss_ratio"] = lost
        run["sink"].update(expected=100_000, lost=round(100_000 * lost))
        self.run_of(f"load/{number:02}", run)

    def pairs(self, block: str, count: int, change: float = 0.0, first: int = 1, **more) -> None:
        """The old relay sends (1 + change) times as much as the fresh one."""
        for number in range(first, first + count):
            for who, egress in (("base", 370_000), ("head", 370_000 * (1 + change) * (1 + NOISE[(number - 1) % len(NOISE)]))):
                self.run_of(f"{block}/{number:02}/{who}", relay_run(egress=egress, **more))

    def snapshot(self, when: str, own_bytes: int, descriptors: int) -> None:
        with (self.folder / "processes.ndjson").open("a") as file:
            for share in (1, 3):  # a supervisor and a worker
                file.write(json.dumps({"when": when, "uptime_ms": 1000, "hop": "r1", "pid": share, "rss_bytes": own_bytes,
                                       "own_bytes": own_bytes * share // 4, "descriptors": descriptors * share // 4 + share % 2,
                                       "threads": 1}) + "\n")

    def ask(self) -> list[str]:
        answer = program("verdict.age.age", "ask", self.folder, "--metric", "egress_pps", "--sha256", SHA256)
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        return answer.stdout.splitlines()

    def finish(self, kind: str = "age", status: int = 0) -> dict:
        answer = program("verdict.age.age", "finish", self.folder, "--kind", kind, "--metric", "egress_pps", "--sha256", SHA256)
        self.assertEqual((answer.returncode, answer.stderr), (status, ""))
        document = load(self.folder / "age.json")
        schema("age").validate(document)
        for reason in document["reasons"]:
            self.assertIn(reason, answer.stdout)
        self.assertTrue(answers.figures(document))
        return document


class Speed(Sitting):
    def test_as_fast_as_a_fresh_one(self):
        self.pairs("young", 3)
        self.assertEqual(self.ask(), [f"old {number:02}" for number in range(1, 7)])
        self.pairs("old", 6)
        self.assertEqual(self.ask(), [])
        document = self.finish()
        self.assertEqual(document["verdict"], "PASS")
        self.assertEqual(document["counters"]["packets"], self.packets)

    def test_a_loss_is_confirmed_by_fresh_pairs(self):
        self.pairs("old", 6, -0.3)
        self.assertEqual(self.ask(), [f"confirmation {number:02}" for number in range(1, 7)])
        self.pairs("confirmation", 6, -0.3)
        self.assertEqual(self.ask(), [])
        document = self.finish(status=3)
        self.assertTrue(document["reasons"][0].startswith("speed: a loss of more than 5%"), document["reasons"])

    def test_more_pairs_where_six_do_not_tell(self):
        self.pairs("old", 6, -0.05)
        self.assertEqual(self.ask(), [f"old {number:02}" for number in range(7, 13)])
        self.pairs("old", 6, -0.05, first=7)
        self.assertEqual(self.ask(), [])
        self.assertEqual(self.finish(status=4)["verdict"], "INCONCLUSIVE")

    def test_latency_is_judged_by_its_own_figures(self):
        waits = {"count": 9, "p50": 10_000, "p99": 50_000, "p99_9": 90_000, "max": 300_000, "worst_of_second": 200_000}
        for block, times in (("old", 1.0), ("confirmation", 8.0)):
            for number in range(1, 9):
                for who, factor in (("base", 1.0), ("head", times * (1 + NOISE[number]))):
                    self.run_of(f"{block}/{number:02}/{who}", verified_run(sink={"latency_ns": {key: value * factor for key, value in waits.items()}}))
            words = ("--metric", "latency", "--sha256", SHA256)
            self.assertEqual(program("verdict.age.age", "ask", self.folder, *words).stdout, "")
            if block == "old":
                answer = program("verdict.age.age", "finish", self.folder, "--kind", "age", *words)
                self.assertEqual((answer.returncode, load(self.folder / "age.json")["tolerance"]), (0, None), answer.stdout)
                for path in self.folder.glob("old/*/head/result.json"):
                    run = load(path)
                    run["sink"]["latency_ns"] = {key: value * 8 for key, value in run["sink"]["latency_ns"].items()}
                    path.write_text(json.dumps(run))
        answer = program("verdict.age.age", "finish", self.folder, "--kind", "age", *words)
        self.assertEqual(answer.returncode, 3)
        self.assertIn("speed: half of the packets: a wait that is longer by more than 25% is proven by 8 pairs", answer.stdout)

    def test_a_sitting_that_was_cut_short(self):
        self.pairs("old", 3)
        document = self.finish(status=4)
        self.assertIn("ended before", document["reasons"][0])


class Worse(Sitting):
    """What is proven besides the speed, each by itself."""

    def setUp(self):
        super().setUp()
        self.pairs("old", 6)

    def assert_worse(self, *texts: str, kind: str = "age") -> None:
        document = self.finish(kind, status=3)
        self.assertEqual(len(document["reasons"]), 1, document["reasons"])
        for text in texts:
            self.assertIn(text, document["reasons"][0])

    def test_memory(self):
        self.snapshot("old/06", (9 << 20) + (2 << 20), 30)
        self.assert_worse("memory", "2.0 MiB more", "9.0 -> 11.0")

    def test_memory_within_what_is_allowed(self):
        self.snapshot("old/06", (9 << 20) + (1 << 19), 33)
        self.finish()

    def test_descriptors(self):
        self.snapshot("old/06", 9 << 20, 40)
        self.assert_worse("descriptors: 31 -> 42")

    def test_a_counter_that_goes_backwards_in_a_run(self):
        self.run_of("old/07/base", relay_run())
        self.run_of("old/07/head", relay_run(), backwards=[{"counter": "total.matched", "from": 4294967295, "to": 5, "time_ns": 7}])
        self.assert_worse("counters went backwards: total.matched", "from 4,294,967,295 to 5")

    def test_a_counter_that_goes_backwards_between_runs(self):
        path = self.folder / "old/06/head/counters.json"
        document = load(path)
        document["hops"]["r1"]["first"]["total.recv_packets"] = 3
        path.write_text(json.dumps(document))
        self.assert_worse("counters went backwards: total.recv_packets")

    def test_what_is_broken_by_a_wrapped_counter_is_no_excuse(self):
        self.run_of("old/07/base", relay_run())
        self.run_of("old/07/head", relay_run(valid=False, problems=["ledger of 'r1 in' does not close"]),
                    backwards=[{"counter": "total.matched", "from": 4294967295, "to": 5, "time_ns": 7}])
        document = self.finish(status=3)
        self.assertIn("went backwards", document["reasons"][0])
        self.assertIn("does not close", document["reasons"][1])

    def test_a_worker_that_was_started_again(self):
        path = self.folder / "old/06/head/counters.json"
        document = load(path)
        document["hops"]["r1"]["last"]["worker 0.restarts"] = 2
        path.write_text(json.dumps(document))
        self.assert_worse("workers were started again, 2 times")

    def test_a_change_of_rules_that_was_refused(self):
        with (self.folder / "changes.log").open("a") as file:
            file.write("add no memory\n")
        self.assert_worse("rules: 1 of 21 changes were refused: add no memory")

    def test_damage_of_the_old_relay_alone(self):
        self.run_of("read-old/01/base", verified_run())
        self.run_of("read-old/01/head", verified_run({"corrupt": 4}))
        self.assert_worse("read-old/01: 4 of 100,000 packets: sink socket: corrupt")

    def test_latency(self):
        for number, times in ((1, 6), (2, 8)):
            for who, p99 in (("base", 50_000), ("head", 50_000 * times)):
                self.run_of(f"read-old/{number:02}/{who}", verified_run(sink={"latency_ns": {
                    "count": 9, "p50": 10_000, "p99": p99, "p99_9": p99, "max": p99}}))
        self.assert_worse("latency: p99 is 6.0 times as long")

    def test_a_soak_that_loses_more_and_more(self):
        for number in range(4, 10):
            self.load(number, 0.0 if number < 7 else 0.003)
        self.assert_worse("loss: the last loads lost 0.300%", "0.000%", kind="soak")

    def test_a_soak_that_lost_more_than_it_should_all_along(self):
        for number in range(4, 10):
            self.load(number, 0.02)
        (self.folder / "load/01/result.json").write_text((self.folder / "load/04/result.json").read_text())
        (self.folder / "load/02/result.json").write_text((self.folder / "load/04/result.json").read_text())
        (self.folder / "load/03/result.json").write_text((self.folder / "load/04/result.json").read_text())
        self.assertEqual(self.finish("soak", status=4)["verdict"], "INCONCLUSIVE")


class Broken(Sitting):
    def test_a_run_that_does_not_count(self):
        self.pairs("old", 5)
        self.pairs("old", 1, first=6, valid=False, problems=["no packet got that far"])
        self.assertEqual(self.ask(), [])
        self.assertIn("old/06, old relay: no packet got that far", self.finish(status=5)["reasons"])

    def test_another_program(self):
        self.pairs("old", 6)
        answer = program("verdict.age.age", "finish", self.folder, "--kind", "age", "--metric", "egress_pps", "--sha256", "0" * 64)
        self.assertEqual(answer.returncode, 5)

    def test_files_that_are_none(self):
        self.pairs("old", 6)
        (self.folder / "processes.ndjson").write_text("{")
        answer = program("verdict.age.age", "finish", self.folder, "--kind", "age", "--metric", "egress_pps", "--sha256", SHA256)
        self.assertEqual(answer.returncode, 5)
        self.assertIn("processes.ndjson", answer.stderr)
        self.assertEqual(answer.stderr.count("\n"), 1)

    def test_counters_that_are_none(self):
        self.pairs("old", 6)
        (self.folder / "load/01/counters.json").write_text('{"hops": {"r1": {}}}')
        answer = program("verdict.age.age", "finish", self.folder, "--kind", "age", "--metric", "egress_pps", "--sha256", SHA256)
        self.assertEqual((answer.returncode, answer.stderr.count("\n")), (5, 1))

    def test_a_hundred_loads_are_in_their_order(self):
        self.pairs("old", 6)
        for number in (99, 100):
            self.load(number)
            path = self.folder / f"load/{number:02}/result.json"
            path.write_text(json.dumps(load(path) | {"utc": f"2026-11-29T00:00:{number - 90:02}Z"}))
        self.assertEqual([run["utc"][-3:] for run in age.loads_of(self.folder)[-2:]], ["09Z", "10Z"])

    def test_nothing(self):
        with tempfile.TemporaryDirectory() as empty:
            answer = program("verdict.age.age", "finish", empty, "--kind", "age", "--metric", "egress_pps", "--sha256", SHA256)
        self.assertEqual(answer.returncode, 5)


def report(time_ns: int, packets: int, **more) -> dict:
    return {"time_ns": time_ns, "cpu_ns": packets * 10, "rss_bytes": 5, "total": {"recv_packets": packets, "histograms": {"x": [[1, packets]]}},
            "workers": [{"index": 0, "restarts": 0, "counters": {"recv_packets": packets}}],
            "rules": [{"id": "bench", "matched": packets, "matched_bytes": packets}],
            "outputs": [{"interface": "out0", "group": "239.1.1.1", "port": 5, "sent": packets, "sent_bytes": packets, "errors": {"EPERM": 0}}]} | more


class Counters(unittest.TestCase):
    def test_growing(self):
        found = counters.examine([report(1, 5), report(2, 9), report(3, 9)])
        self.assertEqual((found["reports"], found["backwards"], found["last"]["total.recv_packets"]), (3, [], 9))

    def test_backwards(self):
        found = counters.examine([report(1, 5), report(2, 3)])
        names = {step["counter"] for step in found["backwards"]}
        self.assertEqual(names, {"total.recv_packets", "total.histograms.x.1", "cpu_ns", "worker 0.recv_packets", "rule bench.matched",
                                 "rule bench.matched_bytes", "output out0 239.1.1.1:5.sent", "output out0 239.1.1.1:5.sent_bytes"})
        self.assertEqual(found["backwards"][0]["time_ns"], 2)

    def test_the_rule_that_comes_and_goes_counts_from_0_each_time(self):
        passing = {"id": "bench-age", "matched": 7, "matched_bytes": 7}
        self.assertEqual(counters.examine([report(1, 5, rules=[passing]), report(2, 5, rules=[passing | {"matched": 0}])])["backwards"], [])

    def test_what_is_no_series(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "raw").mkdir()
            (Path(folder) / "raw/r1.series.ndjson").write_text("")
            self.assertEqual(program("verdict.age.counters", folder).returncode, 5)
            (Path(folder) / "raw/r1.series.ndjson").write_text('{"total": 1}\n')
            answer = program("verdict.age.counters", folder)
            self.assertEqual((answer.returncode, answer.stderr.count("\n")), (5, 1))


class Change(unittest.TestCase):
    def test_of_a_run(self):
        found = living.change([report(1, 5), report(2, 9)], "r1")
        self.assertEqual((found["total"]["recv_packets"], found["outputs"][0]["sent"], found["rss_bytes"]), (4, 4, 5))

    def test_of_an_output_that_is_new(self):
        found = living.change([report(1, 5, outputs=[]), report(2, 9)], "r1")
        self.assertEqual(found["outputs"][0]["sent"], 9)

    def test_of_one_report(self):
        with self.assertRaises(Faulty):
            living.change([report(1, 5)], "r1")


class NewestSoak(unittest.TestCase):
    def entry(self, **more) -> dict:
        return {"utc": "2026-11-02T00:00:00Z", "kind": "soak", "commit": "abc", "verdict": "PASS", "scenario": "a", "seconds": 3700.0} | more

    def soak(self, *entries: dict) -> dict | None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m/age/2026-11.ndjson"
            path.parent.mkdir(parents=True)
            path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
            return newest.soak(Path(folder), "m", Path(folder))

    def test_the_newest(self):
        found = self.soak(self.entry(), self.entry(utc="2026-11-01T00:00:00Z", verdict="REGRESSION"), self.entry(kind="age", utc="2026-11-03T00:00:00Z"))
        self.assertEqual((found["verdict"], found["commits_ago"]), ("PASS", None))
        self.assertIn("of a commit that is not known here (abc): PASS", newest.said(found))
        self.assertIsNone(self.soak())

    def test_commits(self):
        self.assertEqual(newest.commits_since("HEAD", ROOT), 0)
        self.assertIsNone(newest.commits_since("nonsense", ROOT))
        for number, text in ((0, "of this commit"), (1, "1 commit ago"), (7, "7 commits ago")):
            self.assertIn(text, newest.said(self.soak(self.entry()) | {"commits_ago": number}))

    def test_what_it_makes_of_a_pass(self):
        good, short, bad = (self.soak(self.entry(**more)) for more in ({}, {"seconds": 600.0}, {"verdict": "REGRESSION"}))
        for found, word in ((good, "PASS"), (short, "INCONCLUSIVE"), (None, "INCONCLUSIVE"), (bad, "REGRESSION")):
            self.assertEqual(newest.over("PASS", [], found)[0], word)
        self.assertEqual(newest.over("UNFIT", ["x"], bad), ("UNFIT", ["x"]))
        self.assertIn("it has to be an hour", newest.over("PASS", [], short)[1][0])


class LastCapacity(unittest.TestCase):
    def test_the_newest_that_has_a_bound(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "m/capacity/2026-11.ndjson"
            path.parent.mkdir(parents=True)
            path.write_text("".join(json.dumps({"utc": f"2026-11-{day}T00:00:00Z", "scenario": scenario, "goals": goals}) + "\n" for day, scenario, goals in (
                ("03", "a", {"pdr": {"lower_pps": None}}), ("02", "a", {"ndr": {"lower_pps": 5.0}, "pdr": {"lower_pps": 7.0}}),
                ("01", "a", {"pdr": {"lower_pps": 9.0}}), ("04", "b", {"ndr": {"lower_pps": 3.0}}))) + "nonsense\n")
            self.assertEqual(last.lower(Path(folder), "m", "a"), 7.0)
            self.assertEqual(last.lower(Path(folder), "m", "b"), 3.0)
            self.assertIsNone(last.lower(Path(folder), "m", "c"))
            self.assertIsNone(last.lower(Path(folder), "n", "a"))
            answer = program("verdict.capacity.last", folder, "m", "a")
            self.assertEqual((answer.returncode, answer.stdout), (0, "7\n"))


if __name__ == "__main__":
    unittest.main()
