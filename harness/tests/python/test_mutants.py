"""ci/mutation: where faults can be planted, which of them count, and what a list that has grown stale says."""

import contextlib
import io
import itertools
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from ci.mutation import main, mutants, report, sites, tests, tree
from ci.mutation.mutants import Mutant
from harness import ROOT


def variants(path: str, text: str, kind: str) -> set[str]:
    return {sites.apply(text, site) for site in sites.sites(path, text) if site.kind == kind}


def lines(path: str, text: str, kind: str) -> set[str]:
    """The lines that faults of one kind put in place of others."""
    return {line.strip() for changed in variants(path, text, kind)
            for line in set(changed.splitlines()) - set(text.splitlines())}


class C(unittest.TestCase):
    TEXT = """
/* if (a < 1) */
#define LIMIT 7
static int f(struct x *x)
{
	int n = 3; // one < two
	const char *s = "a < b && 5";

	if (x->packets >= n && x->bytes < 2) {
		counter_add(x, COUNTER_matched, 1);
		close(n);
		open(n);
	}
	if (n)
		free(x);
	log_info("a", "%d", n);
	x->matched += COUNTER_waits + 1;
	other(x);
	return -ENOMEM;
}
"""

    def kinds(self, kind: str) -> set[str]:
        return lines("a.c", self.TEXT, kind)

    def test_comments_strings_and_the_preprocessor_are_left_alone(self):
        for changed in (sites.apply(self.TEXT, site) for site in sites.sites("a.c", self.TEXT)):
            for kept in ("/* if (a < 1) */", "#define LIMIT 7", "// one < two", '"a < b && 5"', '"%d"'):
                self.assertIn(kept, changed)

    def test_a_check_inverted(self):
        self.assertEqual(self.kinds("negate"), {"if (!(x->packets >= n && x->bytes < 2)) {", "if (!(n))"})

    def test_bounds_logic_and_arithmetic(self):
        self.assertEqual(self.kinds("bound"), {"if (x->packets > n && x->bytes < 2) {", "if (x->packets >= n && x->bytes <= 2) {"})
        self.assertEqual(self.kinds("logic"), {"if (x->packets >= n || x->bytes < 2) {"})
        self.assertEqual(self.kinds("arith"), {"x->matched -= COUNTER_waits + 1;", "x->matched += COUNTER_waits - 1;"})

    def test_numbers_are_one_off_in_both_directions(self):
        self.assertLessEqual({"int n = 4; // one < two", "int n = 2; // one < two"}, self.kinds("number"))

    def test_a_counter_becomes_another_one_that_the_file_knows(self):
        self.assertEqual(self.kinds("counter"), {
            "counter_add(x, COUNTER_waits, 1);", "x->matched += COUNTER_matched + 1;",
            "if (x->bytes >= n && x->bytes < 2) {", "if (x->packets >= n && x->packets < 2) {"})

    def test_statements_are_left_out_and_what_is_said_to_people_is_not(self):
        dropped = {sites.apply(self.TEXT, site).splitlines()[self.TEXT.count("\n", 0, site.start)] + str(site.start)
                   for site in sites.sites("a.c", self.TEXT) if site.kind == "drop"}
        self.assertEqual(len(dropped), 6)
        self.assertIn("log_info", self.TEXT)
        for changed in variants("a.c", self.TEXT, "drop"):
            self.assertIn("log_info(", changed)

    def test_neighbours_are_swapped_where_their_order_can_matter(self):
        self.assertEqual(len(variants("a.c", self.TEXT, "order")), 1)
        self.assertIn("\t\topen(n);\n\t\tclose(n);\n", variants("a.c", self.TEXT, "order").pop())

    def test_an_error_becomes_success(self):
        self.assertEqual(self.kinds("return"), {"return 0;"})


