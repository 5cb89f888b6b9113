"""By whose expectations a change is judged: those of its base, in repositories that the test makes."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness.result.documents import Faulty, validate
from harness.tests.python.support import agreed
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION
from harness.verdict.paired import commits
from harness.verdict.terms import expectations, terms

SINGLE = "harness/scenario/single.conf"
FLOOR = "baselines/floor.json"
TIERS = {"schema": 1, "tiers": {"target": {"egress_pps_min": 300000, "errors_max": 0}}}


class Repository:
    def __init__(self, folder: Path):
        self.root = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write(SINGLE, "topology = single\ncompare = egress_pps\n")
        self.write(FLOOR, TIERS)
        self.write("baselines/some-machine-2c/single.json", {"figure": 1})
        self.write("baselines/waivers.json", {"schema": 1, "waivers": []})
        self.write("harness/scenario/README.md", "words")
        self.base = self.commit()

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", "-C", self.root, "-c", "user.name=test", "-c", "user.email=test@localhost", *arguments],
                              check=True, capture_output=True, text=True).stdout.strip()

    def write(self, path: str, what) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(what if isinstance(what, str) else json.dumps(what), encoding="utf-8")

    def commit(self) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", "one")
        return self.git("rev-parse", "HEAD")

    def retire(self, *what: str) -> None:
        self.write("baselines/retired.json", {"schema": 1, "retired": [{"what": one, "reason": "superseded"} for one in what]})

    def find(self, base: str | None = None) -> expectations.Expectations:
        """The files are changed since the last commit, unless a test says otherwise."""
        return expectations.find(base, self.root)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.tree = Repository(self.folder / "tree")


class FromTheBase(Case):
    def test_a_lowered_limit_does_not_count_and_is_told(self):
        self.tree.write(FLOOR, {"schema": 1, "tiers": {"target": {"egress_pps_min": 1, "errors_max": 9}}})
        found = self.tree.find()
        self.assertEqual((found.base, found.changed, found.gone), (self.tree.base, [FLOOR], []))
        self.assertEqual(json.loads(found.files[FLOOR]), TIERS)

    def test_what_stands_here_is_what_stands_there(self):
        found = self.tree.find(self.tree.base)
        self.assertEqual((found.changed, found.new, found.retired, found.gone, found.unproven), ([], [], [], [], None))
        self.assertEqual(set(found.files), {SINGLE, FLOOR, "baselines/some-machine-2c/single.json", "baselines/waivers.json"})

    def test_the_hash_is_that_of_what_was_judged_by(self):
        before = self.tree.find().sha256()
        self.tree.write(FLOOR, {"schema": 1, "tiers": {}})
        self.assertNotEqual(expectations.find(None, self.tree.root).files, {})
        self.assertEqual(self.tree.find().sha256(), before)
        self.assertNotEqual(self.tree.find(self.tree.commit()).sha256(), before)

    def test_a_waiver_is_never_new(self):
        self.tree.git("rm", "-q", "baselines/waivers.json")
        base = self.tree.commit()
        self.tree.write("baselines/waivers.json", {"schema": 1, "waivers": [{"scenario": "single"}]})
        found = self.tree.find(base)
        self.assertNotIn("baselines/waivers.json", found.files)
        self.assertEqual(found.new, [])

    def test_a_waiver_that_is_gone_is_nothing_lost(self):
        (self.tree.root / "baselines/waivers.json").unlink()
        self.assertEqual(self.tree.find().gone, [])

    def test_what_is_new_counts_and_is_told(self):
        self.tree.write("harness/scenario/other.conf", "topology = single\n")
        found = self.tree.find()
        self.assertEqual(found.new, ["harness/scenario/other.conf"])
        self.assertIn("harness/scenario/other.conf", found.files)

    def test_the_folder_of_older_commits(self):
        self.tree.git("mv", "harness/scenario", "harness/scenarios")
        base = self.tree.commit()
        self.tree.git("mv", "harness/scenarios", "harness/scenario")
        found = self.tree.find(base)
        self.assertEqual((found.changed, found.new, found.gone), ([], [], []))

    def test_taken_into_a_folder(self):
        self.tree.write(FLOOR, {"schema": 1, "tiers": {}})
        self.tree.retire(f"{FLOOR}: tiers.target.egress_pps_min")
        target = self.folder / "taken"
        expectations.take(self.tree.find(), target)
        self.assertEqual(json.loads((target / "baselines/floor.json").read_text()), TIERS)
        self.assertTrue((target / "scenario/single.conf").is_file())
        self.assertFalse((target / "baselines/retired.json").exists())


class WhichBase(Case):
    def test_on_main_with_changes_it_is_the_last_commit_without_the_one_before(self):
        second = (self.tree.write("x", "x"), self.tree.commit())[1]
        self.assertEqual(self.tree.find().base, self.tree.base)
        self.tree.write("x", "y")
        self.assertEqual(self.tree.find().base, second)

    def test_on_a_branch_it_is_where_the_branch_left_main(self):
        self.tree.git("checkout", "-qb", "side")
        self.tree.write(FLOOR, {"schema": 1, "tiers": {"target": {"egress_pps_min": 1, "errors_max": 0}}})
        self.tree.commit()
        self.tree.write("x", "x")
        self.tree.commit()
        found = self.tree.find()
        self.assertEqual((found.base, found.changed), (self.tree.base, [FLOOR]))

    def test_a_first_commit_proves_nothing(self):
        found = self.tree.find()
        self.assertIsNone(found.base)
        self.assertIn("no commit before HEAD", found.unproven)
        self.assertEqual(json.loads(found.files[FLOOR]), TIERS)

    def test_a_tree_without_git_proves_nothing(self):
        subprocess.run(["rm", "-r", self.tree.root / ".git"], check=True)
        self.assertIn("no git repository", self.tree.find().unproven)

    def test_a_shallow_clone_proves_nothing_and_says_what_to_fetch(self):
        self.tree.write("x", "x")
        self.tree.commit()
        clone = self.folder / "clone"
        self.tree.git("clone", "-q", "--depth", "1", f"file://{self.tree.root}", str(clone))
        self.assertIn("git fetch --unshallow", expectations.find(None, clone).unproven)

    def test_a_base_that_expects_nothing(self):
        self.tree.git("rm", "-rq", "harness", "baselines")
        base = self.tree.commit()
        self.tree.git("checkout", "-q", self.tree.base, "--", ".")
        self.assertIn("says nothing of what is expected", self.tree.find(base).unproven)

    def test_a_base_that_git_cannot_read_is_an_error(self):
        blob = self.tree.git("rev-parse", f"HEAD:{FLOOR}")
        (self.tree.root / f".git/objects/{blob[:2]}/{blob[2:]}").unlink()
        with self.assertRaisesRegex(commits.Absent, "is the clone complete") as told:
            self.tree.find(self.tree.base)
        self.assertEqual(told.exception.status, 4)


class Gone(Case):
    def test_a_machine_a_scenario_a_comparison_a_limit(self):
        for path, change, gone in (
                ("baselines/some-machine-2c/single.json", None, "baselines/some-machine-2c/single.json"),
                (SINGLE, None, SINGLE),
                (SINGLE, "topology = single\n", f"{SINGLE}: compare"),
                (FLOOR, {"schema": 1, "tiers": {"target": {"errors_max": 0}}}, f"{FLOOR}: tiers.target.egress_pps_min"),
                (FLOOR, "{", f"{FLOOR}: tiers.target.egress_pps_min")):
            with self.subTest(path=path, change=change):
                self.tree.git("checkout", "-q", ".")
                if change is None:
                    (self.tree.root / path).unlink()
                else:
                    self.tree.write(path, change)
                self.assertIn(gone, self.tree.find().gone)

    def test_a_file_that_is_gone_is_named_once(self):
        (self.tree.root / SINGLE).unlink()
        self.assertEqual(self.tree.find().gone, [SINGLE])

    def test_what_is_retired_is_told_with_its_reason_and_not_asked(self):
        (self.tree.root / SINGLE).unlink()
        self.tree.retire(SINGLE)
        found = self.tree.find()
        self.assertEqual((found.gone, found.retired), ([], [{"what": SINGLE, "reason": "superseded"}]))
        self.assertNotIn(SINGLE, found.files)

    def test_a_folder_is_retired_with_all_its_files(self):
        subprocess.run(["rm", "-r", self.tree.root / "baselines/some-machine-2c"], check=True)
        self.tree.retire("baselines/some-machine-2c")
        self.assertEqual(self.tree.find().gone, [])

    def test_a_thing_that_is_retired_takes_no_other_along(self):
        self.tree.write(FLOOR, {"schema": 1, "tiers": {}})
        self.tree.retire(f"{FLOOR}: tiers.target.errors_max")
        self.assertEqual(self.tree.find().gone, [f"{FLOOR}: tiers.target.egress_pps_min"])

    def test_an_entry_of_an_earlier_change_says_nothing_any_more(self):
        self.tree.retire("baselines/long-gone.json")
        self.assertEqual(self.tree.find().retired, [])

    def test_a_damaged_list_is_an_error(self):
        self.tree.write("baselines/retired.json", {"schema": 1, "retired": [{"what": SINGLE}]})
        with self.assertRaisesRegex(Faulty, "baselines/retired.json"):
            self.tree.find()


class Under(unittest.TestCase):
    def test_a_pass_by_expectations_that_nobody_proved_is_none(self):
        for word, status, then in ((PASS, 0, (INCONCLUSIVE, 4)), (REGRESSION, 3, (REGRESSION, 3)), (INVALID, 5, (INVALID, 5))):
            found = terms.under({"verdict": word, "exit": status}, agreed("a tarball"))
            self.assertEqual((found["verdict"], found["exit"]), then)

    def test_a_pass_stays_one(self):
        self.assertEqual(terms.under({"verdict": PASS}, agreed())["verdict"], PASS)

    def test_what_is_said(self):
        said = terms.lines(agreed(None, ["--rounds 1 instead of 14", "--relay /x"], changed=["a"], new=["b"],
                                  retired=[{"what": "c", "reason": "old"}]))
        self.assertEqual(said, ["expectations changed here, judged as they were: a", "expectations new here: b",
                                "not asked any more: c: old", "unofficial: --rounds 1 instead of 14; --relay /x"])
        self.assertEqual(terms.lines(agreed()), [])
        self.assertEqual(terms.lines(agreed("a tarball")), ["expectations unproven: a tarball"])

    def test_they_are_what_the_schema_says(self):
        validate(agreed("x", ["y"], retired=[{"what": "c", "reason": "old"}]), "terms", "terms.json")

    def test_a_sitting_without_them_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(Faulty):
            terms.of(Path(folder))


if __name__ == "__main__":
    unittest.main()
