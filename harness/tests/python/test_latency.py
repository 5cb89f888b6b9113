"""latency.py, and what compare.py makes of runs whose packets were read."""

import json
import tempfile
import unittest
from math import log
from pathlib import Path

import numpy as np

from harness.tests.python.support import control_run, program, relay_run, schema, verified_run
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, PASS, REGRESSION
from harness.verdict.paired import compare, latency, paired, waits

WOBBLE = (0.05, -0.04, 0.02, -0.06, 0.03, -0.02, 0.06, -0.03, 0.04, -0.05, 0.01, -0.01)
NS = {"p50": 15_000, "p99": 40_000, "p99_9": 80_000, "worst_of_second": 300_000, "max": 900_000}
SHA256 = relay_run()["sut"]["sha256"]


def observed(pairs: int, **times: float) -> dict[str, list[float]]:
    """Of each figure; head's waits are so many times base's."""
    return {figure.key: [WOBBLE[i % 12] - log(times.get(figure.key, 1.0)) for i in range(pairs)] for figure in latency.FIGURES}


class Decide(unittest.TestCase):
    def decide(self, first: dict, confirmation: dict | None = None, lost: float = 0.0):
        blocks = {paired.FIRST: first, paired.CONFIRMATION: confirmation or observed(0)}
        return latency.decide(*blocks.values(), {name: [lost] * len(block["p50"]) for name, block in blocks.items()})

    def test_alike(self):
        decision, found = self.decide(observed(8))
        self.assertEqual((decision.verdict, decision.pairs), (PASS, 8))
        self.assertEqual({one.verdict for one in found.values()}, {PASS})
        self.assertIn("half of the packets 25%", decision.reasons[0])

    def test_too_few_pairs(self):
        decision, _ = self.decide(observed(3))
        self.assertEqual((decision.verdict, decision.block, decision.needs), (MORE, paired.FIRST, 8))

    def test_each_figure_alone(self):
        for figure in latency.FIGURES:
            times = {figure.key: (1.0 + figure.rise) * 2}
            decision, found = self.decide(observed(8, **times))
            self.assertEqual((decision.verdict, decision.block, decision.needs), (MORE, paired.CONFIRMATION, 8), figure.key)
            decision, found = self.decide(observed(8, **times), observed(8, **times))
            self.assertEqual(decision.verdict, REGRESSION, figure.key)
            self.assertEqual([key for key, one in found.items() if one.verdict == REGRESSION], [figure.key])
            self.assertTrue(decision.reasons[0].startswith(f"{figure.title}: a wait that is longer by more than {figure.rise:.0%} is proven"))
            self.assertLess(decision.p_value, 0.001)

    def test_a_rise_that_fresh_pairs_do_not_confirm(self):
        decision, _ = self.decide(observed(8, p99=5.0), observed(8))
        self.assertEqual(decision.verdict, INCONCLUSIVE)
        self.assertIn("do not confirm it", decision.reasons[0])

    def test_what_is_allowed_is_allowed(self):
        decision, _ = self.decide(observed(16, p50=1.1, p99=1.4, p99_9=1.8, worst_of_second=1.8))
        self.assertEqual(decision.verdict, PASS)

    def test_as_much_as_is_allowed_stays_open(self):
        decision, found = self.decide(observed(16, p99=2.0))
        self.assertEqual((decision.verdict, decision.pairs), (INCONCLUSIVE, 16))
        self.assertEqual(found["p50"].verdict, PASS)
        self.assertIn("99 % of the packets: after 16 pairs a wait that is longer by 100% is neither excluded nor proven", decision.reasons[0])

    def test_packets_that_are_lost(self):
        decision, _ = self.decide(observed(16), observed(16), lost=0.01)
        self.assertEqual((decision.verdict, decision.by), (REGRESSION, paired.PACKETS))

    def test_a_rise_for_people(self):
        self.assertAlmostEqual(latency.rise(-0.5), 1.0)
        self.assertAlmostEqual(latency.rise(0.25), -0.2)
        self.assertIsNone(latency.rise(-1.0))
        self.assertIsNone(latency.rise(None))

    def test_the_figures_share_the_error(self):
        self.assertAlmostEqual(sum(figure.rule.error for figure in latency.FIGURES), latency.ERROR)


def read_run(times: float = 1.0, **sink) -> dict:
    return verified_run(sink={"longest_gap_ms": 2.0, "latency_ns": {"count": 9, **{key: value * times for key, value in NS.items()}}} | sink)


def pairs_of(count: int, times: float = 1.0, direct: float = 1.0, **head) -> list[dict]:
    found = []
    for i in range(count):
        control = control_run(sink=read_run(direct)["sink"]) if i % 2 == 0 else None
        found.append({"pair": f"{i + 1:02}", "base": read_run(1.0 + WOBBLE[i % 12]), "head": read_run(times) | head, "control": control})
    for pair in found:
        for run in filter(None, (pair["base"], pair["head"], pair["control"])):
            run["declared"] = read_run()["declared"] | {"rate_pps": "733000"}
            run["placement"] = {"gen": 0, "r1": 1} | ({} if run is pair["control"] else {"sink": None})
    return found


