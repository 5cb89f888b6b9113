"""drill.py and live: what they make of the gates' answers. The gates are played by a bench that answers as told."""

import contextlib
import io
import json
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.selftest import drill, drilling, live, replay
from harness.tests.python.support import HARNESS, load, process, program, relay_run, schema


class Judge(unittest.TestCase):
    def test_a_duty_is_kept_missed_or_could_not_be_told(self):
        self.assertIs(drill.judge("REGRESSION", "REGRESSION"), True)
        self.assertIs(drill.judge("REGRESSION", "PASS"), False)
        self.assertIs(drill.judge("PASS", "REGRESSION"), False)
        self.assertIs(drill.judge("PASS", "INVALID"), False)
        self.assertIs(drill.judge("REGRESSION", "INVALID"), False)
        self.assertIs(drill.judge("PASS", "INCONCLUSIVE"), None)

    def test_without_a_duty_every_answer_will_do_but_invalid(self):
        for word in ("PASS", "REGRESSION", "INCONCLUSIVE"):
            self.assertIs(drill.judge(None, word), True)
        self.assertIs(drill.judge(None, "INVALID"), False)

    def test_a_crash_a_signal_and_a_usage_error_are_no_answer(self):
        for word in ("1", "2", "10", "64", "137", "INVALID"):
            for must in (None, drill.NO_REGRESSION, "PASS", "REGRESSION"):
                with self.subTest(word, must=must):
                    self.assertIs(drill.judge(must, word), False)

    def test_a_duty_not_to_claim_a_loss(self):
        for word, right in (("PASS", True), ("INCONCLUSIVE", True), ("REGRESSION", False), ("INVALID", False)):
            self.assertIs(drill.judge(drill.NO_REGRESSION, word), right)

    def test_one_wrong_answer_is_worse_than_one_that_is_missing(self):
        self.assertEqual(drill.overall([True, None, False]), "REGRESSION")
        self.assertEqual(drill.overall([True, None]), "INCONCLUSIVE")
        self.assertEqual(drill.overall([True]), "PASS")

    def test_every_drill_names_gates_and_scenarios_that_there_are(self):
        for one in drill.DRILLS:
            with self.subTest(one.name):
                self.assertLessEqual(set(one.must) | set(one.short) | set(one.gates), set(drill.GATES))
                self.assertTrue((HARNESS / f"scenario/{one.scenario}.conf").exists())
                self.assertLessEqual(set(one.asked(True)), set(one.asked(False)))

    def test_the_relay_against_itself_is_part_of_the_short_drill(self):
        same = [one for one in drill.DRILLS if not one.options and not one.loss and "paired" in one.asked(True)]
        slower = [one for one in drill.DRILLS if one.loss and "paired" in one.asked(True)]
        self.assertTrue(same and slower)


class Calibration(unittest.TestCase):
    def test_the_delay_is_the_wanted_share_of_the_cost(self):
        with mock.patch.object(drilling, "cost_ns", lambda _: 900.0):
            delay = drilling.calibrate("single-hop", 0.1)
        self.assertAlmostEqual(900.0 / (900.0 + delay), 0.9, delta=0.001)

    def test_it_is_never_nothing(self):
        with mock.patch.object(drilling, "cost_ns", lambda _: 900.0):
            self.assertEqual(drilling.calibrate("single-hop", 0.001), 1)

    def test_what_a_packet_costs(self):
        def bench(*arguments):
            results = Path(arguments[arguments.index("--results") + 1])
            for number in range(3):
                place = results / f"single-hop/sitting/runs/000{number}/relay"
                place.mkdir(parents=True)
                run = relay_run()
                run["hops"][0]["cpu_ns_per_packet"] = 849 + number
                (place / "result.json").write_text(json.dumps(run))
            return 0, ""
        with mock.patch.object(drilling, "bench", bench):
            self.assertAlmostEqual(drilling.cost_ns("single-hop"), 850.0)

    def test_a_relay_that_cannot_be_measured(self):
        with mock.patch.object(drilling, "bench", lambda *_: (5, "no way")), self.assertRaisesRegex(SystemExit, "no way"):
            drilling.cost_ns("single-hop")


