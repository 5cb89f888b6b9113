"""baseline.py: from sittings to proposals, from proposals to baselines, and back to a verdict."""

import contextlib
import io
import json
import tempfile
import unittest
from datetime import timedelta
from pathlib import Path
from unittest import mock

from harness.result.profile import kernel_line
from harness.tests.python.support import HARNESS, ROOT, control_run, load, program, relay_run, schema
from harness.verdict import waivers
from harness.verdict.baseline import baseline, captures, stored

NOISE = (0.001, -0.002, 0.003, -0.001, 0.002, -0.003)
PROFILE = relay_run()["profile"]
ID = PROFILE["id"]


class World(unittest.TestCase):
    """Scenarios, captures and baselines of a machine."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        self.scenarios, self.captures = self.root / "scenarios", self.root / "results"
        self.baselines = self.root / "baselines"
        for folder in (self.scenarios, self.captures, self.baselines):
            folder.mkdir()
        self.scenario("hop")
        self.sittings = 0

    def scenario(self, name: str, text: str = "description = one\n") -> None:
        (self.scenarios / f"{name}.conf").write_text(text)

    def sitting(self, *names: str, rounds: int = 6, egress: float = 370_000, cpu: float = 800.0,
                offered: float = 733_000, sha: str = "a" * 64, kernel: str | None = None, commit: str = "f" * 12,
                noise=NOISE, **changes) -> Path:
        """The runs of a sitting, each later than the one before."""
        self.sittings += 1
        folder = self.captures / f"2026112{self.sittings}T000000Z-{'f' * 12}"
        common = {"utc": f"2026-11-2{self.sittings}T00:00:00Z", "dirty": False, "commit": commit,
                  "profile": PROFILE | ({"kernel": kernel} if kernel else {}), **changes}
        for name in names or ("hop",):
            for number in range(rounds):
                factor = 1 + noise[number % len(noise)]
                relay = relay_run(egress=egress * factor, offered=offered * factor, **common)
                relay["hops"][0]["cpu_ns_per_packet"] = cpu * factor
                relay["sut"] = relay["sut"] | {"sha256": sha}
                for hop in relay["hops"]:
                    hop["samples"] = []  # most of a result, and not looked at
                control = control_run(offered=offered * factor, **(common | {"problems": [], "valid": True}))
                for kind, run in (("relay", relay), ("control", control)):
                    place = folder / f"rounds/{number + 1:02}" / name / kind
                    place.mkdir(parents=True)
                    (place / "result.json").write_text(json.dumps(run))
        return folder

    def run_main(self, *arguments) -> tuple[int, str]:
        """As the program does, without starting one: exit status, and all that is said."""
        said = io.StringIO()
        with mock.patch("sys.argv", ["baseline.py", *map(str, arguments)]), \
                contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return baseline.main(), said.getvalue()

    def capture(self, *names: str, **options) -> tuple[int, str]:
        folder = self.sitting(*names, **options)
        partial = folder.rename(folder.with_name(f"{folder.name}.partial"))
        answer = self.run_main("capture", partial, self.captures)
        partial.rename(folder)
        self.document = load(folder / "captures.json")
        schema("captures").validate(self.document)
        return answer

    def twice(self, *names: str, **options) -> None:
        for _ in range(2):
            self.assertEqual(self.capture(*names, **options)[0], 0)

    def diff(self, *names: str, options=()) -> tuple[int, str]:
        return self.run_main("diff", self.baselines, self.captures, *(names or ("hop",)), *options)

    def accept(self, *names: str, reason: str = "because", options=()) -> tuple[int, str]:
        return self.run_main("accept", self.baselines, self.captures, *(names or ("hop",)), *options,
                             "--reason", reason, "--by", "somebody")

    def check(self, *options: str) -> tuple[int, list[str]]:
        code, said = self.run_main("check", self.baselines, self.scenarios, *options)
        return code, said.splitlines()

    def stored(self, name: str = "hop") -> Path:
        return self.baselines / ID / f"{name}.json"

    def change_stored(self, change, name: str = "hop") -> None:
        document = load(self.stored(name))
        change(document)
        self.stored(name).write_text(json.dumps(document))

    def accepted(self) -> None:
        self.twice()
        code, said = self.accept()
        self.assertEqual(code, 0, said)

    def forget_captures(self) -> None:
        for path in self.captures.iterdir():
            path.rename(path.with_name(f"{path.name}.failed"))


class Captures(World):
    def test_known_answers(self):
        code, said = self.capture()
        self.assertEqual(code, 0, said)
        found = self.document["scenarios"]["hop"]
        self.assertEqual((found["verdict"], found["runs"], found["dirty"]), ("counted", 6, False))
        self.assertEqual(found["sut"]["sha256"], "a" * 64)
        self.assertEqual(set(found["metrics"]), {"egress_pps", "cpu_ns_per_packet", "buffer_exhaustion_ratio",
                                                 "last_hop_pps", "control_pps"})
        self.assertEqual(found["metrics"]["egress_pps"], [370_000 * (1 + noise) for noise in NOISE])
        self.assertIn("hop: 6 of 10 runs, 1 of 2 sittings; capture another sitting", said)

    def test_two_sittings_are_enough(self):
        self.capture()
        self.assertIn("hop: ready", self.capture()[1])

    def test_an_invalid_run(self):
        code, said = self.capture(problems=["the ledger is open"], valid=False)
        self.assertEqual((code, self.document["scenarios"]["hop"]["verdict"]), (5, "invalid"))
        self.assertIn("round 1, relay: the ledger is open", said)

    def test_unsteady_controls(self):
        code, said = self.capture(noise=(0.0, 0.06, -0.06))
        self.assertEqual((code, self.document["scenarios"]["hop"]["verdict"]), (4, "unfit"))
        self.assertIn("the controls spread over 12.0%", said)
        self.capture()
        self.assertIn("6 of 10 runs", self.diff()[1])

    def test_a_rate_that_the_generator_does_not_reach(self):
        code, said = self.capture(offered=600_000)
        self.assertEqual(code, 4)
        self.assertIn("the generator alone offers", said)

    def test_a_missing_run_and_another_binary_are_invalid(self):
        folder = self.sitting()
        (folder / "rounds/03/hop/control/result.json").unlink()
        self.assertIn("round 3, control: there is no such run",
                      captures.summarise(folder)["scenarios"]["hop"]["reasons"])
        folder = self.sitting()
        path = folder / "rounds/02/hop/relay/result.json"
        path.write_text(path.read_text().replace("a" * 64, "b" * 64))
        self.assertIn("the relay's binary changed between rounds",
                      captures.summarise(folder)["scenarios"]["hop"]["reasons"])

    def test_nothing_measured(self):
        (self.captures / "x").mkdir()
        self.assertEqual(self.run_main("capture", self.captures / "x", self.captures)[0], 5)


class Proposals(World):
    def propose(self, name: str = "hop") -> captures.Proposal:
        return captures.propose(captures.load_all(self.captures).get(name, []))

    def test_as_few_of_the_newest_as_are_enough(self):
        for _ in range(3):
            self.capture()
        proposal = self.propose()
        self.assertEqual((proposal.problem, proposal.runs, len(proposal.sittings)), ("", 12, 2))
        self.assertEqual(proposal.newest["utc"], "2026-11-23T00:00:00Z")

    def test_short_sittings_need_more_of_them(self):
        for _ in range(3):
            self.capture(rounds=4)
        self.assertEqual((self.propose().runs, len(self.propose().sittings)), (12, 3))

    def test_one_long_sitting_is_not_enough(self):
        self.capture(rounds=12)
        self.assertEqual(self.propose().problem, "12 of 10 runs, 1 of 2 sittings; capture another sitting")

    def test_sittings_that_disagree(self):
        for change, words in (({"egress": 400_000}, "egress_pps: 370,000 in 20261121.* and 400,000 in .*, 8.1% apart"),
                              ({"cpu": 900.0}, "cpu_ns_per_packet: 800 in .* and 900 in .*, 12.5% apart"),
                              ({"offered": 780_000}, "control_pps: .*6.4% apart")):
            with self.subTest(change):
                self.setUp()
                self.capture()
                self.capture(**change)
                self.assertRegex(self.propose().problem, words)
                self.assertIn("capture another sitting", self.propose().problem)
                code, said = self.diff()
                self.assertEqual(code, 4)
                self.assertIn("the sittings disagree", said)
                self.assertEqual(self.accept()[0], 4)
                self.assertFalse(self.stored().exists())
                self.capture(**change)  # the newest two agree
                self.assertEqual(self.propose().problem, "")

    def test_only_the_same_conditions_are_put_together(self):
        for change in ({"sha": "b" * 64}, {"kernel": "6.1"}):
            with self.subTest(change):
                self.setUp()
                self.capture()
                self.capture(**change)
                self.assertIn("6 of 10 runs, 1 of 2 sittings", self.propose().problem)

    def test_incomplete_sittings_do_not_count(self):
        self.twice()
        self.forget_captures()
        self.assertIn("nothing captured", self.propose().problem)

    def test_a_damaged_captures_file_is_invalid(self):
        self.twice()
        path = next(self.captures.glob("*/captures.json"))
        document = load(path)
        document["colour"] = "blue"
        for text in ("{", json.dumps(document)):
            path.write_text(text)
            code, said = self.diff()
            self.assertEqual(code, 5)
            self.assertIn(str(path), said)


class Accepting(World):
    def test_writes_what_the_schema_says(self):
        self.accepted()
        document = load(self.stored())
        schema("baseline").validate(document)
        self.assertEqual((document["runs"], len(document["sittings"])), (12, 2))
        self.assertAlmostEqual(document["metrics"]["egress_pps"]["median"], 370_000, delta=200)
        self.assertEqual(document["metrics"]["egress_pps"]["high"], 370_000 * 1.003)
        self.assertAlmostEqual(document["metrics"]["egress_pps"]["spread"], 0.006, delta=1e-4)
        self.assertEqual(document["source"]["relay_sha256"], "a" * 64)
        self.assertEqual([sitting["utc"] for sitting in document["sittings"]],
                         ["2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"])
        change = document["changes"][0]
        self.assertEqual((change["by"], change["reason"], change["before"]), ("somebody", "because", None))
        self.assertEqual(self.check(), (0, []))

    def test_says_before_and_after_and_what_to_do(self):
        self.accepted()
        self.twice(egress=400_000)
        code, said = self.accept(reason="faster")
        self.assertEqual(code, 0)
        self.assertRegex(said, "hop +packets/s sent +370,000 +400,000 +\\+8.1%")
        self.assertIn("review it and commit it", said)

    def test_what_was_before_stays(self):
        self.accepted()
        first = load(self.stored())
        self.twice(egress=400_000, kernel="6.99")
        self.accept(reason="faster")
        changes = load(self.stored())["changes"]
        self.assertEqual(changes[0], first["changes"][0])
        self.assertEqual(changes[1]["before"], first["changes"][0]["after"])
        self.assertEqual((len(changes), changes[1]["reason"]), (2, "faster"))
        self.assertEqual(changes[1]["conditions"], [f"kernel: {kernel_line(PROFILE['kernel'])} there, 6.99 here"])

    def test_changes_that_are_in_no_commit(self):
        for change in ({"dirty": True}, {"commit": "unknown"}):
            with self.subTest(change):
                self.setUp()
                self.twice(**change)
                code, said = self.accept()
                self.assertEqual(code, 4)
                self.assertIn("with changes that are in no commit", said)
                self.assertFalse(self.stored().exists())

    def test_all_or_none(self):
        self.scenario("other")
        self.twice()
        self.capture("other")
        code, said = self.accept("hop", "other")
        self.assertEqual(code, 4)
        self.assertIn("other: 6 of 10 runs", said)
        self.assertFalse(self.stored().exists())

    def test_those_that_were_captured(self):
        self.twice()
        self.assertEqual(self.accept("hop", "other", options=["--captured"])[0], 0)
        self.assertFalse(self.stored("other").exists())

    def test_a_damaged_baseline_is_not_overwritten(self):
        self.accepted()
        self.stored().write_text("{")
        self.assertEqual(self.accept()[0], 5)
        self.assertEqual(self.stored().read_text(), "{")


class Diff(World):
    def later(self, **options) -> tuple[int, str]:
        self.accepted()
        self.forget_captures()
        self.twice(**options)
        return self.diff()

    def waive(self, size: float, days: int) -> None:
        (self.baselines / "waivers.json").write_text(json.dumps({"schema": 1, "waivers": [{
            "scenario": "hop", "size": size, "reason": "known",
            "expires": (waivers.today() + timedelta(days=days)).isoformat()}]}))

    def test_nothing_captured(self):
        code, said = self.diff(options=["--captured"])
        self.assertEqual(code, 4)
        self.assertIn("nothing captured; run: bench baseline capture", said)

    def test_new(self):
        self.twice()
        code, said = self.diff()
        self.assertEqual(code, 0)
        self.assertIn("hop: new", said)

    def test_the_same(self):
        code, said = self.later()
        self.assertEqual(code, 0)
        self.assertIn("PASS", said)
        self.assertRegex(said, r"packets/s sent .* \+0\.0% +no")

    def test_within_the_tolerance_but_beyond_the_spreads(self):
        code, said = self.later(egress=370_000 * 0.96)
        self.assertEqual(code, 0)
        self.assertRegex(said, r"packets/s sent .* -4\.0% +yes")

    def test_worse(self):
        for change, words in (({"egress": 370_000 * 0.94}, "packets/s sent: worse by 6.0%"),
                              ({"cpu": 848.0}, "CPU time per packet, ns: worse by 6.0%")):
            with self.subTest(change):
                self.setUp()
                code, said = self.later(sha="b" * 64, **change)
                self.assertEqual(code, 3)
                self.assertIn("REGRESSION", said)
                self.assertIn(words, said)

    def test_better_is_not_worse(self):
        self.assertEqual(self.later(egress=450_000, cpu=600.0)[0], 0)

    def test_waived(self):
        self.waive(0.08, 30)
        code, said = self.later(egress=370_000 * 0.94)
        self.assertEqual(code, 0)
        self.assertIn("WAIVED", said)
        self.assertIn("(loss of up to 8 % allowed)", said)

    def test_a_waiver_that_is_too_small_or_over(self):
        for size, days, words in ((0.055, 30, "does not reach"), (0.08, -1, "waiver for hop expired on")):
            with self.subTest(words):
                self.setUp()
                self.waive(size, days)
                code, said = self.later(egress=370_000 * 0.94)
                self.assertEqual(code, 3)
                self.assertIn(words, said)

    def test_other_conditions_are_named_and_nothing_is_compared(self):
        code, said = self.later(kernel="6.1")
        self.assertEqual(code, 4)
        self.assertIn(f"other conditions: kernel: {kernel_line(PROFILE['kernel'])} there, 6.1 here", said)
        self.assertNotIn("%", said)

    def test_another_load_is_another_condition(self):
        declared = relay_run()["declared"] | {"window_ms": "500"}
        code, said = self.later(declared=declared)
        self.assertEqual(code, 4)
        self.assertIn("scenario, window_ms: 2000 there, 500 here", said)

    def test_how_compare_changes_a_scenario_is_none(self):
        code, said = self.later(declared=relay_run()["declared"] | {"compare_rate_pps": "125000", "compare_twin": "yes"})
        self.assertEqual(code, 0, said)

    def test_another_machine(self):
        self.accepted()
        self.forget_captures()
        self.twice(profile=PROFILE | {"id": "other-2c", "cpu": "other"})
        code, said = self.diff()
        self.assertEqual(code, 4)
        self.assertIn(f"no baseline of other-2c; that of {ID}", said)
        self.assertIn(f"cpu: {PROFILE['cpu']} there, other here", said)
        self.assertEqual(self.accept()[0], 0)
        self.assertEqual(self.diff()[0], 0)

    def test_a_baseline_under_an_older_name_is_another_machine_s(self):
        """The name said less, and may have been several machines'; its file is as good as it was."""
        self.accepted()
        self.forget_captures()
        machine = {"vendor": "AuthenticAMD", "family": "25", "model": "1", "stepping": "1", "caches": "L3 32768K", "hypervisor": "KVM"}
        self.twice(profile=PROFILE | {"id": "amd-epyc-25.1.1-l3.32768k-kvm-2c-linux6.18", "machine": machine, "calibration": None})
        code, said = self.diff()
        self.assertEqual(code, 4)
        self.assertIn(f"that of {ID} was measured under other conditions: ", said)
        self.assertIn("machine: none there", said)
        self.assertEqual(stored.load(self.baselines / ID / "hop.json", self.baselines)["profile"], PROFILE)

    def test_a_machine_that_is_not_as_fast_as_it_was_is_named_and_nothing_is_compared(self):
        fast, slow = ({"calibration": {"utc": "2026-11-28T14:00:00Z", "system_call_ns": call, "memory_copy_gb_per_s": 8.0}}
                      for call in (100.0, 150.0))
        self.twice(profile=PROFILE | fast)
        self.assertEqual(self.accept()[0], 0)
        self.forget_captures()
        self.twice(profile=PROFILE | slow)
        code, said = self.diff()
        self.assertEqual(code, 4)
        self.assertIn("calibration: 100 ns for a system call there, 150 ns for a system call here", said)

    def test_sittings_on_kernels_of_other_patch_levels_are_put_together(self):
        for kernel in ("6.18.44", "6.18.45"):
            self.capture(kernel=kernel)
        self.assertEqual(self.accept()[0], 0)

    def test_a_metric_that_is_gone(self):
        self.accepted()
        self.forget_captures()
        for _ in range(2):
            folder = self.sitting()
            for path in folder.glob("rounds/*/hop/relay/result.json"):
                run = load(path)
                run["hops"][0]["cpu_ns_per_packet"] = None
                path.write_text(json.dumps(run))
            (folder / "captures.json").write_text(json.dumps(captures.summarise(folder)))
        code, said = self.diff()
        self.assertEqual(code, 4)
        self.assertIn("CPU time per packet, ns: not in the proposal", said)

    def test_the_worst_is_the_verdict(self):
        self.scenario("other")
        self.twice("hop", "other")
        self.accept("hop", "other")
        self.forget_captures()
        self.twice("other", egress=300_000)
        code, said = self.diff("hop", "other")
        self.assertEqual(code, 3)
        self.assertIn("hop: refused; nothing captured", said)
        self.assertIn("other: REGRESSION", said)

    def test_markdown(self):
        self.accepted()
        self.assertIn("| scenario | figure |", self.diff(options=["--markdown"])[1])


