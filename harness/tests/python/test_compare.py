"""compare.py: from the runs of two builds to a verdict, an exit code and a table."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import ROOT
from harness.tests.python.support import agree, control_run, load, program, relay_run, schema, verified_run, write_verified
from harness.verdict.paired import compare, sittings

BASE, HEAD = "b" * 64, "e" * 64
ENDS = ("--base", "one", "--head", "other", "--base-sha256", BASE, "--head-sha256", HEAD)
NOISE = (0.004, -0.006, 0.002, 0.009, -0.003, -0.008)


def run_of(who: str, egress: float, **changes) -> dict:
    run = relay_run(egress=egress, offered=733_000, **changes)
    run["sut"]["sha256"] = {"base": BASE, "head": HEAD}[who]
    return run


class Scratch(unittest.TestCase):
    """A sitting on disk; test_validity.py damages it."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.sitting = Path(scratch.name) / "compare" / "sitting"  # nobody else's lie beside it
        self.sitting.mkdir(parents=True)
        agree(self.sitting)
        self.scenario("flood")

    def scenario(self, name: str) -> None:
        """What is put and asked from here on; what arrives has been read."""
        self.folder = self.sitting / name
        self.folder.mkdir()
        for who in ("base", "head"):
            self.verified(who, verified_run())

    def verified(self, who: str, run: dict) -> None:
        shutil.rmtree(self.folder / "verified" / who, ignore_errors=True)
        sut = {**run["sut"], "sha256": {"base": BASE, "head": HEAD}[who]}
        write_verified(self.folder / "verified" / who, {**run, "sut": sut})

    def put(self, block: str, number: int, who: str, run: dict) -> None:
        place = self.folder / block / f"{number:02}" / who
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.json").write_text(json.dumps({**run, "scenario": self.folder.name}))

    def pairs(self, block: str, first: int, last: int, factor: float, **changes) -> None:
        for number in range(first, last + 1):
            noise = NOISE[number % len(NOISE)]
            self.put(block, number, "base", run_of("base", 300_000))
            self.put(block, number, "head", run_of("head", 300_000 * factor * (1 + noise), **changes))
            if number % 2:
                self.put(block, number, "control", control_run())

    def ask(self, metric: str = "egress_pps") -> list[str]:
        answer = program("verdict.paired.compare", "ask", self.folder, "--metric", metric, "--base", BASE, "--head", HEAD)
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))
        schema("compare", "scenario").validate(load(self.folder / "verdict.json"))
        return answer.stdout.splitlines()

    def finish(self, *options: str) -> tuple[int, dict, str]:
        answer = program("verdict.paired.compare", "finish", self.sitting, *ENDS, *options)
        self.assertEqual(answer.stderr, "")
        document = load(self.sitting / "compare.json")
        schema("compare").validate(document)
        return answer.returncode, document, answer.stdout


