"""Every rule that makes a measurement INVALID (5) or the machine UNFIT (4), tripped once in each verdict that uses
it, through the program, with files on disk; limits from both sides. The rules that a run breaks by itself
(ledger, binary, offloads, log, exit code, silence of the generator) are problems of result.json, which
test_result.py makes out of raw data; here they arrive as such."""

import json
import math
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.result import validity
from harness.selftest import drilling
from harness.tests.python import test_budget, test_compare
from harness.tests.python.support import baseline, control_run, load, program, relay_run, schema, write_sitting
from harness.tests.python.test_compare import run_of
from harness.verdict.baseline import captures
from harness.verdict.fastpath import fastpath

CONTROL = 733_000  # packets/s, what the recorded scenario asks for

PROBLEMS = ("ledger of 'r1 in' does not close: residual 9 of 1000 packets",
            "r1: the binary that ran (1) is not the one that was built (2)",
            "r1:in0: tx-udp-segmentation is on after the run, the scenario declares off",
            "r1: [ERROR:Main] no", "r1: the relay ended with exit code 137", "the generator sent nothing")

DAMAGE = {  # what a result.json may be instead of one -> what is said
    "": "Expecting value", "{": "Expecting property name", "[]": "not a result.json of schema 1",
    "{}": "not a result.json of schema 1", '{"schema": 2}': "not a result.json of schema 1",
    '{"schema": 1, "problems": [], "valid": true}': "a result.json without scenario, kind"}


class Runs(unittest.TestCase):
    def test_what_counts(self):
        self.assertEqual(validity.faults(relay_run(), "relay"), [])
        self.assertEqual(validity.faults(control_run(), "control"), [])

    def test_what_does_not(self):
        for run, kind, word in (
                (relay_run(problems=["the ledger is open"], valid=False), "relay", "the ledger is open"),
                (relay_run(valid=False), "relay", "does not say why"), (relay_run(valid=None), "relay", "say why"),
                (control_run(), "relay", "a run of kind control with 0 hops, not one of kind relay"),
                (relay_run(), "control", "not one of kind control"),
                (relay_run(hops=[]), "relay", "of kind relay with 0 hops"),
                (control_run(offered=0.0), "control", "the generator offered 0.0 packets/s"),
                (control_run(offered=math.nan), "control", "the generator offered nan packets/s"),
                (relay_run(offered=None), "relay", "the generator offered None packets/s")):
            with self.subTest(word):
                self.assertIn(word, " ".join(validity.faults(run, kind)))

    def test_numbers(self):
        self.assertEqual([value for value in (1, 0.5, 0, -1, math.nan, math.inf, None, "1") if
                          validity.is_number(value)], [1, 0.5, 0, -1])
        self.assertEqual([value for value in (1, 0, -1, math.nan, None) if validity.is_rate(value)], [1])


