import json
import os
import tempfile
import unittest
from pathlib import Path

from harness.scenario import scenario
from harness.tests.python.support import agree, HARNESS, control_run, load, program, relay_run, schema
from harness.verdict.fastpath import fastpath

TARGETS = load(HARNESS / "scenario" / "fastpath.json")
SMALL = {
    "variants": [
        {"name": "a", "group": "g", "scenario": "s", "change": {"profile": "gro"}},
        {"name": "b", "group": "g", "scenario": "s", "change": {}, "sut": "kernel"},
        {"name": "c", "group": "h", "scenario": "t", "change": {}, "once": True}],
    "rows": [
        {"name": "ratio", "what": "a to b", "variant": "a", "against": "b", "metric": "egress_1",
         "at_least": 2.0},
        {"name": "loss", "what": "lost", "variant": "c", "metric": "loss", "at_most": 0.01},
        {"name": "full", "what": "exhausted", "variant": "a", "metric": "exhaustion_1", "below": 0.3}]}


def runs(egress_a: float = 500_000, egress_b: float = 250_000, lost: int = 0, rounds: int = 7,
         **changes) -> dict[str, list[dict]]:
    """Quiet rounds, but the first, which a median does not mind."""
    sink = {**relay_run()["sink"], "expected": 1000, "lost": lost}
    return {"a": [relay_run(egress=egress_a * (3 if i == 0 else 1), **changes) for i in range(rounds)],
            "b": [relay_run(egress=egress_b) for _ in range(rounds)],
            "c": [relay_run(sink=sink)]}


def judge(found: dict[str, list[dict]], only: list[str] = (), rounds: int = 7, controls: dict | None = None) -> dict:
    document = json.loads(json.dumps(fastpath.judge(SMALL, found, rounds, list(only), controls or {})))
    schema("fastpath").validate(document)
    return document


def row(document: dict, name: str) -> dict:
    return next(row for row in document["rows"] if row["name"] == name)


class Plan(unittest.TestCase):
    def test_groups_one_after_another_variants_in_turn(self):
        self.assertEqual([line.split("\t")[0] for line in fastpath.plan(SMALL, 2, [])],
                         ["rounds/01/a.control", "rounds/01/a", "rounds/01/b.control", "rounds/01/b", "rounds/02/a", "rounds/02/b",
                          "rounds/01/c.control", "rounds/01/c"])
        self.assertEqual(fastpath.plan(SMALL, 1, [])[:4],
                         ["rounds/01/a.control\ts\tcontrol\tprofile=gro\tcontrol_window_ms=2000",
                          "rounds/01/a\ts\trelay\tprofile=gro",
                          "rounds/01/b.control\ts\tcontrol\tcontrol_window_ms=2000", "rounds/01/b\ts\tkernel"])

    def test_only_what_the_rows_asked_for_need(self):
        self.assertEqual([line.split("\t")[0] for line in fastpath.plan(SMALL, 1, ["full"])],
                         ["rounds/01/a.control", "rounds/01/a"])
        with self.assertRaisesRegex(ValueError, "no row 'x'; there are: ratio loss full"):
            fastpath.plan(SMALL, 1, ["x"])


