import copy
import json
import os
import resource
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.history import history
from harness.report import plots
from harness.tests.python.support import ROOT, baseline, command, control_run, process, program, relay_run, schema, verified_run
from harness.verdict.floor import floor

CLEAN = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}


def verdict(utc: str = "2026-11-20T14:00:00Z", **figures) -> dict:
    found = floor.judge([relay_run(**figures) for _ in range(10)], [control_run()] * 10,
                        baseline(), "target", verified=verified_run())
    return {**json.loads(json.dumps(found)), "utc": utc}


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.history = self.folder / "a history"
        self.verdict = self.folder / "verdict.json"
        self.verdict.write_text(json.dumps(verdict()))


class History(Scratch):
    def entries(self, *profile: str) -> list[dict]:
        return [entry for _, entry in history.read(self.history, *profile)[0]]

    def test_what_goes_in_comes_out(self):
        entry = verdict()
        path = history.append(entry, self.history)
        self.assertEqual(path, self.history / entry["profile"]["id"] / "2026-11.ndjson")
        self.assertEqual(history.read(self.history), ([(f"{path}:1", entry)], []))
        schema("verdict").validate(self.entries()[0])

    def test_read_sorts_by_time_over_months_and_profiles(self):
        for utc, profile in (("2027-01-02T00:00:00Z", "a"), ("2026-11-20T00:00:00Z", "b"),
                             ("2026-12-01T00:00:00Z", "a")):
            entry = verdict(utc)
            entry["profile"] = {**entry["profile"], "id": profile}
            history.append(entry, self.history)
        self.assertEqual([entry["utc"][:7] for entry in self.entries()], ["2026-11", "2026-12", "2027-01"])
        self.assertEqual(len(self.entries("a")), 2)

    def test_appends_at_the_same_time_keep_every_line(self):
        appending = []
        for second in range(4):
            path = self.folder / f"{second}.json"
            path.write_text(json.dumps(verdict(f"2026-11-20T14:00:0{second}Z")))
            appending.append(subprocess.Popen(command("history.history", "append", path, self.history), cwd=ROOT,
                                              stdout=subprocess.DEVNULL))
        self.assertEqual([process.wait() for process in appending], [0] * 4)
        self.assertEqual([entry["utc"][-3:] for entry in self.entries()], ["00Z", "01Z", "02Z", "03Z"])

    def test_a_damaged_line_is_named_and_left_out(self):
        for line, said in ((b'{"utc": ', "Expecting value"), (b"<<<<<<< HEAD", "a merge was left unfinished here"),
                           (b"=======", "a merge was left"), (b">>>>>>> branch", "a merge was left"), (b"[]", "no entry"),
                           (b'"utc"', "no entry"), (b"{}", "no entry"), (b'{"utc": "yesterday"}', "no entry"),
                           (b'{"utc": "2026-13-01T14:00:00Z"}', "no entry"),
                           (b'{"utc": "2026-11-20T14:00:00Z", "schema": 2}', "'schema': 2 is not the format"),
                           (b"[" * 100_000, "brackets within brackets"),
                           (b'{"utc": NaN}', "NaN is not a number"), (b"\xff\xfe", "'utf-8' codec can't decode"), (b"\0", "Expecting value")):
            with self.subTest(line):
                path = history.append(verdict(), self.history)
                path.write_bytes(path.read_bytes() + line + b"\n")
                history.append(verdict("2026-11-21T14:00:00Z"), self.history)
                done = program("history.history", "list", self.history)
                self.assertEqual((done.returncode, done.stdout.count("\n"), done.stderr.count("\n")), (0, 2, 1), done.stderr)
                self.assertIn(f"warning: {path}:2: damaged line, left out: {said}", done.stderr)
                groups, warnings = plots.pictures(self.history)
                self.assertEqual((len(next(iter(groups.values()))), len(warnings)), (2, 1))
                path.unlink()

    def test_what_is_no_file_is_named_and_not_waited_for(self):
        path = history.append(verdict(), self.history)
        path.unlink()
        for make in (os.mkfifo, os.mkdir):
            make(path)
            for done in (program("history.history", "list", self.history),
                         program("report.plots", self.history, self.folder / "plots")):
                self.assertEqual(done.returncode, 5, done.stderr)
                self.assertIn(f"{path}: cannot be read: it is a folder, a FIFO or a device", done.stderr)
            path.unlink() if path.is_fifo() else path.rmdir()

    def test_a_line_that_stands_twice_counts_once(self):
        """Whatever merged it: at once, in another order of its keys, in another file, after an empty line."""
        path = history.append(verdict(), self.history)
        other = {**verdict(), "commit": "0" * 12}
        history.append(other, self.history)
        history.append(verdict(), self.history)
        (path.parent / "2026-11-merged.ndjson").write_text(
            "\r\n" + json.dumps(dict(reversed(verdict().items()))) + "\r\n\n" + json.dumps(other))
        self.assertEqual(sorted(entry["commit"] for entry in self.entries()), sorted([verdict()["commit"], "0" * 12]))

    def test_the_same_run_in_other_words_counts_once_and_is_told(self):
        """Numbers may be written otherwise; a line that says something else of the run is told, whichever counts."""
        path = history.append(verdict(), self.history)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(verdict()).replace('"rounds": 10,', '"rounds": 10.0,') + "\n")
        self.assertEqual((len(self.entries()), history.read(self.history)[1]), (1, []))
        history.append({**verdict(), "verdict": "REGRESSION"}, self.history)
        entries, [warning] = history.read(self.history)
        self.assertEqual([entry["verdict"] for _, entry in entries], ["PASS"])
        self.assertIn(f"{path}:3: left out, it says something else of the run in {path}:1", warning)

    def test_the_order_of_lines_does_not_matter(self):
        entries = [verdict(f"2026-11-{day:02}T14:00:00Z") for day in (3, 1, 2)]
        entries.append({**entries[0], "commit": "0" * 12})  # at the same time
        seen = []
        for order in (entries, entries[::-1]):
            for entry in order:
                path = history.append(entry, self.history)
            seen.append(self.entries())
            path.unlink()
        self.assertEqual(seen[0], seen[1])
        self.assertEqual([entry["utc"][8:10] for entry in seen[0]], ["01", "02", "03", "03"])

    def test_git_merges_branches_that_both_append(self):
        place = self.folder / "results/history"
        alerts = place / "machine/drift/alerts.ndjson"

        def git(*words: str) -> None:
            subprocess.run(["git", "-C", self.folder, "-c", "user.name=test", "-c", "user.email=test@localhost", *words],
                           check=True, capture_output=True, env={**CLEAN, "GIT_CONFIG_GLOBAL": "/dev/null"})

        def add(day: int) -> None:
            history.append(verdict(f"2026-11-{day:02}T14:00:00Z"), place)
            history.append_line(alerts, {"utc": f"2026-11-{day:02}T14:00:00Z"})
            git("add", ".")
            git("commit", "--quiet", "--message", f"day {day}")

        (self.folder / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
        git("init", "--quiet", "--initial-branch", "main", "--template=")
        add(1)
        git("branch", "other")
        add(2)
        add(4)
        git("checkout", "--quiet", "other")
        add(3)
        git("merge", "--no-edit", "main")
        self.assertEqual([entry["utc"][8:10] for _, entry in history.read(place)[0]], ["01", "02", "03", "04"])
        self.assertEqual(len(history.read_lines(alerts)[0]), 4)

    def test_a_line_cut_short_spoils_no_second_one(self):
        path = history.append(verdict(), self.history)
        with open(path, "a", encoding="ascii") as file:
            file.write('{"utc": ')
        history.append(verdict(), self.history)
        lines = path.read_text().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(json.loads(lines[2]), verdict())

    def test_full_disk_leaves_the_file_as_it_was(self):
        path = history.append(verdict(), self.history)
        before = path.read_bytes()

        def nearly_full():
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100,) * 2)

        done = process("history.history", "append", self.verdict, self.history, preexec_fn=nearly_full)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1), done.stderr)
        self.assertEqual(path.read_bytes(), before)

    def test_invalid_verdict_has_no_place_in_it(self):
        for text in ('{"verdict": "INVALID", "exit": 5}', "[]", "{", ""):
            self.verdict.write_text(text)
            done = program("history.history", "append", self.verdict, self.history)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (5, 1), text)
        self.assertFalse(self.history.exists())


