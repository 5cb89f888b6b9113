"""drift.py: change points where there are some and nowhere else; each told once, when it is sure, and corrected."""

import json
import subprocess
import tempfile
import unittest
from math import exp, log
from pathlib import Path

import numpy as np

from harness import HARNESS
from harness.history import alerts, drift
from harness.tests.python.support import program


# Yearly flow of the Nile at Aswan, 1871 to 1970 (Cobb 1978): it fell when 1899 began, as everybody who looked at it found.
NILE = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180, 799, 958, 1140,
        1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833, 701, 916, 692, 1020, 1050, 969,
        831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845, 864, 862, 698, 845, 744, 796, 1040, 759,
        781, 865, 845, 944, 984, 897, 822, 1010, 771, 676, 649, 846, 812, 742, 801, 1040, 860, 874, 848, 890,
        744, 749, 838, 1050, 918, 986, 797, 923, 975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740]


def mean_distance(first, second) -> float:
    return sum(abs(a - b) for a in first for b in second) / (len(first) * len(second))


def within(values) -> float:
    pairs = [abs(a - b) for i, a in enumerate(values) for b in values[:i]]
    return sum(pairs) / len(pairs)


def noise(count: int, seed: int = 1, share: float = 0.01) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, share, count)


def found(values) -> list[tuple[int, float]]:
    """[(place, change)]"""
    points = drift.change_points(np.asarray(values), np.random.default_rng(1))
    return [(at, change) for at, _, change in drift.without_small(np.asarray(values), points)]


def entries_of(values) -> list[dict]:
    """An entry a day of each commit 0, 1, 2..."""
    return [{"commit": f"{i:012}", "utc": f"2026-{1 + i // 28:02}-{1 + i % 28:02}T00:00:00Z", "profile": {},
             "control_pps": {"median": 700_000.0}, "hops": [{"egress_pps": {"median": 700_000.0 * exp(value)}}]}
            for i, value in enumerate(values)]