class Main(unittest.TestCase):
    """The whole, with a bench that takes its exit status and documents from a table."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.results = Path(scratch.name)
        self.status = {"run": 5, "gate": 0, "budget": 0, "compare": 0}
        self.asked: list[tuple] = []
        self.environments: list[dict | None] = []

    def bench(self, *arguments, environment=None):
        command = arguments[0]
        self.asked.append(arguments)
        self.environments.append(environment)
        status = self.status[command]
        if command == "gate" and environment and "BENCH_BASELINES" in environment:
            status = self.status.get("deleted", 5)
        drilled = "--head-options" in arguments or (command in ("gate", "budget") and "--relay-options" in arguments)
        if drilled and command in ("compare", "budget", "gate"):
            status = self.status.get("drilled", 3)
        return status, f"{command} has spoken"

    @staticmethod
    def faults(reason: str):
        return mock.patch.dict(drill.FAULTS, {name: (lambda _: (("run",), {}), reason) for name in drill.FAULTS})

    def drill(self, *options: str, perf: bool = True) -> tuple[int, dict, str]:
        out = io.StringIO()
        with mock.patch.object(drill, "bench", self.bench), mock.patch.object(drilling, "prepare"), \
                mock.patch.object(drilling, "calibrate", lambda *_: 100), \
                mock.patch.object(drill, "has_perf", lambda: perf), \
                mock.patch.object(drill, "wrong_binary", lambda _: (("run",), {})), \
                mock.patch("sys.argv", ["drill", "--results", str(self.results), *options]), \
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = drill.main()
        [path] = self.results.glob("drill/*/drill.json")
        document = load(path)
        schema("drill").validate(document)
        self.assertIn(document["verdict"], path.with_name("drill.md").read_text())
        path.unlink()
        path.with_name("drill.md").unlink()
        path.parent.rmdir()
        return code, document, out.getvalue()

    def test_gates_that_answer_as_they_have_to(self):
        with self.faults("has spoken"):
            code, document, text = self.drill("--short")
        self.assertEqual((code, document["verdict"]), (0, "PASS"), text)
        self.assertEqual(len(document["faults"]), len(drill.FAULTS))
        self.assertIn("the gates answer as they have to", text)

    def test_a_gate_that_misses_a_loss(self):
        self.status["drilled"] = 0
        code, document, text = self.drill("--only", "a log line per packet")
        self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))
        self.assertIn("PASS, WRONG", text)

    def test_a_gate_that_cries_wolf(self):
        self.status["compare"] = 3
        code, document, _ = self.drill("--only", "as it is, flooded")
        self.assertEqual((code, document["drills"][0]["gates"]["paired"]["right"]), (3, False))

    def test_a_gate_that_crashes_where_each_answer_will_do(self):
        for self.status["drilled"] in (1, 64, 137):
            code, document, text = self.drill("--only", "io_uring depth 64")
            self.assertEqual((code, document["drills"][0]["gates"]["paired"]["right"]), (3, False))
            self.assertIn(f"{self.status['drilled']}, WRONG", text)

    def test_a_gate_that_cannot_tell(self):
        self.status["compare"] = 4
        self.assertEqual(self.drill("--only", "as it is, flooded")[0], 4)

    def test_a_broken_measurement_that_passes(self):
        self.status["run"] = 0
        with self.faults("has spoken"):
            code, document, text = self.drill("--short")
        self.assertEqual((code, document["faults"][0]["right"]), (3, False))
        self.assertIn("PASS, WRONG", text)

    def test_a_broken_measurement_that_is_invalid_for_another_reason(self):
        with self.faults("a disk that is full"):
            code, document, text = self.drill("--short")
        self.assertEqual((code, document["faults"][0]["right"]), (3, False))
        self.assertIn("INVALID, WRONG: run has spoken", text)

    def test_without_perf_the_budget_has_not_answered(self):
        code, document, text = self.drill("--only", "batches of 32", perf=False)
        self.assertEqual((code, document["verdict"]), (4, "INCONCLUSIVE"))
        self.assertIn("there is no perf", text)

    def test_the_relay_against_itself_is_measured(self):
        self.drill("--only", "as it is, flooded")
        [arguments] = self.asked
        builds = arguments.index("--builds")
        self.assertEqual(arguments[builds + 1], arguments[builds + 2])
        self.assertEqual(self.environments, [{"BENCH_COMPARE_SAME": "1"}])

    def test_a_loss_well_below_the_tolerance_is_none_and_one_of_5_percent_is_one(self):
        must = {one.loss: one.must.get("paired") for one in drill.DRILLS if one.loss and one.scenario == "single-hop"}
        self.assertEqual(must, {0.02: drill.NO_REGRESSION, 0.03: None, 0.05: "REGRESSION", 0.10: "REGRESSION", 0.20: "REGRESSION"})

    def test_a_setting_that_costs_nothing_is_only_told(self):
        self.status["drilled"] = 0
        code, document, _ = self.drill("--only", "io_uring depth 64")
        self.assertEqual(code, 0)
        self.assertEqual(document["drills"][0]["gates"]["paired"]["verdict"], "PASS")

    def test_results_that_cannot_be_kept_end_it_before_anything_is_measured(self):
        self.results = self.results / "file"
        self.results.write_text("a file")
        with self.assertRaises(SystemExit) as ended:
            self.drill("--only", "as it is")
        self.assertEqual((ended.exception.code, self.asked), (4, []))

    def test_both_are_told_what_both_need(self):
        self.drill("--only", "a pool for 1:1")
        [arguments] = self.asked
        self.assertEqual(arguments[arguments.index("--base-options") + 1], "--ingress uring")
        self.assertEqual(arguments[arguments.index("--head-options") + 1], "--ingress uring --buffer-pool-small 340")


class CommandLine(unittest.TestCase):
    def test_what_it_cannot_understand(self):
        for options in (("--bogus",), ("short",), ("--only", "nothing like it")):
            with self.subTest(options), tempfile.TemporaryDirectory() as build:
                (Path(build) / "drill").mkdir()
                slow = Path(build) / "drill/mcrelay"
                slow.touch(mode=0o755)
                with mock.patch.object(drilling, "SLOW_RELAY", slow), mock.patch.object(drilling, "end_by_signals"):
                    answer = program("selftest.drill", *options)
                self.assertEqual((answer.returncode, answer.stdout), (64, ""))
                self.assertIn("see 'harness/bench help'", answer.stderr)

    def test_without_the_relay_that_can_be_slowed_down(self):
        with tempfile.TemporaryDirectory() as build, mock.patch.dict(os.environ, BUILD=build):
            answer = process("selftest.drill", "--short")
        self.assertEqual(answer.returncode, 64)
        self.assertIn("run: make drill", answer.stderr)


class Live(unittest.TestCase):
    def test_a_record_becomes_a_table(self):
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "record.ndjson"
            lines = [{"profile": "a-machine", "scenario": "single-hop", "loss": loss, "verdict": verdict, "estimate": estimate, "seconds": seconds}
                     for loss, verdict, estimate, seconds in ((0.0, "PASS", 0.01, 90), (0.0, "UNFIT", None, 120),
                                                              (0.1, "REGRESSION", -0.1, 60), (0.0, None, None, 3))]
            lines.append(lines[0] | {"tolerance": 0.03, "estimate": 0.0})
            record.write_text("".join(json.dumps(line) + "\n" for line in lines))
            answer = program("selftest.live", "--report", record)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("| a-machine | single-hop | 5% | 0% | 3 | 1 | 0 | 0 | 1 | 1 |", answer.stdout)
        self.assertIn("| a-machine | single-hop | 5% | 10% | 1 | 0 | 1 | 0 | 0 | 0 | -10.0%", answer.stdout)
        self.assertIn("| a-machine | single-hop | 3% | 0% | 1 | 1 | 0 | 0 | 0 | 0 | +0.0%", answer.stdout)

    def test_a_record_becomes_noise(self):
        """Of the machine recorded last, with the runs of a pair in the order of their topologies."""
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "record.ndjson"
            one = {"scenario": "hop", "loss": 0.0, "profile": "this", "metric": "egress_pps", "seconds": 60,
                   "utc": "2026-11-26T00:00:00Z",
                   "observed": {"first": [[1, 2, 700], [3, 4, None], [5, 6, 700]] * 8, "confirmation": []}}
            lines = [one | {"profile": "another"}, one | {"loss": 0.1}, one | {"scenario": "other"}, one, one,
                     {"scenario": "hop", "loss": 0.0, "verdict": None}]
            record.write_text("".join(json.dumps(line) + "\n" for line in lines))
            answer = program("selftest.live", "--noise", "hop", record)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            noise = replay.parse("noise", json.loads(answer.stdout))
            self.assertEqual(list(noise.values[:6]), [1, 2, 4, 3, 6, 5])
            self.assertEqual((len(noise.values), len(noise.controls), noise.twins, noise.pair_seconds), (96, 32, True, 2.5))
            answer = program("selftest.live", "--noise", "nothing", record)
            self.assertEqual((answer.returncode, answer.stdout), (1, ""))

    def test_the_relay_against_itself_is_measured(self):
        asked = []

        def bench(*arguments, environment):
            asked.append((arguments[arguments.index("--builds") + 1:][:2], environment))
            return 4, "no time"
        with mock.patch.object(live, "bench", bench):
            self.assertEqual(live.sitting("single-hop", 0)["reasons"], ["no time"])
            live.sitting("single-hop", 100)
        self.assertEqual(asked, [((drilling.RELAY, head), {"BENCH_COMPARE_SAME": "1"})
                                 for head in (drilling.RELAY, drilling.SLOW_RELAY)])

    def test_what_it_cannot_understand(self):
        for options in ((), ("single-hop",), ("single-hop", "file", "--same", "-1"), ("single-hop", "file", "--loss", "2")):
            with self.subTest(options):
                self.assertEqual(program("selftest.live", *options).returncode, 64)


if __name__ == "__main__":
    unittest.main()