class Sitting(Scratch):
    def test_asks_for_pairs_in_an_order_that_favours_nobody(self):
        plan = [line.split() for line in self.ask()]
        self.assertEqual([line[:2] for line in plan], [["first", f"{i:02}"] for i in range(1, 13)])
        orders = [line[2:] for line in plan]
        self.assertEqual(orders[:4], [["base", "head"], ["head", "base"], ["head", "base"], ["base", "head"]])

    def test_same_speed_passes_at_the_first_look(self):
        self.pairs("first", 1, 12, 1.0)
        self.assertEqual(self.ask(), [])
        code, document, text = self.finish()
        self.assertEqual((code, document["verdict"]), (0, "PASS"))
        verdict = document["scenarios"]["flood"]
        self.assertAlmostEqual(verdict["estimate"], 0.0, delta=0.01)
        self.assertGreater(verdict["smallest_visible_loss"], 0.0)
        self.assertEqual(len(verdict["blocks_raw"]["first"]), 12)
        for word in ("PASS", "flood", "base one, head other", "6"):
            self.assertIn(word, text)

    def test_a_note_is_among_the_reasons_of_every_scenario(self):
        self.pairs("first", 1, 12, 1.0)
        self.ask()
        code, document, text = self.finish("--scenario", "other", "--note", "nobody looked")
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        for name in ("flood", "other"):
            self.assertEqual(document["scenarios"][name]["reasons"][-1], "nobody looked")
            self.assertIn(f"{name}: nobody looked", text)

    def test_a_loss_is_confirmed_by_fresh_pairs(self):
        self.pairs("first", 1, 12, 0.88)
        plan = self.ask()
        self.assertEqual([line.split()[0] for line in plan], ["confirmation"] * 12)
        self.pairs("confirmation", 1, 12, 0.88)
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))
        verdict = document["scenarios"]["flood"]
        self.assertTrue(verdict["lower"] < -0.12 < verdict["upper"], verdict)

    def test_a_loss_that_fresh_pairs_do_not_show_is_no_verdict(self):
        self.pairs("first", 1, 12, 0.88)
        self.pairs("confirmation", 1, 12, 1.0)
        self.assertEqual(self.ask(), [])
        self.assertEqual(self.finish()[0], 4)

    def test_cpu_time_counts_the_other_way_round(self):
        self.pairs("first", 1, 12, 1.0)
        for number in range(1, 13):
            for who, ns in (("base", 1000.0), ("head", 1200.0)):
                path = self.folder / "first" / f"{number:02}" / who / "result.json"
                run = load(path)
                run["hops"][0]["cpu_ns_per_packet"] = ns * (1 + NOISE[number % 6])
                path.write_text(json.dumps(run))
        self.assertEqual({line.split()[0] for line in self.ask("cpu_ns_per_packet")}, {"confirmation"})

    def lossy(self, last: int, **heads: list) -> None:
        """Pairs in which head's first hop has other figures: KEY=[of pair 1, of pair 2, ...]."""
        self.pairs("first", 1, last, 1.0)
        for number in range(1, last + 1):
            path = self.folder / "first" / f"{number:02}" / "head" / "result.json"
            run = load(path)
            run["hops"][0].update({key: values[number - 1] for key, values in heads.items()})
            path.write_text(json.dumps(run))

    def test_a_head_that_loses_packets_is_no_faster_for_it(self):
        """Below saturation: the CPU time of those that are passed on does not show it."""
        self.lossy(12, loss_ratio=[0.5] * 12)
        self.assertEqual({line.split()[0] for line in self.ask("cpu_ns_per_packet")}, {"confirmation"})
        for number in range(1, 13):
            self.put("confirmation", number, "base", run_of("base", 300_000))
            head = run_of("head", 300_000)
            head["hops"][0]["loss_ratio"] = 0.5
            self.put("confirmation", number, "head", head)
            if number % 2:
                self.put("confirmation", number, "control", control_run())
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        code, document, text = self.finish()
        self.assertEqual(code, 3, text)
        self.assertRegex(" ".join(document["scenarios"]["flood"]["reasons"]), r"head loses 50.00% of the packets, base \d")
        self.assertEqual(document["scenarios"]["flood"]["blocks_raw"]["first"][0]["head_loss"], 0.5)

    def test_a_loss_of_base_is_no_loss_of_head(self):
        self.pairs("first", 1, 12, 1.0)
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        self.assertEqual(self.finish()[0], 0)

    def test_a_run_of_unknown_loss_is_invalid(self):
        self.lossy(12, loss_ratio=[0.0] * 11 + [None])
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        self.assertEqual(self.finish()[0], 5)

    def test_a_generator_that_starves_beside_head_is_unfit(self):
        self.pairs("first", 1, 12, 1.0)
        for number in range(1, 13):
            self.put("first", number, "head", {**run_of("head", 300_000), "offered_pps": 600_000})
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        code, document, _ = self.finish()
        self.assertEqual(code, 4)
        self.assertIn("the generator beside head offers 600,000 of 733,000 pps", document["scenarios"]["flood"]["reasons"])

    def test_a_generator_that_starves_beside_relays_does_not_hide_a_loss(self):
        """The controls are healthy: it starves because of them."""
        for who in (("head",), ("base", "head")):
            for block in ("first", "confirmation"):
                self.pairs(block, 1, 12, 1.0)
                for number in range(1, 13):
                    for one in ("base", "head"):
                        run = run_of(one, 300_000, **({"offered_pps": 500_000} if one in who else {}))
                        run["hops"][0]["cpu_ns_per_packet"] = 2000.0 if one == "head" else 1000.0
                        self.put(block, number, one, run)
            self.assertEqual(self.ask("cpu_ns_per_packet"), [])
            code, document, _ = self.finish()
            self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))

    def test_a_generator_that_starves_alone_hides_it(self):
        for block in ("first", "confirmation"):
            self.pairs(block, 1, 12, 1.0)
            for number in range(1, 13):
                run = run_of("head", 300_000)
                run["hops"][0]["cpu_ns_per_packet"] *= 2
                self.put(block, number, "head", run)
                if number % 2:
                    self.put(block, number, "control", control_run(offered=600_000))
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["verdict"]), (4, "UNFIT"))
        self.assertIn("the generator alone offers 600,000", document["scenarios"]["flood"]["reasons"][0])

    def test_a_head_that_is_slow_now_and_then_is_a_regression(self):
        """Twelve of 48 runs at half the speed: the typical run keeps the tolerance."""
        for block in ("first", "confirmation"):
            for number in range(1, 49):
                self.pairs(block, number, number, 0.5 if number % 4 == 0 else 1.0)
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        verdict = document["scenarios"]["flood"]
        self.assertEqual((code, verdict["verdict"], verdict["by"]), (3, "REGRESSION", "tails"))
        self.assertIn("slower now and then", verdict["reasons"][0])

    def lose(self, block: str, base: float, head: float) -> None:
        self.pairs(block, 1, 12, 1.0)
        for number in range(1, 13):
            for who, loss in (("base", base), ("head", head)):
                run = run_of(who, 300_000)
                run["hops"][0].update(loss_ratio=loss, cpu_ns_per_packet=1000.0 * (1 + NOISE[number % 6] * (who == "head")))
                self.put(block, number, who, run)

    def test_packets_that_only_head_loses_are_a_regression(self):
        """Charged as ten each, 0.25 % of them are a loss within the tolerance."""
        for block in ("first", "confirmation"):
            self.lose(block, 0.0, 0.0025)
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        code, document, _ = self.finish()
        verdict = document["scenarios"]["flood"]
        self.assertEqual((code, verdict["by"]), (3, "packets"))
        self.assertGreater(verdict["lower"], -0.04)
        self.assertIn("head loses more packets, by more than 0.1% of all", verdict["reasons"][0])
        self.assertIn("head loses 0.25% of the packets, base 0.00%", verdict["reasons"][1])

    def test_packets_that_both_lose_are_none(self):
        self.lose("first", 0.0020, 0.0025)
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        self.assertEqual(self.finish()[0], 0)

    def test_a_flood_may_lose_what_it_likes(self):
        self.lose("first", 0.2, 0.3)
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["scenarios"]["flood"]["looks"][0]["rises"]), (0, None))

    def test_another_program_than_the_one_built_is_invalid(self):
        self.pairs("first", 1, 12, 1.0)
        other = run_of("head", 300_000)
        other["sut"]["sha256"] = "x" * 64
        self.put("first", 3, "head", other)
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        self.assertIn("another program ran", document["scenarios"]["flood"]["reasons"][0])

    def test_a_run_with_a_problem_is_invalid_at_once(self):
        self.put("first", 1, "base", run_of("base", 300_000))
        self.put("first", 1, "head", run_of("head", 300_000, problems=["the ledger is open"], valid=False))
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual(code, 5)
        self.assertIn("the ledger is open", document["scenarios"]["flood"]["reasons"][0])

    def test_unsteady_controls_are_unfit(self):
        self.pairs("first", 1, 12, 1.0)
        self.put("first", 3, "control", control_run(offered=600_000))
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["verdict"]), (4, "UNFIT"))

    def test_a_generator_that_is_the_limit_is_unfit(self):
        for number in range(1, 13):
            for who in ("base", "head"):
                self.put("first", number, who, run_of(who, 700_000))
            self.put("first", number, "control", control_run())
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual(code, 4)
        self.assertIn("the generator is the limit", document["scenarios"]["flood"]["reasons"][0])

    def twins(self, factor: float, controls: list[float], egress: float = 300_000, machine: dict | None = None) -> None:
        """`machine`: of a run beside its twin."""
        for number in range(1, 13):
            for who, speed in (("base", egress), ("head", egress * factor)):
                run = run_of(who, speed * (1 + NOISE[number % 6]))
                run["declared"]["twin"] = "yes"
                run |= {"machine": machine} if machine else {}
                self.put("first", number, who, run)
            if number % 2:
                control = control_run(offered=controls[number // 2])
                control["declared"]["twin"] = "yes"
                control |= {"machine": {"busy_ns_per_packet_offered": 500.0}} if machine else {}
                self.put("first", number, "control", control)

    def test_twins_meet_the_same_machine_however_unsteady(self):
        self.twins(1.0, [733_000, 500_000, 900_000] * 2)
        self.assertEqual(self.ask(), [])
        self.assertEqual(self.finish()[1]["verdict"], "PASS")

    def test_what_a_packet_of_twins_costs_the_whole_machine_is_of_both(self):
        self.twins(1.0, [733_000] * 6, machine={"cores_busy": 1.9, "nice_ratio": 0.0, "steal_ratio": 0.02})
        self.assertEqual(self.ask(), [])
        _, document, text = self.finish()
        found = document["scenarios"]["flood"]["machine"]
        self.assertEqual((found["cost_ns_per_forwarded_packet"]["head"], found["steal_ratio"]), (None, 0.02))
        self.assertIn(f"costs the whole machine {found['cost_ns_per_forwarded_packet']['both']:,.0f} ns (both builds together)", text)
        self.assertIn("other machines on this host took 2.0% of its time (steal)", text)

    def test_generators_of_twins_that_are_the_limit(self):
        """They share what one generator alone has."""
        self.twins(1.0, [733_000] * 6, egress=340_000)
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["verdict"]), (4, "UNFIT"))
        self.assertIn("the relay reaches 93% of the control", document["scenarios"]["flood"]["reasons"][0])

    def test_a_rate_that_the_generator_does_not_reach_is_unfit(self):
        self.pairs("first", 1, 12, 1.0)
        for number in range(1, 13, 2):
            self.put("first", number, "control", control_run(offered=650_000))
        self.assertEqual(self.ask("cpu_ns_per_packet"), [])
        self.assertEqual(self.finish()[0], 4)

    def test_stopped_by_the_clock_is_inconclusive(self):
        self.pairs("first", 1, 3, 1.0)
        self.assertEqual(len(self.ask()), 9)
        code, document, text = self.finish()
        self.assertEqual((code, document["verdict"]), (4, "INCONCLUSIVE"))
        self.assertIn(compare.TIME, text)

    def test_a_sitting_that_was_cut_short_does_not_say_what_a_whole_one_would_have_seen(self):
        for number in range(1, 17):
            self.put("first", number, "base", run_of("base", 300_000))
            self.put("first", number, "head", run_of("head", 300_000 * (0.97 + 4 * NOISE[number % 6])))
            if number % 2:
                self.put("first", number, "control", control_run())
        self.assertTrue(self.ask())
        code, document, _ = self.finish()
        verdict = document["scenarios"]["flood"]
        self.assertEqual((code, len(verdict["looks"]), verdict["smallest_visible_loss"]), (4, 1, None))

    def test_a_control_of_another_load_is_invalid(self):
        self.pairs("first", 1, 12, 1.0)
        control = control_run()
        control["declared"]["payload_bytes"] = "64"
        self.put("first", 3, "control", control)
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["scenarios"]["flood"]["reasons"]), (5, [
            "pair 03, control: not the load of the first run"]))

    def test_a_pair_without_the_control_that_is_due_is_invalid(self):
        self.pairs("first", 1, 12, 1.0)
        shutil.rmtree(self.folder / "first/03/control")
        self.assertEqual(self.ask(), [])
        code, document, _ = self.finish()
        self.assertEqual((code, document["scenarios"]["flood"]["reasons"]), (5, ["pair 03: no control beside it"]))

    def test_the_worst_scenario_is_the_verdict(self):
        self.pairs("first", 1, 12, 1.0)
        self.ask()
        good = self.folder
        self.scenario("other")
        self.pairs("first", 1, 12, 0.85)
        self.pairs("confirmation", 1, 12, 0.85)
        self.ask()
        self.assertTrue(good.exists())
        code, document, _ = self.finish()
        self.assertEqual(code, 3)
        self.assertEqual({name: v["verdict"] for name, v in document["scenarios"].items()},
                         {"flood": "PASS", "other": "REGRESSION"})

    def test_a_head_that_damages_packets_is_a_regression_without_a_pair(self):
        self.verified("head", verified_run({"corrupt": 75}))
        self.assertEqual(self.ask(), [])
        code, document, text = self.finish()
        self.assertEqual((code, document["verdict"]), (3, "REGRESSION"))
        self.assertIn("flood: verified run of head: 75 of 100,000 packets: sink socket: corrupt", text)

    def test_where_base_damages_them_too_it_is_invalid(self):
        for who in ("base", "head"):
            self.verified(who, verified_run(sink={"reordered": 1}))
        self.assertEqual(self.ask(), [])
        self.assertEqual(self.finish()[0], 5)

    def test_what_nobody_has_read_is_invalid(self):
        shutil.rmtree(self.folder / "verified")
        self.pairs("first", 1, 6, 1.0)
        self.assertEqual(self.ask(), [])
        self.assertEqual(self.finish()[0], 5)

    def test_nothing_measured_is_an_error(self):
        answer = program("verdict.paired.compare", "finish", self.sitting, *ENDS)
        self.assertEqual(answer.returncode, 5)
        self.assertIn("no verdict", answer.stderr)


