"""The name of a machine, what it hides no more, and what two measurements have to share; names of before."""

import contextlib
import io
import json
import re
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from harness.history import drift, history
from harness.host import identity
from harness.report import plots
from harness.result import profile
from harness.tests.python.support import ROOT, program, schema

X86 = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 1
model name	: AMD EPYC (Milan)
stepping	: 1
flags		: fpu hypervisor

processor	: 1
vendor_id	: AuthenticAMD
model		: 99
"""
ARM = """processor	: 0
Features	: fp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x3
CPU part	: 0xd0c
CPU revision	: 1
"""
CACHES = (("1", "Data", "32K"), ("1", "Instruction", "32K"), ("2", "Unified", "512K"), ("3", "Unified", "32768K"))


class Scratch(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def machine(self, cpuinfo: str = X86, caches=CACHES, hypervisor: str = "KVM", cores: int = 2,
                kernel: str = "6.18.44-fc-v669") -> dict:
        root = Path(tempfile.mkdtemp(dir=self.folder))
        (root / "proc").mkdir()
        (root / "proc/cpuinfo").write_text(cpuinfo)
        for i, cache in enumerate(caches):
            place = root / f"sys/devices/system/cpu/cpu0/cache/index{i}"
            place.mkdir(parents=True)
            for name, value in zip(("level", "type", "size"), cache):
                (place / name).write_text(f"{value}\n")
        return identity.identity(root, cores, kernel, lambda cpu: hypervisor)


class Names(Scratch):
    def test_what_the_name_of_a_cpu_hides(self):
        found = self.machine()
        self.assertEqual(found["id"], "amd-epyc-milan-25.1.1-l3.32768k-kvm-2c-linux6.18")
        self.assertEqual((found["cpu"], found["cores"], found["kernel"]), ("AMD EPYC (Milan)", 2, "6.18.44-fc-v669"))
        self.assertEqual(found["machine"], {
            "vendor": "AuthenticAMD", "family": "25", "model": "1", "stepping": "1",
            "caches": "L1d 32K, L1i 32K, L2 512K, L3 32768K", "hypervisor": "KVM"})

    def test_each_of_it_makes_another_machine(self):
        others = [self.machine(X86.replace("family	: 25", "family	: 26")), self.machine(X86.replace("model		: 1", "model		: 17")),
                  self.machine(X86.replace("stepping	: 1", "stepping	: 2")), self.machine(hypervisor="none"),
                  self.machine(caches=(*CACHES[:3], ("3", "Unified", "16384K"))), self.machine(cores=4),
                  self.machine(kernel="6.19.44-fc-v669"), self.machine()]
        self.assertEqual(len({found["id"] for found in others}), len(others))

    def test_a_patch_level_of_the_kernel_does_not(self):
        for kernel in ("6.18.45", "6.18.0-rc1", "6.18-amd64"):
            self.assertEqual(self.machine(kernel=kernel)["id"], self.machine()["id"])

    def test_where_little_is_known(self):
        self.assertEqual(self.machine(ARM, (), "unknown")["id"], "unknown-8.0xd0c.1-unknown-unknown-2c-linux6.18")
        self.assertEqual(self.machine("", (), "none")["id"], "unknown-unknown.unknown.unknown-unknown-none-2c-linux6.18")

    def test_a_hypervisor_that_nobody_names(self):
        with unittest.mock.patch.object(identity.subprocess, "run", side_effect=FileNotFoundError):
            self.assertEqual(identity.hypervisor({"flags": "fpu hypervisor"}), "unknown")
            self.assertEqual(identity.hypervisor({"flags": "fpu"}), "none")

    def test_this_machine_has_a_profile_as_the_schemas_say(self):
        found = json.loads(program("host.identity", "facts", "--keep", self.folder / "none").stdout)
        self.assertIsNone(found["calibration"])
        self.assertEqual(program("host.identity", "id").stdout.strip(), found["id"])
        rest = {"governor": "none", "compiler": "", "flags": "", "generator_sha256": "0" * 16, "topology_sha256": "0" * 16}
        for name in ("result", "verdict", "baseline", "captures", "fastpath", "sweep", "budget", "compare"):
            schema(name, "profile").validate(found | rest)
            schema(name, "profile").validate(found | rest | {"calibration": {
                "utc": "2026-11-28T14:00:00Z", "system_call_ns": 110.5, "memory_copy_gb_per_s": 7.5}})


class Calibration(Scratch):
    def generator(self, call: float = 110.0, status: int = 0, text: str = "") -> Path:
        """Notes each time that it is asked."""
        path = self.folder / "trafficgen"
        figures = text or json.dumps({"system_call_ns": {"best": call, "median": 2 * call},
                                      "memory_copy_gb_per_s": {"best": 7.5, "median": 3.0}})
        path.write_text(f"#!/bin/sh\necho \"$1\" >>'{self.folder}/asked'\necho no >&2\nprintf '%s' '{figures}' >\"$3\"\nexit {status}\n")
        path.chmod(0o755)
        return path

    def ask(self, program_of: Path | None, machine: str = "m", boot: str = "b") -> tuple[float | None, str]:
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            found = identity.calibration(self.folder / "kept.json", machine, boot, program_of)
        return found and found["system_call_ns"], err.getvalue()

    def asked(self) -> int:
        return len((self.folder / "asked").read_text().splitlines())

    def test_once_per_boot_and_machine(self):
        self.assertEqual(self.ask(None), (None, ""))
        self.assertEqual(self.ask(self.generator(110)), (110.0, ""))
        self.assertEqual(self.ask(self.generator(120)), (110.0, ""))
        self.assertEqual(self.ask(None), (110.0, ""))
        self.assertEqual(self.asked(), 1)
        self.assertEqual(self.ask(self.generator(130), boot="c"), (130.0, ""))
        self.assertEqual(self.ask(self.generator(140), machine="n", boot="c"), (140.0, ""))
        self.assertEqual(self.asked(), 3)

    def test_what_was_kept_and_is_of_no_use_is_made_anew(self):
        for text in ("", "[]", "{}", '{"machine": "m", "boot": "b"}'):
            (self.folder / "kept.json").write_text(text)
            self.assertEqual(self.ask(self.generator())[0], 110.0)

    def test_a_generator_that_cannot_is_said_and_nothing_is_kept(self):
        for generator in (self.generator(status=64), self.generator(text="{}"), self.generator(text="{"), self.folder / "nothing"):
            found, said = self.ask(generator)
            self.assertEqual((found, said.count("\n")), (None, 1), said)
            self.assertIn("not calibrated: ", said)
        self.assertFalse((self.folder / "kept.json").exists())

    def test_what_cannot_be_kept_counts_all_the_same(self):
        (self.folder / "kept.json").mkdir()
        found, said = self.ask(self.generator())
        self.assertEqual(found, 110.0)
        self.assertIn("cannot be kept, and will be made again", said)


OLD = {"id": "amd-epyc-2c-linux6.18.44", "cpu": "AMD EPYC", "cores": 2, "kernel": "6.18.44-fc-v669", "governor": "none"}
NEW = OLD | {"id": "amd-epyc-25.1.1-l3.32768k-kvm-2c-linux6.18", "machine": {"family": "25"},
             "calibration": {"system_call_ns": 100.0, "memory_copy_gb_per_s": 8.0}}


class Conditions(unittest.TestCase):
    def test_a_patch_level_is_no_other_condition(self):
        self.assertEqual(profile.profiles_apart(NEW, NEW | {"kernel": "6.18.50-fc-v800"}), [])
        self.assertEqual(profile.profiles_apart(NEW, NEW | {"kernel": "6.19.0"}), ["kernel: 6.18 there, 6.19 here"])

    def test_a_machine_of_the_same_name_that_is_not_as_fast_is_another(self):
        for key, other, apart in (("system_call_ns", 124.0, 0), ("system_call_ns", 126.0, 1), ("system_call_ns", 79.0, 1),
                                  ("memory_copy_gb_per_s", 6.5, 0), ("memory_copy_gb_per_s", 6.3, 1)):
            here = NEW | {"calibration": NEW["calibration"] | {key: other}}
            self.assertEqual(len(profile.profiles_apart(NEW, here)), apart, (key, other))
        self.assertEqual(profile.profiles_apart(NEW, NEW | {"calibration": None}), [])

    def test_a_name_of_before_is_another_machine(self):
        """It may have been several."""
        apart = profile.profiles_apart(OLD, NEW)
        self.assertIn("machine: none there, {'family': '25'} here", apart)
        self.assertTrue(any(line.startswith("id: amd-epyc-2c-linux6.18.44 there") for line in apart))

    def test_a_drift_names_what_else_changed(self):
        self.assertEqual(drift.conditions({"profile": NEW}, {"profile": NEW | {"kernel": "6.18.50", "calibration": {
            "system_call_ns": 150.0, "memory_copy_gb_per_s": 8.0}}}), ("kernel", "calibration"))
        self.assertEqual(drift.conditions({"profile": NEW}, {"profile": NEW | {"calibration": {
            "system_call_ns": 110.0, "memory_copy_gb_per_s": 8.0}}}), ())


class Before(unittest.TestCase):
    def test_the_history_under_older_names_is_read_and_drawn(self):
        entries, warnings = history.read(ROOT / "results/history")
        groups, left_out = plots.pictures(ROOT / "results/history")
        self.assertEqual((warnings, left_out), ([], []))
        older = [entry for _, entry in entries if "machine" not in entry["profile"]]
        self.assertGreaterEqual(len(older), 13)
        for entry in older:
            schema("verdict").validate(entry)
            self.assertIn(f"{entry['profile']['id']}-{entry['scenario']}", groups)

    def test_drift_looks_at_an_older_name_when_it_is_asked_to(self):
        answer = program("history.drift", ROOT / "results/history", OLD["id"], "--no-alerts")
        self.assertRegex(answer.stdout, r"pipeline-phase4: \d+ entries")
        answer = program("history.drift", ROOT / "results/history", NEW["id"], "--no-alerts")
        self.assertEqual(answer.returncode, 4)
        self.assertRegex(answer.stdout, rf"has a history of: .*\b{re.escape(OLD['id'])}\b")


if __name__ == "__main__":
    unittest.main()