class Python(unittest.TestCase):
    TEXT = '''"""if a < 1: the docstring"""
LIMIT = 0.5  # 3 < 4


def f(run, drops):
    """return 1"""
    if run["matched"] < 3 and run is not None:
        drops.append(run["recv_packets"])
        return [run]
    print("a and b", 7)
    return True
'''

    def test_each_change_is_another_program_and_can_be_read(self):
        found = sites.sites("a.py", self.TEXT)
        self.assertGreater(len(found), 10)
        for site in found:
            changed = sites.apply(self.TEXT, site)
            self.assertTrue(sites.readable("a.py", changed), changed)
            self.assertFalse(sites.same_program("a.py", self.TEXT, changed), site)
            for kept in ("the docstring", "# 3 < 4", '"""return 1"""', 'print("a and b", 7)'):
                self.assertIn(kept, changed)

    def test_kinds(self):
        self.assertEqual(lines("a.py", self.TEXT, "bound"), {'if run["matched"] <= 3 and run is not None:'})
        self.assertEqual(lines("a.py", self.TEXT, "logic"), {'if run["matched"] < 3 or run is not None:'})
        self.assertIn('if run["matched"] < 3 and run is None:', lines("a.py", self.TEXT, "negate"))
        self.assertEqual(lines("a.py", self.TEXT, "counter"), {'if run["recv_packets"] < 3 and run is not None:',
                                                               'drops.append(run["matched"])'})
        self.assertEqual(lines("a.py", self.TEXT, "return"), {"return []", "return False"})
        self.assertEqual(lines("a.py", self.TEXT, "drop"), {"pass"})
        self.assertIn("LIMIT = 0.75  # 3 < 4", lines("a.py", self.TEXT, "number"))

    def test_a_comment_makes_no_mutant(self):
        self.assertTrue(sites.same_program("a.py", self.TEXT, self.TEXT.replace("3 < 4", "3 > 4")))

    def test_what_cannot_be_read_is_none(self):
        self.assertFalse(sites.readable("a.py", "if True:\n"))


class Bash(unittest.TestCase):
    TEXT = """# shellcheck shell=bash
# [[ -e x ]] && y
f() {
	local file=$1
	[[ -e $file ]] || die "$EXIT_INVALID" "no && file # here"
	! alive "$file" || continue
	undo_push remove "$file"
	run make "$file"
	note 'as || it is'
	if ((count > 3 && count == $1 + 1)); then
		return 1
	fi
	cat <<-EOF
		a && b ((1 > 2))
	EOF
}
"""

    def test_comments_strings_and_documents_are_left_alone(self):
        for site in sites.sites("a.bash", self.TEXT):
            changed = sites.apply(self.TEXT, site)
            self.assertTrue(sites.readable("a.bash", changed), changed)
            self.assertFalse(sites.same_program("a.bash", self.TEXT, changed), site)
            for kept in ("# [[ -e x ]] && y", '"no && file # here"', "a && b ((1 > 2))", "note 'as || it is'"):
                self.assertIn(kept, changed)

    def test_kinds(self):
        self.assertLessEqual({'! [[ -e $file ]] || die "$EXIT_INVALID" "no && file # here"', 'alive "$file" || continue'},
                             lines("a.bash", self.TEXT, "negate"))
        self.assertEqual(lines("a.bash", self.TEXT, "bound"), {"if ((count >= 3 && count == $1 + 1)); then"})
        self.assertLessEqual({"if ((count > 3 || count == $1 + 1)); then", '[[ -e $file ]] && die "$EXIT_INVALID" "no && file # here"'},
                             lines("a.bash", self.TEXT, "logic"))
        self.assertIn("if ((count > 4 && count == $1 + 1)); then", lines("a.bash", self.TEXT, "number"))
        self.assertLessEqual({"return 0", '[[ -e $file ]] || die "$EXIT_PASS" "no && file # here"'},
                             lines("a.bash", self.TEXT, "return"))
        left_out = [site for site in sites.sites("a.bash", self.TEXT) if site.kind == "drop"]
        self.assertEqual([self.TEXT[site.start:site.end] for site in left_out], ['undo_push remove "$file"', 'run make "$file"'])
        self.assertIn('\trun make "$file"\n\tundo_push remove "$file"\n', variants("a.bash", self.TEXT, "order").pop())

    def test_a_comment_makes_no_mutant(self):
        self.assertTrue(sites.same_program("a.bash", self.TEXT, self.TEXT.replace("&& y", "|| y")))
        self.assertFalse(sites.same_program("a.bash", self.TEXT, self.TEXT.replace("$1 + 1", "$1 + 2")))