class Readers(unittest.TestCase):
    """Whoever reads a run for its figures asks whether it counts: `problems` alone does not tell. This one is not valid, and
    names no problem."""

    RUN, CONTROL, WORD = relay_run(valid=False), control_run(), "the run is not valid, and does not say why"

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sitting = Path(scratch.name)

    def put(self, place: str, run: dict) -> Path:
        path = self.sitting / place / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(run))
        return path

    def test_a_row_of_targets_is_not_met(self):
        variants = [{"name": "a", "group": "g", "scenario": "s", "change": {}}]
        rows = [{"name": "full", "what": "exhausted", "variant": "a", "metric": "exhaustion_1", "below": 0.3}]
        document = fastpath.judge({"variants": variants, "rows": rows}, {"a": [self.RUN]}, 1, [], {})
        self.assertEqual((document["verdict"], document["exit"]), ("invalid", 5))
        self.assertEqual(document["rows"][0]["reasons"], [f"a, round 1: {self.WORD}"])

    def test_matrix_and_sweep_are_invalid(self):
        self.put("rounds/01/wire.as-is", self.RUN)
        for words in (("report.matrix",), ("report.sweep", "show")):
            done = program(*words, self.sitting)
            self.assertEqual(done.returncode, 5, words)
            self.assertIn(self.WORD, done.stdout)

    def test_a_capture_does_not_count(self):
        self.assertEqual(captures.of_scenario([{"relay": self.RUN, "control": self.CONTROL}])["reasons"],
                         [f"round 1, relay: {self.WORD}"])

    def test_stages_are_not_shown(self):
        perf = self.put("relay", self.RUN).parent / "raw/perf.txt"
        perf.parent.mkdir()
        perf.write_text("exe\n\tffffffff81000000 schedule ([kernel.kallsyms])\n\n")
        self.put("control", self.CONTROL)
        done = program("report.stages", self.sitting)
        self.assertEqual((done.returncode, done.stdout), (5, f"the measurement is invalid: {self.WORD}\n"))

    def test_noise_and_what_a_packet_costs_leave_it_out(self):
        for number in (1, 2):
            self.put(f"runs/000{number}/relay", self.RUN)
        done = program("selftest.noise", self.sitting, "--metric", "egress_pps")
        self.assertIn("no valid run", done.stderr)

        def bench(*arguments):
            shutil.copytree(self.sitting, Path(arguments[arguments.index("--results") + 1]) / "single-hop/sitting")
            return 0, ""
        with mock.patch.object(drilling, "bench", bench), self.assertRaisesRegex(SystemExit, self.WORD):
            drilling.cost_ns("single-hop")

    def test_people_are_told(self):
        done = program("report.show", self.put("run", self.RUN))
        self.assertIn(f"INVALID\n  - {self.WORD}", done.stdout)