class Judge(unittest.TestCase):
    def judge(self, first: list[dict], confirmation: list[dict] = ()) -> dict:
        blocks = {paired.FIRST: first, paired.CONFIRMATION: list(confirmation)}
        found = compare.judge(blocks, first[0]["base"]["scenario"], "latency", {"base": SHA256, "head": SHA256})
        for pairs in compare.describe(blocks, "latency").values():
            for pair in pairs:
                schema("compare", "pair").validate(pair)
        for told in found.get("figures", {}).values():
            schema("compare").evolve(schema=schema("compare").schema["$defs"]["scenario"]["properties"]["figures"]).validate(
                json.loads(json.dumps({"p50": told})))
        return found

    def test_alike(self):
        found = self.judge(pairs_of(8))
        self.assertEqual(found["verdict"], PASS, found["reasons"])
        self.assertEqual((found["figures"]["p99"]["base_ns"] > 0, found["figures"]["p99"]["direct_ns"]), (True, NS["p99"]))
        self.assertLess(found["figures"]["p99"]["rise"], 0.1)

    def test_before_the_first_pair(self):
        found = compare.judge({paired.FIRST: [], paired.CONFIRMATION: []}, "s", "latency", {"base": SHA256, "head": SHA256})
        self.assertEqual((found["verdict"], found["needs"], found["figures"]), (MORE, 8, {}))

    def test_longer(self):
        found = self.judge(pairs_of(8, 5.0), pairs_of(8, 5.0))
        self.assertEqual(found["verdict"], REGRESSION)
        self.assertGreater(found["figures"]["p99"]["rise_at_least"], 2.0)
        rows = waits.rows(found["figures"])
        self.assertEqual([row[0] for row in rows], [figure.title for figure in latency.FIGURES])

    def test_a_machine_that_takes_long_without_a_relay_has_no_pass(self):
        found = self.judge(pairs_of(8, direct=2.0))
        self.assertEqual(found["verdict"], INCONCLUSIVE)
        self.assertIn("without a relay, 99.9 % of the packets take up to 160 us", found["reasons"][-1])

    def test_a_rise_is_proven_there_all_the_same(self):
        self.assertEqual(self.judge(pairs_of(8, 9.0, 2.0), pairs_of(8, 9.0, 2.0))["verdict"], REGRESSION)

    def test_a_control_elsewhere(self):
        pairs = pairs_of(8)
        pairs[2]["control"]["placement"]["gen"] = 1
        self.assertEqual(self.judge(pairs)["reasons"], ["pair 03, control: not the placement of the first run"])

    def test_damage(self):
        found = self.judge(pairs_of(8, ledger=verified_run({"corrupt": 3})["ledger"]))
        self.assertEqual(found["verdict"], REGRESSION)
        self.assertIn("pair 01: 3 of 100,000 packets", found["reasons"][0])

    def test_nobody_read(self):
        self.assertEqual(self.judge([{**pair, "head": {**pair["head"], "sink": {**pair["head"]["sink"], "latency_ns": None}}}
                                     for pair in pairs_of(8)])["verdict"], INVALID)


class Replay(unittest.TestCase):
    """What the noise allows."""

    def record(self, folder: str, sd: float) -> Path:
        rng = np.random.default_rng(7)
        path = Path(folder) / "noise.json"
        runs = [{"utc": "2026-11-29T00:00:00Z", "value": 1.0, "control": None,
                 "latency_ns": {key: value * float(np.exp(rng.normal(0, sd))) for key, value in NS.items()}} for _ in range(96)]
        path.write_text(json.dumps({"schema": 1, "profile": {"id": "m"}, "scenario": "s", "metric": "latency", "twins": True, "pair_seconds": 4.0,
                                    "runs": runs}))
        return path

    def test_a_quiet_machine_allows_less(self):
        with tempfile.TemporaryDirectory() as folder:
            answer = program("selftest.latency", self.record(folder, 0.05), "--sittings", "200")
            self.assertEqual((answer.returncode, answer.stderr), (0, ""))
            lines = answer.stdout.splitlines()
            self.assertEqual(len(lines), 2 + len(latency.FIGURES))
            self.assertIn("| half of the packets | 15 us |", lines[2])
            self.assertTrue(all(line.endswith("| 100.0% | 0.00% | 100.0% |") for line in lines[2:]), answer.stdout)
            noisy = program("selftest.latency", self.record(folder, 1.5), "--sittings", "200")
            self.assertIn("| more |", noisy.stdout)

    def test_no_recording(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.json"
            path.write_text('{"runs": [{}]}')
            answer = program("selftest.latency", path)
            self.assertEqual((answer.returncode, answer.stderr.count("\n")), (1, 1))


if __name__ == "__main__":
    unittest.main()