class Names(unittest.TestCase):
    def test_the_name_of_a_mutant_outlives_edits_elsewhere(self):
        text = "int f(void)\n{\n\treturn 0;\n}\n"
        moved = "int other;\n\n" + text
        self.assertEqual([sites.name_of("a.c", text, site) for site in sites.sites("a.c", text)],
                         [sites.name_of("a.c", moved, site) for site in sites.sites("a.c", moved)])

    def test_places_that_are_alike_have_different_names(self):
        text = "int f(void)\n{\n\treturn 0;\n}\nint g(void)\n{\n\treturn 0;\n}\n"
        names = [sites.name_of("a.c", text, site) for site in sites.sites("a.c", text)]
        self.assertEqual(len(names), len(set(names)))


class Lists(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        (self.root / "a.py").write_text("limit = 3\nother = 3\n")
        (self.root / "t.bats").write_text('@test "it holds" {\n}\n')
        self.entry = {"id": "one", "kind": "number", "file": "a.py", "old": "limit = 3", "new": "limit = 4",
                      "tests": ["t.bats: it holds"], "why": "it matters"}

    def refused(self, *entries: dict) -> str:
        with self.assertRaises(mutants.Stale) as caught:
            mutants.planted(self.root, list(entries))
        return str(caught.exception)

    def test_an_entry_that_fits(self):
        found, = mutants.planted(self.root, [self.entry])
        self.assertEqual((found.line, found.text, found.random), (1, "limit = 4\nother = 3\n", False))

    def test_what_has_grown_stale_is_said(self):
        self.assertEqual(self.refused({**self.entry, "old": "limit = 9"}), "one: a.py has its old text 0 times, not once")
        self.assertEqual(self.refused({**self.entry, "old": "= 3"}), "one: a.py has its old text 2 times, not once")
        self.assertEqual(self.refused({**self.entry, "file": "b.py"}), "one: no file b.py")
        self.assertEqual(self.refused({**self.entry, "tests": ["u.bats"]}), "one: no file u.bats")
        self.assertEqual(self.refused({**self.entry, "tests": ["t.bats: it fails"]}),
                         "one: no test in t.bats has 'it fails' in its name")
        self.assertEqual(self.refused({**self.entry, "kind": "magic"}), "one: no kind 'magic'")
        self.assertEqual(self.refused(self.entry, self.entry), "one: the id stands twice")

    def test_excuses_say_why(self):
        for entry in mutants.read("equivalent.toml").get("mutant", []):
            self.assertGreater(len(entry["why"]), 40, entry["id"])


class Draw(unittest.TestCase):
    def draw(self, seed: int, count: int) -> list[Mutant]:
        return list(itertools.islice(mutants.drawn(ROOT, mutants.read("tests.toml")["rule"], seed), count))

    def test_the_same_seed_draws_the_same_and_another_one_others(self):
        first = [mutant.id for mutant in self.draw(1, 20)]
        self.assertEqual(first, [mutant.id for mutant in self.draw(1, 20)])
        self.assertNotEqual(first, [mutant.id for mutant in self.draw(2, 20)])
        self.assertEqual(len(set(first)), 20)

    def test_each_file_that_may_be_drawn_has_tests(self):
        rules = mutants.read("tests.toml")["rule"]
        self.assertEqual([name for name in mutants.sources(ROOT) if not mutants.tests_for(rules, name)], [])

    def test_neither_tests_nor_what_is_generated_is_mutated(self):
        for mutant in self.draw(3, 60):
            self.assertRegex(mutant.file, r"^(relay|trafficgen|harness)/")
            self.assertNotRegex(mutant.file, r"/tests/|/fuzz/|\.toml$")
            self.assertTrue(mutant.tests, mutant.file)
            self.assertNotEqual(mutant.text, (ROOT / mutant.file).read_text())


class Copy:
    """In the place of a tree: what was built before, and what is after a mutant."""

    def __init__(self, before: str = "a", after: str = "b", complaint: str | None = None):
        self.after, self.complaint = after, complaint

    def mutate(self, name: str, text: str) -> None:
        pass

    def build(self) -> str | None:
        return self.complaint

    def programs(self) -> str:
        return self.after


class Original:
    def __init__(self, passes: bool = True):
        self.good = passes

    def require(self, name: str) -> None:
        pass

    def limit(self, name: str) -> float:
        return 10

    def passes(self, name: str, only: str) -> bool:
        return self.good


class Outcomes(unittest.TestCase):
    """Which mutants count, and what it takes to be caught."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name)
        (self.root / "a.c").write_text("int x = 1;\n")
        self.store = main.Store(self.root / "results", "now", "abc", False)
        self.mutant = Mutant("one", "number", "a.c", 1, "1", "2", "int x = 2;\n", ("t.bats",), "it matters")
        for patch in (mock.patch.object(main, "ROOT", self.root), mock.patch.object(main, "say")):
            patch.start()
            self.addCleanup(patch.stop)

    def examine(self, copy: Copy, original: Original, *outcomes: tests.Outcome) -> dict:
        with mock.patch.object(tests, "run", side_effect=outcomes):
            return main.examine(self.mutant, copy, original, "a", self.store)

    def test_programs_that_are_the_same_do_not_count(self):
        self.assertEqual(self.examine(Copy(after="a"), Original())["outcome"], main.UNCHANGED)

    def test_what_does_not_compile_does_not_count(self):
        self.assertEqual(self.examine(Copy(complaint="error: x"), Original())["outcome"], main.BROKEN)

    def test_two_failures_and_a_pass_without_the_mutant_are_a_catch(self):
        fails = tests.Outcome(False, "it holds", "3 != 4", 1.0)
        found = self.examine(Copy(), Original(), fails, fails)
        self.assertEqual((found["outcome"], found["by"], found["said"]), (main.CAUGHT, "t.bats: it holds", "3 != 4"))

    def test_a_failure_that_does_not_come_again_is_none(self):
        fails, passes = tests.Outcome(False, "it holds", "", 1.0), tests.Outcome(True, "", "", 1.0)
        self.assertEqual(self.examine(Copy(), Original(), fails, passes, fails, passes)["outcome"], main.SURVIVED)

    def test_a_failure_that_is_there_without_the_mutant_is_none(self):
        fails = tests.Outcome(False, "it holds", "", 1.0)
        self.assertEqual(self.examine(Copy(), Original(False), fails, fails, fails, fails)["outcome"], main.SURVIVED)

    def test_a_hang_is_a_catch_and_says_so(self):
        found = self.examine(Copy(), Original(), tests.Outcome(False, "", "not over after 120 s", 120.0, True))
        self.assertEqual((found["outcome"], found["said"]), (main.CAUGHT, "hangs: not over after 120 s"))

    def test_results_are_known_in_the_tree_that_they_are_of(self):
        self.store.keep(self.mutant, main.SURVIVED)
        self.assertEqual(self.store.known(self.mutant)["outcome"], main.SURVIVED)
        later = main.Store(self.root / "results", "later", "def", False)
        self.assertIsNone(later.known(self.mutant))

    def test_of_an_earlier_tree_only_what_was_caught_is_reused(self):
        later = main.Store(self.root / "results", "later", "def", True)
        self.store.keep(self.mutant, main.SURVIVED)
        self.assertIsNone(later.known(self.mutant))
        self.store.keep(self.mutant, main.CAUGHT, "t.bats")
        self.assertEqual(later.known(self.mutant)["commit"], "abc")


class Report(unittest.TestCase):
    RESULT = {"id": "one", "kind": "number", "file": "a.c", "line": 3, "old": "1 | 2", "new": "3", "random": False,
              "why": "it matters", "outcome": "caught", "by": "t.bats: it holds", "said": "3 != 4", "commit": "abc"}
    ABOUT = {"utc": "2026-11-28 05:00 UTC", "seed": 7, "commit": "abc", "machine": "a machine", "excused": {}}

    def test_totals_survivors_and_where_it_was(self):
        text = report.render([self.RESULT, {**self.RESULT, "id": "two", "random": True, "outcome": "survived"},
                              {**self.RESULT, "id": "r-3", "random": True, "outcome": "unchanged"},
                              {**self.RESULT, "id": "r-4", "random": True, "outcome": "equivalent", "said": "a reason"}],
                             self.ABOUT)
        self.assertIn("| all | **1 of 2 (50.0%)** |", text)
        self.assertIn("commit abc, seed 7; a machine", text)
        self.assertIn("| two | number | a.c:3 |", text.split("## Survivors")[1].split("##")[0])
        self.assertIn("equivalent: a reason", text)
        self.assertIn("1 that left the programs as they were", text)

    def test_a_result_of_another_commit_says_so(self):
        self.assertIn("(at def)", report.render([{**self.RESULT, "commit": "def"}], self.ABOUT))

    def test_95_percent_are_asked_for(self):
        def status(caught: int, alive: int) -> int:
            run = mock.Mock(results={str(i): {**self.RESULT, "outcome": "caught" if i < caught else "survived"}
                                     for i in range(caught + alive)})
            run.counts.return_value = True
            with contextlib.redirect_stdout(io.StringIO()):
                return main.conclude(run)
        self.assertEqual([status(95, 5), status(94, 5), status(0, 0)], [0, 1, 1])


class Trees(unittest.TestCase):
    def test_a_copy_is_as_the_files_are_and_restored_after_a_mutant(self):
        with tempfile.TemporaryDirectory() as scratch:
            root, folder = Path(scratch) / "root", Path(scratch) / "copy"
            (root / "relay").mkdir(parents=True)
            (root / "relay/a.c").write_text("one\n")
            subprocess.run(["git", "init", "--quiet", root], check=True)
            tree.git(root, "add", "--all")
            tree.git(root, "commit", "--quiet", "--message", "one")
            (root / "relay/a.c").write_text("two\n")
            (root / "relay/b.c").write_text("new\n")
            copy = tree.Tree(root, folder)
            copy.prepare()
            self.assertEqual((copy.read("relay/a.c"), copy.read("relay/b.c")), ("two\n", "new\n"))
            copy.mutate("relay/a.c", "three\n")
            self.assertEqual((copy.read("relay/a.c"), tree.git(folder, "status", "--porcelain")), ("three\n", ""))
            copy.restore()
            self.assertEqual((copy.read("relay/a.c"), tree.git(folder, "status", "--porcelain")), ("two\n", ""))


class Program(unittest.TestCase):
    def test_help_and_what_it_cannot_understand(self):
        said = subprocess.run([ROOT / "ci/mutants", "--help"], text=True, capture_output=True, check=True).stdout
        for option in ("--only", "--seed", "--random", "--jobs", "--list", "--report", "--reuse", "Exit status"):
            self.assertIn(option, said)
        wrong = subprocess.run([ROOT / "ci/mutants", "--jobs", "0"], text=True, capture_output=True, check=False)
        self.assertEqual((wrong.returncode, wrong.stderr.count("\n")), (64, 1))


if __name__ == "__main__":
    unittest.main()