class Compare(test_compare.Scratch):
    def invalid(self, word: str, metric: str = "egress_pps") -> None:
        self.assertEqual(self.ask(metric), [])  # and no further pair
        code, document, text = self.finish("--scenario", "flood")
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        self.assertIn(word, " ".join(document["scenarios"]["flood"]["reasons"]))
        self.assertIn(word, text)

    def verdict(self, metric: str = "egress_pps") -> tuple[int, str, str]:
        self.assertEqual(self.ask(metric), [])
        code, document, _ = self.finish("--scenario", "flood")
        return code, document["verdict"], " ".join(document["scenarios"]["flood"]["reasons"])

    def result(self, number: int, who: str) -> Path:
        return self.folder / "first" / f"{number:02}" / who / "result.json"

    def controls(self, *offered: float) -> None:
        """Each of two pairs."""
        for place, pps in zip((1, 5, 9), offered, strict=True):
            for number in (place, place + 2):
                self.put("first", number, "control", control_run(offered=pps))

    def test_each_problem_of_a_run(self):
        self.pairs("first", 1, 12, 1.0)
        for who, problem in zip(("base", "head", "control") * 2, PROBLEMS, strict=True):
            kept = self.result(3, who).read_text()
            self.put("first", 3, who, {**json.loads(kept), "problems": [problem], "valid": False})
            self.invalid(f"pair 03, {who}: {problem}")
            self.result(3, who).write_text(kept)

    def test_another_program_than_the_one_built(self):
        self.pairs("first", 1, 12, 1.0)
        self.put("first", 2, "base", run_of("head", 300_000))
        self.invalid("pair 02, base: another program ran than the one that was built (eeeeeeeeeeee instead of bbb")

    def test_builds_that_were_asked_for_different_things(self):
        for word, change in (("load", lambda run: run["declared"].update(rate_pps="1000")),
                             ("options", lambda run: run["sut"].update(options="--gso off")),
                             ("placement", lambda run: run["placement"].update(r1=None)),
                             ("machine", lambda run: run["profile"].update(id="other"))):
            self.pairs("first", 1, 12, 1.0)
            run = run_of("head", 300_000)
            change(run)
            self.put("first", 4, "head", run)
            self.invalid(f"pair 04, head: not the {word} of the first run")

    def test_builds_with_options_of_their_own(self):
        self.pairs("first", 1, 12, 1.0)
        for number in range(1, 13):
            run = run_of("head", 300_000)
            run["sut"]["options"] += " --gso off"
            run["declared"]["relay_options"] += " --gso off"
            self.put("first", number, "head", run)
        self.assertEqual(self.verdict()[:2], (0, "PASS"))

    def test_a_run_of_another_scenario_or_kind(self):
        self.pairs("first", 1, 12, 1.0)
        self.result(3, "control").write_text(json.dumps(control_run()))
        self.invalid("pair 03, control: this is a run of pipeline-phase4, not of flood")
        self.put("first", 3, "control", relay_run())
        self.invalid("pair 03, control: this is a run of kind relay")

    def test_no_observation_without_a_rate(self):
        for metric, figure in (("egress_pps", 0.0), ("cpu_ns_per_packet", None), ("egress_pps", math.nan),
                               ("cpu_ns_per_packet", 0)):
            with self.subTest(metric, figure=figure):
                self.pairs("first", 1, 12, 1.0)
                run = run_of("head", 300_000)
                run["hops"][0][metric] = figure
                self.put("first", 5, "head", run)
                self.invalid(f"pair 05, head: it has no {metric}", metric)
        del run["hops"][0][metric]
        self.put("first", 5, "head", run)
        self.invalid(f"pair 05, head: it has no {metric}", metric)

    def test_results_that_are_none(self):
        for damage, word in DAMAGE.items():
            for who in ("head", "control"):
                with self.subTest(damage, who=who):
                    self.pairs("first", 1, 12, 1.0)
                    self.result(3, who).write_text(damage)
                    self.invalid(word)

    def test_results_of_another_shape_inside(self):
        for key, value, word in (("hops", [7], "without hops"), ("hops", [{}], "it has no egress_pps"),
                                 ("sut", None, "without sut"), ("sut", {}, "are not what they should be"),
                                 ("declared", [], "without declared"), ("offered_pps", "x", "offered x packets/s")):
            with self.subTest(key, value=value):
                self.pairs("first", 1, 12, 1.0)
                self.put("first", 2, "base", {**run_of("base", 300_000), key: value})
                self.invalid(word)

    def test_a_pair_of_which_one_build_is_missing_or_a_gap(self):
        for missing in ("first/06/head", "first/06/base", "first/03"):
            self.pairs("first", 1, 12, 1.0)
            shutil.rmtree(self.folder / missing)
            self.invalid("of the first block is not complete")

    def test_a_control_that_is_due_and_missing(self):
        self.pairs("first", 1, 12, 1.0)
        shutil.rmtree(self.result(3, "control").parent)
        self.invalid("pair 03: no control beside it")

    def test_a_confirmation_of_nothing(self):
        self.pairs("first", 1, 12, 1.0)
        self.pairs("confirmation", 1, 12, 1.0)
        self.invalid("pairs to confirm a loss that the first block has not proven")

    def test_a_scenario_that_was_not_measured(self):
        self.pairs("first", 1, 12, 1.0)
        self.assertEqual(self.ask(), [])
        self.assertEqual(self.finish("--scenario", "flood")[0], 0)
        for folder in (False, True):  # a folder without a verdict is none either
            if folder:
                (self.sitting / "other").mkdir()
            code, document, text = self.finish("--scenario", "flood", "--scenario", "other")
            self.assertEqual((code, document["verdict"]), (5, "INVALID"))
            self.assertEqual(document["scenarios"]["flood"]["verdict"], "PASS")
            self.assertIn("scenario other was to be compared and was not measured", text)

    def test_nothing_at_all_was_measured(self):
        code, document, _ = self.finish("--scenario", "flood")
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))

    def test_a_verdict_that_is_none(self):
        self.pairs("first", 1, 12, 1.0)
        self.assertEqual(self.ask(), [])
        path = self.folder / "verdict.json"
        good = load(path)
        for damage, word in (("", "cannot be read"), ("[]", "cannot be read"), ("{}", "cannot be read"),
                             (json.dumps({**good, "scenario": "other"}), "is not a verdict of flood"),
                             (json.dumps({**good, "schema": 2}), "is not a verdict of flood"),
                             (json.dumps({**good, "verdict": "FINE"}), "is not a verdict of flood"),
                             (json.dumps({key: good[key] for key in ("schema", "scenario", "verdict")}),
                              "is not a verdict of flood")):
            with self.subTest(damage[:20]):
                path.write_text(damage)
                code, document, text = self.finish("--scenario", "flood")
                self.assertEqual((code, document["verdict"]), (5, "INVALID"))
                self.assertIn(word, text)

    def test_spread_of_the_controls(self):
        self.pairs("first", 1, 12, 1.0)
        for share, expected in ((0.901, 0), (0.899, 4)):  # 9.9 % and 10.1 %
            self.controls(CONTROL, share * CONTROL, CONTROL)
            code, verdict, reasons = self.verdict()
            self.assertEqual((code, verdict), (expected, "UNFIT" if expected else "PASS"))
            self.assertEqual("spread over 10.1%" in reasons, bool(expected))

    def test_drift_of_the_controls(self):
        self.pairs("first", 1, 12, 1.0)
        for share, expected in ((1.049, 0), (1.051, 4), (0.949, 4)):
            self.controls(CONTROL, CONTROL, share * CONTROL)
            code, verdict, reasons = self.verdict()
            self.assertEqual((code, verdict), (expected, "UNFIT" if expected else "PASS"))
            self.assertEqual("drift by 5.1%" in reasons, bool(expected))

    def test_an_unfit_machine_proves_no_regression(self):
        for block in ("first", "confirmation"):
            self.pairs(block, 1, 12, 0.8)
        self.assertEqual(self.verdict()[0], 3)
        self.controls(CONTROL, 0.8 * CONTROL, CONTROL)
        self.assertEqual(self.verdict()[:2], (4, "UNFIT"))

    def test_a_rate_that_the_generator_does_not_reach(self):
        self.pairs("first", 1, 12, 1.0)
        for share, expected in ((0.971, 0), (0.969, 4)):
            self.controls(*[share * CONTROL] * 3)
            code, verdict, reasons = self.verdict("cpu_ns_per_packet")
            self.assertEqual((code, verdict), (expected, "UNFIT" if expected else "PASS"))
            self.assertEqual("the generator alone offers" in reasons, bool(expected))

    def flooded(self, share: float, factor: float, blocks=("first",)) -> None:
        for block in blocks:
            self.pairs(block, 1, 12, 1.0)
            for number in range(1, 13):
                self.put(block, number, "base", run_of("base", share * CONTROL))
                self.put(block, number, "head", run_of("head", share * factor * CONTROL))

    def test_a_generator_that_is_the_limit(self):
        for share, expected in ((0.899, 0), (0.901, 4)):
            self.flooded(share, 1.0)
            code, verdict, reasons = self.verdict()
            self.assertEqual((code, verdict), (expected, "UNFIT" if expected else "PASS"))
            self.assertEqual("the generator is the limit" in reasons, bool(expected))

    def test_a_regression_that_is_proven_in_spite_of_that_limit(self):
        self.flooded(0.95, 0.8, ("first", "confirmation"))
        self.assertEqual(self.verdict()[:2], (3, "REGRESSION"))

    def test_with_several_outputs_each_one_counts_for_that_limit(self):
        for copies, expected in ((3, 0), (2, 4)):
            self.pairs("first", 1, 12, 1.0)
            for number in range(1, 13):
                for who in ("base", "head"):
                    run = run_of(who, 2 * CONTROL)
                    run["hops"][0].update(outputs=1, copies=copies)
                    self.put("first", number, who, run)
            self.assertEqual(self.verdict()[0], expected)

    def test_noise_leaves_out_runs_without_a_rate(self):
        for number in range(1, 13):
            place = self.sitting / f"runs/{number:04}/relay"
            place.mkdir(parents=True)
            run = relay_run()
            run["hops"][0]["cpu_ns_per_packet"] = None if number == 5 else 900.0
            (place / "result.json").write_text(json.dumps(run))
        done = program("selftest.noise", self.sitting, "--metric", "cpu_ns_per_packet")
        self.assertEqual((done.returncode, done.stdout), (0, "10 runs, 2 left out\n"))  # both of the pair