class ChangePoints(unittest.TestCase):
    def test_the_measure_is_the_energy_distance(self):
        values, measures = noise(17), drift.splits(noise(17))
        for k in range(18):
            for m in range(18):
                if k < drift.SEGMENT_MIN or m - k < drift.SEGMENT_MIN:
                    self.assertEqual(measures[k, m], -np.inf)
                    continue
                first, second = values[:k], values[k:m]
                expected = 2 * mean_distance(first, second) - within(first) - within(second)
                self.assertAlmostEqual(measures[k, m], expected * k * (m - k) / m, places=12)

    def test_the_nile(self):
        [(place, change)] = found(np.log(NILE))
        self.assertEqual(1871 + place, 1899)
        self.assertAlmostEqual(change, -0.23, delta=0.03)

    def test_a_step_is_found_where_it_is(self):
        for at in (10, 20, 33):
            values = noise(40, seed=at)
            values[at:] += log(0.95)
            with self.subTest(at):
                [(place, change)] = found(values)
                self.assertAlmostEqual(place, at, delta=1)
                self.assertAlmostEqual(change, -0.05, delta=0.015)

    def test_noise_has_none(self):
        """Each series has a chance of 1 in 1,000; so has one with outliers on one side."""
        for seed in range(6):
            values = noise(40, seed)
            values[::9] -= 0.15 * (seed % 2)
            with self.subTest(seed):
                self.assertEqual(found(values), [])

    def test_a_dip_has_two_ends(self):
        values = noise(60, 3)
        values[20:40] += log(0.9)
        self.assertEqual([round(change, 1) for _, change in found(values)], [-0.1, 0.1])

    def test_what_is_too_small_is_not_told(self):
        values = noise(60, 4, 0.001)
        values[30:] += log(0.98)
        self.assertEqual([at for at, _ in drift.change_points(values, np.random.default_rng(1))], [30])
        self.assertEqual(found(values), [])

    def test_small_steps_that_add_up_are_told(self):
        """2 % a week: no step is told of, the leak is."""
        values = noise(60, 5, 0.002) + log(0.98) * (np.arange(60) // 10)
        changes = [change for _, change in found(values)]
        self.assertTrue(changes)
        self.assertTrue(all(change <= -drift.MAGNITUDE_MIN for change in changes))

    def test_the_place_is_among_those_that_are_told(self):
        """Also where one side has fewer entries than a split needs, and where noise hides it."""
        told, widths = [], []
        for seed in range(60):
            for size, after, share in ((0.3, 2, 0.02), (0.1, 6, 0.02), (0.05, 12, 0.02)):
                values = noise(30, 3 * seed + after, share)
                values[30 - after:] += log(1 - size)
                at, first, last = drift.places(values, min(30 - after, 25), True)
                self.assertTrue(first <= at <= last)
                told.append(first <= 30 - after <= last)
                widths.append((size, last - first))
        self.assertGreater(sum(told) / len(told), 0.97)
        self.assertEqual(max(width for size, width in widths if size == 0.3), 0)
        self.assertLess(np.mean([width for size, width in widths if size == 0.05]), 6)

    def test_without_noise_the_place_is_certain(self):
        self.assertEqual(drift.places(np.array([0.0] * 7 + [-0.1] * 2), 4, True), (7, 7, 7))

    def test_an_outlier_far_away_is_not_the_place(self):
        values = noise(30, 6)
        values[24:] += log(0.96)
        values[0] = -0.5
        at, first, last = drift.places(values, 24, True)
        self.assertTrue(15 < first <= 24 <= last, (at, first, last))

    def test_too_few_entries_for_a_split(self):
        self.assertEqual(found([0.0] * 5 + [1.0] * 4), [])


class History(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.alerts = self.folder / "machine/drift/alerts.ndjson"
        self.written = 0

    def add(self, logs, **changes) -> None:
        """Entries, a day each."""
        (self.folder / "machine").mkdir(exist_ok=True)
        with open(self.folder / "machine/2026-11.ndjson", "a", encoding="utf-8") as file:
            for value in logs:
                self.written += 1
                control = 700_000 + 100 * self.written
                file.write(json.dumps({
                    "scenario": "pipeline-phase4", "commit": f"{self.written:012}", "dirty": False,
                    "utc": f"2026-{1 + self.written // 28:02}-{1 + self.written % 28:02}T00:00:00Z",
                    "profile": {"id": "machine", "compiler": "12"}, "control_pps": {"median": control},
                    "hops": [{"egress_pps": {"median": control * exp(value)}}]} | changes) + "\n")

    def drift(self, status: int, *options: str) -> str:
        answer = program("history.drift", self.folder, "machine", *options)
        self.assertEqual(answer.returncode, status, answer.stdout + answer.stderr)
        return answer.stdout

    def test_a_new_step_is_told_once(self):
        self.add(noise(20))
        self.drift(0)
        self.add(noise(7, 2) + log(0.93))
        self.assertIn("new", self.drift(3, "--no-alerts"))
        text = self.drift(3)
        self.assertIn("bench bisect 000000000020 000000000021", text)
        self.assertEqual(len(self.alerts.read_text().splitlines()), 1)
        for _ in range(4):  # more of the same moves it a little at most
            self.add(noise(2, self.written) + log(0.93))
            text = self.drift(0)
            self.assertIn("known", text)
            self.assertNotIn("bisect", text)
        self.assertEqual(len(self.alerts.read_text().splitlines()), 1)
        self.add(noise(12, 5) + log(0.86))
        self.assertIn("bench bisect", self.drift(3))
        self.assertEqual(len(self.alerts.read_text().splitlines()), 2)

    def test_what_is_told_has_the_commit_and_five_entries_on_either_side(self):
        """Though a large change is significant with two entries behind it."""
        for seed in range(6):
            for size, share in ((0.3, 0.01), (0.05, 0.01)):
                values = noise(40, seed, share)
                values[30:] += log(1 - size)
                with self.subTest((seed, size)):
                    told = []
                    for count in range(33, 39):
                        for one in drift.find("s", entries_of(values[:count])):
                            if one.certain and one.point.change < 0:
                                told.append((count - 30, int(one.point.good) < 30 <= int(one.point.bad)))
                    self.assertTrue(told and told[0][0] >= drift.SEGMENT_MIN, told)
                    self.assertTrue(all(right for _, right in told), told)

    def test_a_change_too_new_to_have_a_place_is_shown_and_not_told(self):
        self.add(noise(30, 0))
        self.add(noise(4, 2) + log(0.7))
        text = self.drift(0)
        self.assertIn("early: ", text)
        self.assertNotIn("bisect", text)
        self.assertFalse(self.alerts.exists())
        self.add(noise(1, 3) + log(0.7))
        self.assertIn("bench bisect 000000000030 000000000031", self.drift(3))

    def tell(self, place: int, **changes) -> None:
        """That the PLACEth entry was the first slower one, was told before."""
        utc = f"2026-{1 + place // 28:02}-{1 + place % 28:02}T00:00:00Z"
        self.alerts.parent.mkdir(exist_ok=True)
        with open(self.alerts, "a", encoding="utf-8") as file:
            file.write(json.dumps({"scenario": "pipeline-phase4", "good": f"{place - 1:012}", "bad": f"{place:012}", "utc": utc,
                                   "change": -0.1, "p_value": 0.0005, "conditions": []} | changes) + "\n")

    def states(self) -> list[str]:
        return [json.loads(line).get("state") for line in self.alerts.read_text().splitlines()]

    def test_what_was_told_in_the_wrong_place_is_corrected_once(self):
        self.add(noise(20))
        self.add(noise(10, 2) + log(0.9))
        self.tell(18)
        text = self.drift(3)
        self.assertIn("corrected: the change that was told as 000000000017 to 000000000018 is 000000000020 to 000000000021", text)
        self.assertIn("bench bisect 000000000020 000000000021", text)
        self.assertEqual(self.states(), [None, "corrected"])
        self.assertIn("known", self.drift(0))
        self.assertEqual(self.states(), [None, "corrected"])

    def test_what_was_none_is_withdrawn_once_and_can_come_back(self):
        self.add(noise(20))
        self.tell(12)
        self.assertIn("withdrawn: -10.0%, told as 000000000011 to 000000000012", self.drift(0))
        self.assertNotIn("withdrawn", self.drift(0))
        self.assertEqual(self.states(), [None, "withdrawn"])
        (self.folder / "machine/2026-11.ndjson").unlink()
        self.written = 0
        self.add(noise(11))
        self.add(noise(9, 2) + log(0.9))
        self.drift(3)
        self.assertEqual(self.states(), [None, "withdrawn", "new"])

    def test_branches_that_told_of_the_same_told_it_once(self):
        self.add(noise(20))
        self.add(noise(10, 2) + log(0.9))
        for place in (20, 21, 22):
            self.tell(place, told_utc="2026-11-28T00:00:00Z", state="new")
        text = self.drift(0)
        self.assertEqual((text.count("known"), text.count("withdrawn"), text.count("corrected")), (1, 0, 0))

    def test_the_order_of_alerts_does_not_matter(self):
        self.add(noise(20))
        for state, day in (("withdrawn", 29), ("new", 28)):
            self.tell(12, state=state, told_utc=f"2026-11-{day}T00:00:00Z")
        self.assertNotIn("withdrawn", self.drift(0))

    def test_an_alert_that_is_long_ago_stays(self):
        entries = entries_of(noise(150))
        old, new = (alerts.ChangePoint("s", "1" * 12, "2" * 12, *[entries[place]["utc"]] * 3, -0.1, 0.0005, ())
                    for place in (49, 50))
        self.assertEqual([one.point for one in drift.news("s", entries, [], [old, new])], [new])

    def test_what_was_told_so_far_away_is_another_change(self):
        entries = entries_of(noise(20))

        def point(place: int) -> alerts.ChangePoint:
            return alerts.ChangePoint("s", "1" * 12, "2" * 12, *[entries[place]["utc"]] * 3, -0.1, 0.0005, ())

        for away in (-drift.SEGMENT_MIN, drift.SEGMENT_MIN):
            told = point(10 + away)
            with self.subTest(away):
                self.assertEqual(drift.news("s", entries, [drift.Found(point(10), True, 10)], [told]),
                                 [drift.News(alerts.NEW, point(10)), drift.News(alerts.WITHDRAWN, told)])
        for away in (1 - drift.SEGMENT_MIN, drift.SEGMENT_MIN - 1):
            told = point(10 + away)
            with self.subTest(away):
                self.assertEqual(drift.news("s", entries, [drift.Found(point(10), True, 10)], [told]),
                                 [drift.News(alerts.CORRECTED, point(10), told)])

    def test_one_commit_on_both_sides_is_not_to_blame(self):
        self.add(noise(10))
        self.add(noise(5, 3), commit="a" * 12)
        self.add(noise(10, 2) + log(0.8), commit="a" * 12)
        text = self.drift(3)
        self.assertIn(f"no commit: {'a' * 12} was measured before and after it", text)
        self.assertNotIn("bisect", text)

    def test_the_order_of_lines_and_doubles_do_not_matter(self):
        self.add(noise(20))
        self.add(noise(7, 2) + log(0.9))
        path = self.folder / "machine/2026-11.ndjson"
        lines, text = path.read_text().splitlines(), self.drift(3, "--no-alerts")
        path.write_text("\n".join(lines[::-1] + lines[3:9]) + "\n")
        self.assertEqual(self.drift(3, "--no-alerts"), text)

    def test_a_machine_without_a_history_is_told_of_the_others(self):
        self.add(noise(3))
        answer = program("history.drift", self.folder, "machin")
        self.assertEqual(answer.returncode, 4)
        self.assertIn(f"{self.folder} has a history of: machine", answer.stdout)

    def test_faster_is_told_and_no_alarm(self):
        self.add(noise(20))
        self.add(noise(10, 2) + log(1.1))
        self.assertRegex(self.drift(0), r"\+(9|10)\.\d% .* new")
        self.assertEqual(len(self.alerts.read_text().splitlines()), 1)

    def test_what_else_changed_is_named(self):
        self.add(noise(15))
        self.add(noise(15, 2) + log(0.9), profile={"id": "machine", "compiler": "13"})
        self.assertIn("compiler", self.drift(3))

    def test_invalid_and_dirty_entries_do_not_count(self):
        self.add(noise(20))
        self.add(noise(20, 2) + log(0.8), dirty=True)
        self.add([0.0] * 20, hops=[])
        self.add([0.0] * 20, control_pps={"median": 0})
        self.add([0.0] * 20, hops=[{"egress_pps": {"median": 0}}])
        self.add([0.0] * 20, commit="unknown")
        self.assertIn("20 entries", self.drift(0))

    def test_too_short_a_history(self):
        self.assertIn("0 entries", self.drift(4))
        self.add(noise(9))
        self.assertIn("9 entries", self.drift(4))

    def warned(self, status: int, *said: str) -> str:
        """What drift finds although it has to leave something out, of which it says so."""
        answer = program("history.drift", self.folder, "machine", "--no-alerts")
        self.assertEqual((answer.returncode, answer.stderr.count("\n")), (status, len(said)), answer.stderr)
        for one in said:
            self.assertIn(f"warning: {one}", answer.stderr)
        return answer.stdout

    def test_damaged_lines_are_named_and_left_out(self):
        self.add(noise(20))
        self.add(noise(7, 2) + log(0.9))
        self.alerts.parent.mkdir()
        self.alerts.write_text('{"utc": "2026-11-01T00:00:00Z"}\n<<<<<<< HEAD\n')
        self.add([0.0], hops=[{}])
        with open(self.folder / "machine/2026-11.ndjson", "a", encoding="utf-8") as file:
            file.write('{"utc": ')
        text = self.warned(3, f"{self.folder / 'machine/2026-11.ndjson'}:29: damaged line, left out: ",
                           f"{self.folder / 'machine/2026-11.ndjson'}:28: left out, the entry lacks what drift needs: "
                           f"KeyError('egress_pps')",
                           f"{self.alerts}:2: damaged line, left out: a merge was left unfinished",
                           f"{self.alerts}:1: not an alert, left out: ")
        self.assertIn("27 entries", text)

    def test_an_entry_that_is_none_is_named_and_left_out(self):
        for what in ({"hops": [{"egress_pps": {"median": 1e999}}]}, {"hops": [{"egress_pps": {"median": True}}]},
                     {"control_pps": {"median": "many"}}, {"control_pps": {"median": 10 ** 400}}, {"scenario": 5},
                     {"scenario": ["s"]}, {"profile": "machine"}, {"profile": None}, {"commit": 5}):
            with self.subTest(what):
                self.add(noise(20))
                self.add([0.0], **what)
                path = self.folder / "machine/2026-11.ndjson"
                path.write_text(path.read_text().replace("Infinity", "1e999"))
                self.assertIn("20 entries", self.warned(0, f"{path}:21: left out, the entry lacks what drift needs"))
                path.unlink()

    def test_what_nobody_was_told_is_told_again(self):
        self.add(noise(15))
        self.add(noise(15, 2) + log(0.9))
        words = ["/usr/bin/python3", HARNESS / "start.py", "harness.history.drift", self.folder, "machine"]
        with open("/dev/full", "w", encoding="utf-8") as full:
            answer = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((answer.returncode, answer.stderr.count("\n")), (4, 1))
        self.assertIn("bench: [Errno 28] No space left on device", answer.stderr)
        with subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader:
            reader.wait()
            answer = subprocess.run(words, stdout=reader.stdin, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((answer.returncode, answer.stderr), (141, ""))
        self.assertFalse(self.alerts.exists())
        self.drift(3)
        self.drift(0)

    def test_what_cannot_be_noted_is_told_all_the_same(self):
        self.add(noise(15))
        self.add(noise(15, 2) + log(0.9))
        self.alerts.parent.write_text("no folder")
        for _ in range(2):
            answer = program("history.drift", self.folder, "machine")
            self.assertEqual(answer.returncode, 3)
            self.assertIn("bench bisect", answer.stdout)
            self.assertIn("it will be told again", answer.stderr)


if __name__ == "__main__":
    unittest.main()