class Show(World):
    def show(self, *names: str, **changes) -> tuple[int, str]:
        return self.run_main("show", self.baselines, json.dumps(PROFILE | changes), *names)

    def test_what_is_in_force_and_where_it_comes_from(self):
        self.accepted()
        Diff.waive(self, 0.08, 30)
        code, said = self.show()
        self.assertEqual(code, 0)
        for words in (ID, "somebody", "because", "2026-11-22T00:00:00Z", "f" * 12, "a" * 12, "CPU time per packet",
                      "8 %", "30", "known"):
            self.assertIn(words, said)

    def test_conditions_that_have_changed_since(self):
        self.accepted()
        code, said = self.show(kernel="6.1")
        self.assertEqual(code, 0)
        self.assertIn(f"kernel: {kernel_line(PROFILE['kernel'])} there, 6.1 here", said)

    def test_a_machine_without_baselines(self):
        code, said = self.show()
        self.assertEqual(code, 4)
        self.assertIn(f"no baselines of this machine, {ID}; there are: none", said)
        self.accepted()
        code, said = self.show(id="other-2c")
        self.assertEqual(code, 4)
        self.assertIn(f"there are: {ID}", said)

    def test_a_scenario_without_one(self):
        self.accepted()
        self.assertEqual(self.show("hop")[0], 0)
        self.assertEqual(self.show("other")[0], 4)