class Report(Scratch):
    BASELINE = ROOT / "baselines/phase4.json"

    def report(self, document: dict, *options) -> str:
        self.verdict.write_text(json.dumps(document))
        done = program("report.show", self.verdict, "--baseline", self.BASELINE, *options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("\033", done.stdout)  # no colour: it is not a terminal
        return done.stdout

    def test_each_verdict(self):
        for word, figures in (("PASS", {}), ("REGRESSION", {"egress": 90_000}),
                              ("INCONCLUSIVE", {"offered": 600_000})):
            with self.subTest(word=word):
                text = self.report(verdict(**figures))
                self.assertIn(f"\n{word}: tier", text)
                self.assertIn("relay 1 egress", text)
                self.assertIn("307,000 pps", text)  # PHASE4's
                self.assertIn(">= 300,000 pps", text)  # the tier's

    def test_the_whole_machine(self):
        self.assertNotIn("whole machine", self.report(verdict()))
        known = {"cost_ns_per_forwarded_packet": {"median": 2345.0, "lower": 2300.0, "upper": 2400.0, "samples": [2345.0]},
                 "control_busy_ns_per_packet": 500.0, "cores_busy": 1.9, "nice_ratio": 0.0, "steal_ratio": 0.034}
        text = self.report({**verdict(), "machine": known})
        self.assertRegex(text, "whole machine, per packet sent on +2,345 ns +<= 2,400 ns")
        self.assertIn("note: other machines on this host took 3.4% of its time (steal)", text)
        run = {"seconds": 2.0, "cores_busy": 1.9, "busy_ns_per_packet_offered": 2592.0, "reason": None, "user_ratio": 0.1,
               "system_ratio": 0.5, "irq_ratio": 0.0, "softirq_ratio": 0.3, "nice_ratio": 0.0, "steal_ratio": 0.034}
        self.assertIn("whole machine: 1.90 cores busy, 2,592 ns per packet offered; user 10.0%", self.report(relay_run(machine=run)))
        self.assertIn("whole machine: why not", self.report(relay_run(machine={"cores_busy": None, "reason": "why not"})))

    def test_invalid(self):
        found = floor.judge([relay_run(problems=["the ledger is open"])], [control_run()],
                            baseline(), "target", verified=verified_run())
        text = self.report(found)
        self.assertIn("INVALID: the measurement itself is broken", text)
        self.assertIn("- round 1: the ledger is open", text)

    def test_markdown(self):
        text = self.report(verdict(), "--markdown")
        self.assertIn("### Performance gate: PASS\n", text)
        table = [line for line in text.splitlines() if line.startswith("|")]
        self.assertGreater(len(table), 5)
        self.assertEqual(len({line.count("|") for line in table}), 1)

    def test_colour_on_a_terminal_unless_unwanted(self):
        self.verdict.write_text(json.dumps(verdict()))
        for environment, colour in (({}, True), ({"NO_COLOR": "1"}, False)):
            leader, follower = os.openpty()
            subprocess.run(command("report.show", self.verdict, "--baseline", self.BASELINE), stdout=follower, check=True,
                           cwd=ROOT, env={**CLEAN, **environment})
            os.close(follower)
            text = b""
            try:
                while piece := os.read(leader, 65536):
                    text += piece
            except OSError:
                pass
            os.close(leader)
            self.assertIs(b"\033[1;32mPASS" in text, colour)

    def test_result(self):
        text = self.report(relay_run())
        self.assertIn("sink (terminus relay): received", text)
        self.assertIn("VALID: every packet accounted for", text)
        broken = self.report(relay_run(valid=False, problems=["the reason"]))
        self.assertIn("INVALID\n  - the reason", broken)

    def test_unreadable_is_one_line(self):
        for text in ("", "[]", "{}", '{"verdict": 1}'):
            self.verdict.write_text(text)
            done = program("report.show", self.verdict)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), text)