class SameProgram(Scratch):
    def test_it_passes_without_a_measurement(self):
        code, document, text = self.finish("--scenario", "flood", "--scenario", "hop", "--head-sha256", BASE, "--same-program",
                                           "--note", "nobody looked")
        self.assertEqual((code, document["verdict"], sorted(document["scenarios"])), (0, "PASS", ["flood", "hop"]))
        for verdict in document["scenarios"].values():
            self.assertEqual((verdict["same_program"], verdict["pairs"], verdict["estimate"]), (True, 0, None))
            self.assertEqual(verdict["reasons"][1], "nobody looked")
        self.assertIn("flood: same program: base and head are bbbbbbbbbbbb with the same options", text)

    def test_nothing_else_passes_without_pairs(self):
        _, document, _ = self.finish("--scenario", "flood", "--head-sha256", BASE, "--same-program")
        document["scenarios"]["flood"]["same_program"] = False
        self.assertFalse(schema("compare").is_valid(document))


class Earlier(Scratch):
    """Sittings beside each other, of the same programs or of others."""

    def setUp(self):
        super().setUp()
        self.all = self.sitting.parent
        self.unofficial: tuple = ()
        shutil.rmtree(self.sitting)

    def sit(self, name: str, factor: float, *options: str) -> dict:
        self.sitting = self.all / name
        self.sitting.mkdir()
        self.scenario("flood")
        agree(self.sitting, unofficial=self.unofficial)
        self.pairs("first", 1, 12, factor)
        if factor < 1:
            self.pairs("confirmation", 1, 12, factor)
        self.ask()
        return self.finish(*options)[1]["scenarios"]["flood"]

    def test_they_are_counted_and_said(self):
        first = self.sit("20261128T100000Z-a", 0.9)
        self.assertEqual((first["earlier"], [r for r in first["reasons"] if "sitting of" in r]), ([], []))
        self.sit("20261128T110000Z-a", 0.9, "--head-options", "--queue-depth 64")
        self.sit("20261128T120000Z-a", 1.0, "--head-sha256", "f" * 64)
        second = self.sit("20261128T130000Z-b", 1.0)
        self.assertEqual(second["earlier"], [{"sitting": "20261128T100000Z-a", "verdict": "REGRESSION"}])
        self.assertIn("second sitting of this comparison; before: REGRESSION", second["reasons"])
        third = self.sit("20261128T140000Z-b", 1.0)
        self.assertIn("third sitting of this comparison; before: REGRESSION, PASS", third["reasons"])
        self.assertEqual(third["verdict"], "PASS")

    def test_another_question_about_the_same_programs_is_another_comparison(self):
        floor = str(ROOT / "baselines/phase4.json")
        self.sit("20261128T100000Z-a", 1.0)
        self.assertEqual(self.sit("20261128T110000Z-a", 1.0, "--shape", floor)["earlier"], [])
        self.assertEqual([one["sitting"] for one in self.sit("20261128T120000Z-a", 1.0, "--shape", floor)["earlier"]],
                         ["20261128T110000Z-a"])
        # a document from before the question was written down
        path = self.all / "20261128T110000Z-a/compare.json"
        document = json.loads(path.read_text()) | {"reference": "1" * 40}
        del document["question"]
        path.write_text(json.dumps(document))
        self.assertEqual([one["sitting"] for one in self.sit("20261128T130000Z-a", 1.0)["earlier"]], ["20261128T100000Z-a"])

    def test_one_that_cannot_be_read_is_said(self):
        (self.all / "20261128T100000Z-a").mkdir()
        damaged = self.all / "20261128T100000Z-a/compare.json"
        for text in ("{", "[]", "{}", '{"scenarios": {"flood": 1}}'):
            damaged.write_text(text)
            shutil.rmtree(self.all / "20261128T110000Z-a", ignore_errors=True)
            found = self.sit("20261128T110000Z-a", 1.0)
            self.assertEqual(found["earlier"], [])
            self.assertIn(f"{damaged} cannot be read", found["reasons"][-1])

    def test_one_of_a_format_from_before_is_another(self):
        (self.all / "20261128T100000Z-a").mkdir()
        (self.all / "20261128T100000Z-a/compare.json").write_text('{"scenarios": {"flood": {"verdict": "PASS"}}}')
        self.assertEqual(len(self.sit("20261128T110000Z-a", 1.0)["reasons"]), 1)

    def test_the_history_remembers_official_ones_when_their_results_are_gone(self):
        past = self.all / "history"
        for hour, unofficial in ((10, ()), (11, ("--builds a b",))):
            self.unofficial = unofficial
            first = self.sit(f"20261128T{hour}0000Z-a", 0.9, "--history", str(past))
        self.assertEqual([one["sitting"] for one in first["earlier"]], ["20261128T100000Z-a"])  # once, though it is in both
        for gone in self.all.glob("2026*"):
            shutil.rmtree(gone)
        self.unofficial = ()
        found = self.sit("20261128T120000Z-b", 1.0, "--history", str(past))
        self.assertEqual(found["earlier"], [{"sitting": "20261128T100000Z-a", "verdict": "REGRESSION"}])
        [path] = past.glob("*/comparisons/*.ndjson")
        self.assertEqual(len(path.read_text().splitlines()), 2)

    def test_a_line_of_the_history_that_is_none_is_said(self):
        past = self.all / "history"
        path = past / "a-machine/comparisons/2026-11.ndjson"
        path.parent.mkdir(parents=True)
        path.write_text('{"utc": "2026-11-28T10:00:00Z"}\n{\n')
        found = self.sit("20261128T120000Z-b", 1.0, "--history", str(past))
        self.assertEqual(found["earlier"], [])
        for number in (1, 2):
            self.assertIn(f"{path}:{number}: ", " ".join(found["reasons"]))

    def test_a_history_that_cannot_be_written_changes_no_verdict(self):
        (self.all / "history").touch()
        self.sitting = self.all / "20261128T120000Z-b"
        self.sitting.mkdir()
        self.scenario("flood")
        agree(self.sitting)
        self.pairs("first", 1, 12, 1.0)
        self.ask()
        answer = program("verdict.paired.compare", "finish", self.sitting, *ENDS, "--history", self.all / "history")
        self.assertEqual(answer.returncode, 0)
        self.assertIn("bench: this comparison is missing in the history", answer.stderr)

    def test_ordinals(self):
        self.assertEqual(sittings.remark([{"verdict": "PASS"}] * 10),
                         ["sitting number 11 of this comparison; before: " + ", ".join(["PASS"] * 10)])


class Schema(Scratch):
    def test_it_refuses_what_is_wrong(self):
        self.pairs("first", 1, 12, 1.0)
        self.ask()
        _, document, _ = self.finish()
        for change in ({"verdict": "MORE"}, {"verdict": "FINE"}, {"scenarios": {}}, {"surprise": 1}, {"schema": 2}):
            with self.subTest(change):
                self.assertFalse(schema("compare").is_valid({**document, **change}))
        verdict = document["scenarios"]["flood"]
        for change in ({"verdict": "MORE"}, {"pairs": 11}, {"looks": []}, {"estimate": None}, {"reasons": []},
                       {"builds": {"base": "one", "head": "other"}}, {"profile": None},
                       {"blocks_raw": {"first": [], "confirmation": []}}):
            with self.subTest(change):
                self.assertFalse(schema("compare").is_valid(
                    {**document, "scenarios": {"flood": {**verdict, **change}}}))
        self.assertTrue(schema("compare", "scenario").is_valid({**verdict, "verdict": "MORE"}))
        self.assertTrue(schema("compare").is_valid(
            {**document, "verdict": "WAIVED", "scenarios": {"flood": {**verdict, "verdict": "WAIVED"}}}))


if __name__ == "__main__":
    unittest.main()