class Floor(unittest.TestCase):
    def floor(self, relays: list[dict], controls: list[dict], damage=None) -> tuple[int, str]:
        with tempfile.TemporaryDirectory() as folder:
            sitting = Path(folder)
            (sitting / "baseline.json").write_text(json.dumps(baseline()))
            write_sitting(sitting, relays, controls)
            if damage:
                damage(sitting / "rounds")
            done = program("verdict.floor.floor", sitting, sitting / "baseline.json")
            self.assertNotIn("Traceback", done.stderr)
            if not (sitting / "verdict.json").exists():
                self.assertEqual((done.returncode, done.stderr.count("\n")), (5, 1))
                return done.returncode, done.stderr
            verdict = load(sitting / "verdict.json")
            schema("verdict").validate(verdict)
            self.assertEqual(verdict["exit"], done.returncode)
            return done.returncode, " ".join(verdict["reasons"])

    def invalid(self, word: str, *arguments) -> None:
        code, reasons = self.floor(*arguments)
        self.assertEqual(code, 5)
        self.assertIn(word, reasons)

    def test_each_problem_of_a_run(self):
        for i, problem in enumerate(PROBLEMS):
            relays, controls = [relay_run() for _ in range(10)], [control_run() for _ in range(10)]
            (controls if i % 2 else relays)[i].update(problems=[problem], valid=False)
            self.invalid(f"round {i + 1}: {problem}", relays, controls)

    def test_a_run_that_is_none(self):
        relays, controls = [relay_run()] * 10, [control_run()] * 10
        self.invalid("round 1: this is a run of kind control", controls, relays)
        self.invalid("round 3: the run is not valid", relays[:2] + [relay_run(valid=False)] + relays[3:], controls)
        self.invalid("round 1: the generator offered 0.0", relays, [control_run(0.0)] * 10)

    def test_no_figure(self):
        for figures in ({"egress": None}, {"ingress": math.nan}, {"exhaustion": None}):
            relays = [relay_run() for _ in range(10)]
            relays[6] = relay_run(**figures)
            self.invalid("round 7: relay 1 has no ", relays, [control_run()] * 10)

    def test_results_that_are_none(self):
        for damage, word in DAMAGE.items():
            self.invalid(word, [relay_run()] * 10, [control_run()] * 10,
                         lambda rounds, text=damage: (rounds / "04/relay/result.json").write_text(text))

    def test_a_round_that_is_not_complete(self):
        for missing in ("05/control", "06/relay"):
            self.invalid(f"{missing}/result.json: [Errno 2] No such file", [relay_run()] * 10, [control_run()] * 10,
                         lambda rounds, place=missing: shutil.rmtree(rounds / place))

    def machine(self, word: str, *cases) -> None:
        for controls, relays, expected in cases:
            code, reasons = self.floor([relay_run(offered=pps) for pps in relays],
                                       [control_run(pps) for pps in controls])
            self.assertEqual((code, word in reasons), (expected, expected == 4), reasons)

    def test_a_rate_that_the_generator_does_not_reach(self):
        asked = [CONTROL] * 10
        self.machine("without a relay", ([0.971 * CONTROL] * 10, asked, 0), ([0.969 * CONTROL] * 10, asked, 4))
        self.machine("beside the relays", (asked, [0.971 * CONTROL] * 10, 0), (asked, [0.969 * CONTROL] * 10, 4))

    def test_spread_and_drift_of_the_controls(self):
        asked = [CONTROL] * 10
        self.machine("spread over", *(([CONTROL] * 5 + [share * CONTROL] + [CONTROL] * 4, asked, expected)
                                      for share, expected in ((0.901, 0), (0.899, 4))))
        self.machine("drift by", *(([CONTROL] * 6 + [share * CONTROL] * 4, asked, expected)
                                   for share, expected in ((1.049, 0), (1.051, 4))))