class Plot(Scratch):
    def entries(self) -> list[dict]:
        kinds = ({}, {"egress": 90_000, "exhaustion": 0.86}, {"offered": 600_000}, {"egress": 450_000})
        return [verdict(f"2026-11-{day:02}T14:00:00Z", **kinds[day % len(kinds)])
                for day in range(1, 13)]

    def test_svg_and_png(self):
        entries = self.entries()
        for entry in entries:
            history.append(entry, self.history)
        few = copy.deepcopy(entries[0])  # too few rounds for bounds
        for summary in (few["hops"][0]["egress_pps"], few["hops"][0]["buffer_exhaustion_ratio"]):
            summary.update(lower=None, upper=None)
        history.append({**few, "utc": "2026-11-30T14:00:00Z"}, self.history)
        # the cost is known in some of the runs
        history.append({**entries[0], "utc": "2026-11-30T15:00:00Z", "machine": {"cost_ns_per_forwarded_packet": {
            "median": 2345.0, "lower": None, "upper": None, "samples": [2345.0, 2400.0]}}}, self.history)
        plots = self.folder / "the plots' folder"
        done = program("report.plots", self.history, plots)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        stem = f"{entries[0]['profile']['id']}-pipeline-phase4"
        self.assertEqual(sorted(path.name for path in plots.iterdir()), [f"{stem}.png", f"{stem}.svg"])
        png = (plots / f"{stem}.png").read_bytes()
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", png[16:24]), (1100, 930))
        svg = (plots / f"{stem}.svg").read_text()
        self.assertIn("</svg>", svg)
        for text in ("PHASE4", "stretch", "machine, per packet", entries[0]["commit"][:8]):
            self.assertIn(text, svg)

    def test_the_reference_is_one_picture_of_all_machines(self):
        for i, machine in enumerate(("a-2c", "b-4c", "a-2c")):
            history.append({"schema": 1, "gate": "reference", "utc": f"2026-11-2{i}T14:00:00Z", "commit": f"{i}" * 12, "dirty": False,
                            "profile": {"id": machine}, "scenario": "single-hop", "reference": "f" * 40, "verdict": "PASS",
                            "since_first": 0.02 * i, "estimate": 0.01, "lower": None if i == 1 else -0.01, "upper": 0.03}, self.history)
        summary = plots.beside_reference({"since_first": 0.21, "estimate": 0.1, "lower": 0.0, "upper": None})
        self.assertEqual((round(summary["median"], 9), round(summary["lower"], 9), summary["upper"]), (1.21, 1.1, None))
        done = program("report.plots", self.history, self.folder / "plots")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(sorted(path.name for path in (self.folder / "plots").iterdir()),
                         ["reference-single-hop.png", "reference-single-hop.svg"])
        svg = (self.folder / "plots/reference-single-hop.svg").read_text()
        for text in ("beside the reference, all machines", "first reference", "22222222"):
            self.assertIn(text, svg)

    def test_what_cannot_be_drawn_is_named_and_left_out(self):
        for entry in self.entries()[:3]:
            history.append(entry, self.history)
        whole = verdict("2026-11-28T14:00:00Z")
        for i, change in enumerate(({"hops": []}, {"hops": [{}]}, {"baseline": None}, {"commit": 5},
                                    {"hops": [{**whole["hops"][0], "egress_pps": {"median": "many"}}]})):
            path = history.append({**whole, **change, "utc": f"2026-11-2{i}T14:00:00Z"}, self.history)
        history.append({key: value for key, value in whole.items() if key != "hops"}, self.history)  # INVALID
        groups, warnings = plots.pictures(self.history)
        self.assertEqual([len(entries) for entries in groups.values()], [3])
        self.assertEqual(len(warnings), 5, warnings)
        self.assertIn(f"{path.parent}", warnings[0])

    def test_no_history(self):
        done = program("report.plots", self.history, self.folder / "plots")
        self.assertEqual(done.returncode, 4)
        self.assertIn("no history in", done.stderr)
        self.assertFalse((self.folder / "plots").exists())

    def test_no_gnuplot(self):
        history.append(verdict(), self.history)
        with mock.patch.dict(os.environ, PATH=str(self.folder)):
            done = program("report.plots", self.history, self.folder / "plots")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (4, 1))
        self.assertIn("gnuplot is not installed", done.stderr)

    def test_gnuplot_that_fails_leaves_nothing(self):
        history.append(verdict(), self.history)
        fake = self.folder / "gnuplot"
        fake.write_text("#!/bin/sh\nsed -n \"s/^set output '\\(.*\\)'/\\1/p\" | xargs -d '\\n' touch\n"
                        "echo no font >&2\nexit 1\n")
        fake.chmod(0o755)
        with mock.patch.dict(os.environ, PATH=f"{self.folder}:{os.environ['PATH']}"):
            done = program("report.plots", self.history, self.folder / "plots")
        self.assertEqual((done.returncode, done.stderr), (5, "plots.py: gnuplot: no font\n"))
        self.assertEqual(list((self.folder / "plots").iterdir()), [])


if __name__ == "__main__":
    unittest.main()