class Check(World):
    def one_fault(self, *words: str, options=()) -> None:
        code, faults = self.check(*options)
        self.assertEqual((code, len(faults)), (5, 1), faults)
        for word in words:
            self.assertIn(word, faults[0])

    def test_the_baselines_in_git_are_sound(self):
        answer = program("verdict.baseline.baseline", "check", HARNESS.parent / "baselines", HARNESS / "scenario")
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))

    def test_without_any_profile(self):
        self.assertEqual(self.check(), (0, []))

    def test_a_deleted_scenario(self):
        self.accepted()
        (self.scenarios / "hop.conf").unlink()
        self.one_fault(f"baselines/{ID}/hop.json has no scenario hop; restore harness/scenario/hop.conf or remove "
                       f"the baseline in a reviewed commit")

    def test_a_scenario_may_be_without_a_baseline(self):
        self.accepted()
        self.scenario("other")
        self.assertEqual(self.check(), (0, []))

    def test_a_file_that_is_no_baseline(self):
        self.accepted()
        (self.stored().parent / "notes.txt").write_text("")
        self.one_fault("notes.txt is no baseline")

    def test_tampered_files(self):
        def median(document):
            document["metrics"]["egress_pps"]["median"] *= 0.9

        def raw(document):
            document["sittings"][0]["metrics"]["egress_pps"][0] = 1.0

        def runs(document):
            document["runs"] = 20

        def few(document):
            document["runs"] = 4

        def after(document):
            document["changes"][-1]["after"]["egress_pps"] = 1.0

        def no_changes(document):
            document["changes"] = []

        def other_scenario(document):
            document["scenario"] = "other"

        def other_machine(document):
            document["profile"]["id"] = "other-2c"

        def unknown(document):
            document["colour"] = "blue"

        def unknown_metric(document):
            document["metrics"]["colour"] = document["metrics"]["egress_pps"]

        def no_metric(document):
            del document["metrics"]["egress_pps"]

        def version(document):
            document["schema"] = 2

        for change, words in ((median, "metrics.egress_pps.median"), (raw, "the raw values give"),
                              (runs, "runs is not the sum"), (few, "runs: 4"), (after, "last entry of changes"),
                              (no_changes, "changes"), (other_scenario, "scenario is 'other', its place says 'hop'"),
                              (other_machine, "profile.id is 'other-2c'"), (unknown, "colour"),
                              (unknown_metric, "colour"), (no_metric, "egress_pps"), (version, "schema")):
            with self.subTest(change.__name__):
                self.setUp()
                self.accepted()
                self.change_stored(change)
                self.one_fault(f"baselines/{ID}/hop.json: ", words)
                self.assertEqual(self.diff()[0], 5)

    def test_damaged_json(self):
        self.accepted()
        self.stored().write_text("{")
        self.one_fault("hop.json: cannot be read")

    def test_the_key_baseline(self):
        self.scenario("hop", "description = one\nbaseline = phase4\n")
        self.one_fault("hop.conf: baseline: no file baselines/phase4.json")
        floor = json.loads((ROOT / "baselines/phase4.json").read_text())
        target = floor["tiers"]["target"]
        for limits in ({**target, "egress_pps_min": 0}, {**target, "egress_pps_min": True}, {**target, "egress_pps_min": 1e999},
                       {**target, "egress_pps_mim": 1}, {"errors_max": 0}, {**target, "errors_max": "none"}, None):
            with self.subTest(limits):
                text = json.dumps({**floor, "tiers": {**floor["tiers"], "target": limits}}).replace("Infinity", "1e999")
                (self.baselines / "phase4.json").write_text(text)
                self.one_fault("baselines/phase4.json: tiers.target")
        (self.baselines / "phase4.json").write_text("{}")
        self.one_fault("baselines/phase4.json: 'schema' is a required property; restore it")
        (self.baselines / "phase4.json").write_text(json.dumps(floor))
        self.assertEqual(self.check(), (0, []))

    def test_waivers(self):
        Diff.waive(self, 0.08, 30)
        self.assertEqual(self.check(), (0, []))
        (self.scenarios / "hop.conf").rename(self.scenarios / "other.conf")
        self.one_fault("baselines/waivers.json: a waiver for hop, and there is no such scenario")
        (self.baselines / "waivers.json").write_text("[]")
        self.one_fault("baselines/waivers.json: ")

    def test_no_such_folders(self):
        self.baselines.rename(self.root / "gone")
        self.one_fault("no folder", "BENCH_BASELINES")

    def test_every_fault_has_its_line(self):
        self.accepted()
        (self.scenarios / "hop.conf").rename(self.scenarios / "other.conf")
        (self.baselines / "waivers.json").write_text("{")
        self.assertEqual(len(self.check()[1]), 2)

    def test_names_of_files_as_people_know_them(self):
        self.assertEqual(stored.label(self.stored(), self.baselines), f"baselines/{ID}/hop.json")


if __name__ == "__main__":
    unittest.main()