class Budget(test_budget.Scratch):
    def setUp(self):
        super().setUp()
        for number in (1, 2, 3):
            self.put(number)
        self.assertEqual(self.judge("--accept")[0], 0)

    def raw(self, name: str) -> Path:
        return self.sitting / "rounds/02/relay/raw" / name

    def invalid(self, word: str) -> None:
        code, document, text = self.judge()
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        self.assertIn(word, " ".join(document["reasons"]))
        self.assertIn(word, text)

    def test_each_problem_of_a_run(self):
        for problem in PROBLEMS:
            self.put(2, problems=[problem], valid=False)
            self.invalid(f"round 2: {problem}")

    def test_a_run_that_is_none(self):
        self.put(2, valid=False)
        self.invalid("round 2: the run is not valid")
        self.put(2, scenario="other")
        self.invalid("changed between rounds")
        self.put(2, sut={**relay_run()["sut"], "sha256": "0" * 64})
        self.invalid("changed between rounds")
        self.put(2, kind="control")
        self.invalid("round 2: this is a run of kind control")

    def test_results_that_are_none(self):
        for damage, word in DAMAGE.items():
            (self.sitting / "rounds/02/relay/result.json").write_text(damage)
            self.invalid(word)
        (self.sitting / "rounds/02/relay/result.json").unlink()
        self.invalid("No such file")

    def test_no_run(self):
        shutil.rmtree(self.sitting / "rounds")
        self.invalid("no run")

    def test_perf_did_not_count(self):
        counted = self.raw("perf.csv").read_text()
        for damage, word in (
                (counted.replace("9360,,raw", "<not counted>,,raw"), "count raw_syscalls:sys_enter: <not counted>"),
                (counted.replace("3120,,context", "<not supported>,,context"), "did not count context-switches"),
                (counted.replace("0,,mcrelay_budget:mmap", "# 0,,mmap"), "did not count mcrelay_budget:mmap"),
                (counted.replace("9360,,raw", "nan,,raw"), "did not count raw_syscalls:sys_enter: nan"),
                ("", "perf did not count raw_syscalls:sys_enter, context-switches"),
                ("1,\n", "list index out of range"),
                ("\0,,x\n", "did not count")):
            with self.subTest(word):
                self.raw("perf.csv").write_text(damage)
                self.invalid(word)
        self.raw("perf.csv").unlink()
        self.invalid("No such file")

    def test_no_packet_matched(self):
        self.put(2, packets=0)
        self.invalid("no packet matched a rule")

    def test_a_report_of_the_relay_that_is_none(self):
        for damage in ("", "{", "{}", '{"total": {"matched": 5}}', '{"total": {"matched": null}}'):
            with self.subTest(damage):
                self.raw("r1.stats.json").write_text(damage)
                self.invalid("not a report of the relay")

    def test_budgets_that_are_none(self):
        good = load(self.baseline)
        for damage, word in (("", "cannot be read"), ("[]", "is not of type 'object'"),
                             (json.dumps({**good, "scenario": "other"}), "is for other, the runs are of pipeline"),
                             (json.dumps({**good, "budgets": {"sleeps": 7}}), "budgets.sleeps: 7 is not of type"),
                             (json.dumps({**good, "budgets": {"sleeps": {"value": 1, "absolute": 1}}}),
                              "'tolerance' is a required property"),
                             (json.dumps({**good, "budgets": {"sleeps": {"value": 1, "tolerance": math.nan}}}),
                              "NaN is not a number"), (json.dumps({**good, "budgets": {}}), "budgets: {}")):
            with self.subTest(damage[:30]):
                self.baseline.write_text(damage)
                self.invalid(word)

    def test_what_is_invalid_is_never_accepted(self):
        before = self.baseline.read_text()
        self.put(2, packets=0)
        self.assertEqual(self.judge("--accept")[0], 5)
        self.assertEqual(self.baseline.read_text(), before)

    def test_the_limit_from_both_sides(self):
        for syscalls, expected in ((1.049 * 9360, 0), (1.051 * 9360, 3)):
            for number in (1, 2, 3):
                self.put(number, syscalls=round(syscalls))
            self.assertEqual(self.judge()[0], expected)


if __name__ == "__main__":
    unittest.main()