class Rows(unittest.TestCase):
    def test_all_met(self):
        document = judge(runs())
        self.assertEqual((document["verdict"], document["exit"]), ("met", 0))
        self.assertEqual(row(document, "ratio")["value"], 2.0)
        self.assertEqual(row(document, "ratio")["medians"], {"a": 500_000, "b": 250_000})
        self.assertEqual(document["variants"]["a"]["runs"], [relay_run()["run_id"]] * 7)

    def test_limits_are_kept_on_the_spot_or_not_at_all(self):
        for changes, name, verdict in (({"egress_a": 499_999}, "ratio", "missed"),
                                       ({"lost": 10}, "loss", "met"), ({"lost": 11}, "loss", "missed"),
                                       ({"exhaustion": 0.2999}, "full", "met"),
                                       ({"exhaustion": 0.3}, "full", "missed")):
            with self.subTest(changes=changes):
                document = judge(runs(**changes))
                self.assertEqual(row(document, name)["verdict"], verdict)
                self.assertEqual(document["exit"], 0 if verdict == "met" else 3)

    def test_only(self):
        self.assertEqual([row["name"] for row in judge(runs(), ["loss"])["rows"]], ["loss"])

    def test_a_broken_run_spoils_its_rows_and_no_other(self):
        found = runs()
        found["b"][2]["problems"] = ["ledger of 'r1 in' does not close"]
        document = judge(found)
        self.assertEqual([row["verdict"] for row in document["rows"]], ["invalid", "met", "met"])
        self.assertEqual(document["exit"], 5)
        self.assertEqual(row(document, "ratio")["reasons"],
                         ["b, round 3: ledger of 'r1 in' does not close"])

    def test_a_relay_that_damages_packets_where_somebody_reads_them(self):
        found = runs()
        found["a"][3] = {**found["a"][3], "sink": {**found["a"][3]["sink"], "source": "trafficgen recv", "reordered": 2}}
        document = judge(found)
        self.assertEqual(row(document, "full")["verdict"], "invalid")
        self.assertIn("a, round 4: 2 of ", row(document, "full")["reasons"][0])

    def test_missing_rounds_and_another_binary(self):
        found = runs()
        found["a"].pop()
        self.assertEqual(row(judge(found), "full")["reasons"], ["a: 6 of 7 runs"])
        found = runs()
        found["a"][3]["sut"] = {**found["a"][3]["sut"], "sha256": "0" * 64}
        self.assertEqual(row(judge(found), "full")["reasons"], ["a: the binary changed between rounds"])
        self.assertEqual(judge(dict.fromkeys("abc", []))["exit"], 5)

    def test_nothing_to_compare_with(self):
        self.assertEqual(row(judge(runs(egress_b=0)), "ratio")["verdict"], "invalid")

    def test_a_starved_generator_proves_nothing(self):
        document = judge(runs(offered=700_000))
        self.assertEqual((row(document, "full")["verdict"], document["exit"]), ("unfit", 4))
        self.assertEqual(row(document, "full")["reasons"],
                         ["a: the generator reached 700,000 of 733,000 pps"])
        self.assertEqual(judge(runs(offered=700_000, lost=500))["exit"], 3)

    def test_relays_that_starve_the_generator_miss_what_is_missed(self):
        """Without them it reaches all: half the packets is their doing, and a target that is kept was not asked of all."""
        slow = runs(egress_a=200_000, offered=700_000)
        healthy, starved = ({"a": [control_run(offered=offered)]} for offered in (733_000, 700_000))
        found = row(judge(slow, controls=healthy), "ratio")
        self.assertEqual((found["verdict"], found["reasons"]),
                         ("missed", ["a: the generator reached 700,000 of 733,000 pps, and without the relay all of it"]))
        for controls in (starved, {}, {"a": [control_run(offered=733_000) | {"valid": False}]}):
            self.assertEqual(row(judge(slow, controls=controls), "ratio")["verdict"], "unfit")
        self.assertEqual(row(judge(runs(offered=700_000), controls=healthy), "ratio")["verdict"], "unfit")

    def test_flooded_it_may_reach_what_it_can(self):
        found = runs(offered=700_000)
        for run in found["a"]:
            run["declared"] = {**run["declared"], "rate_pps": "3000000"}
        self.assertEqual(judge(found)["exit"], 0)


class Table(unittest.TestCase):
    def test_reports_of_every_variant_cover_its_window(self):
        """Else it cannot be measured: an answer that came after two minutes and was the same every night."""
        for variant in load(HARNESS / "scenario/fastpath.json")["variants"]:
            values = scenario.values(HARNESS / "scenario", variant["scenario"]) | variant["change"]
            with self.subTest(variant["name"]):
                self.assertLessEqual(10 * int(values.get("report_interval_ms", 100)), int(values["window_ms"]))

    def test_rows_refer_to_variants_and_metrics(self):
        names = [variant["name"] for variant in TARGETS["variants"]]
        self.assertEqual(len(names), len(set(names)))
        for found in TARGETS["rows"]:
            self.assertLessEqual(set(fastpath.variants_of(found)), set(names))
            self.assertIn(found["metric"], fastpath.METRICS)
            self.assertEqual(sum(name in found for name in fastpath.LIMITS), 1)
        used = {name for found in TARGETS["rows"] for name in fastpath.variants_of(found)}
        self.assertEqual(used, set(names))

    def test_terminal_and_markdown(self):
        document = judge(runs())
        text = fastpath.render(document, False)
        self.assertRegex(text, r"a to b +500,000 pps : 250,000 pps +2\.00 +>= 2\.00 +met")
        self.assertIsNone(document["variants"]["a"]["machine_cost_ns_per_forwarded_packet"])
        self.assertRegex(text, r"exhausted +20\.0% +< 30\.0% +met")
        self.assertIn("| a to b | 500,000 pps : 250,000 pps | 2.00 |  | >= 2.00 | met |",
                      fastpath.render(document, True))
        fastpath.render(judge(dict.fromkeys("abc", [])), True)

    def test_what_a_packet_costs_the_whole_machine_stands_beside_it(self):
        found = runs()
        for run in [*found["a"], *found["b"]]:
            run["machine"] = {"cores_busy": 1.5}
        controls = {name: [control_run(offered=800_000, machine={"busy_ns_per_packet_offered": 500.0})] for name in "ab"}
        document = judge(found, controls=controls)
        for name in "ab":
            [forwarded] = {sum(hop["egress_pps"] for hop in run["hops"]) for run in found[name][1:]}
            self.assertAlmostEqual(document["variants"][name]["machine_cost_ns_per_forwarded_packet"],
                                   (1.5e9 - 500.0 * 733_000) / forwarded)
        self.assertRegex(fastpath.render(document, False), r"a to b .* 2\.00 +\d\.\d\d us : \d\.\d\d us +>= 2\.00")

    def test_program(self):
        with tempfile.TemporaryDirectory() as folder:
            targets, sitting = Path(folder) / "targets.json", Path(folder) / "sitting"
            targets.write_text(json.dumps(SMALL))
            sitting.mkdir()
            agree(sitting)
            for name, found in runs(lost=20).items():
                for number, run in enumerate(found, 1):
                    place = sitting / "rounds" / f"{number:02}" / name
                    place.mkdir(parents=True)
                    (place / "result.json").write_text(json.dumps(run))
            done = program("verdict.fastpath.fastpath", "judge", targets, sitting)
            self.assertEqual((done.returncode, done.stderr), (3, ""))
            self.assertIn("missed: 2 of 3 rows met", done.stdout)
            schema("fastpath").validate(load(sitting / "fastpath.json"))
            self.assertIn("| missed |", (sitting / "fastpath.md").read_text())
            self.assertEqual(program("verdict.fastpath.fastpath", "judge", targets, sitting, "--only", "ratio"
                                     ).returncode, 0)
            (sitting / "rounds/02/a/result.json").write_text("{")
            done = program("verdict.fastpath.fastpath", "judge", targets, sitting)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (5, 1))
        self.assertEqual(program("verdict.fastpath.fastpath", "plan", targets).returncode, 64)

    def test_a_table_that_is_none_is_one_line(self):
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "fastpath.json"
            for text, said in ((None, "cannot be read"), ("[" * 100_000, "cannot be read: brackets within brackets"),
                               ("{", "cannot be read"), ("{}", "lacks what a row needs"), ("FIFO", "it is a folder, a FIFO")):
                table.unlink(missing_ok=True)
                if text == "FIFO":
                    os.mkfifo(table)
                elif text is not None:
                    table.write_text(text)
                done = program("verdict.fastpath.fastpath", "plan", table)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (64, 1))
                self.assertIn(f"{table}", done.stderr)
                self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
