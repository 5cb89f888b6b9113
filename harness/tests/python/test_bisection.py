"""bisection.py: which commit it was, in a repository of a few commits. bench compare is played."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from harness.tests.python.support import load, program, schema
from harness.verdict.paired import bisection, commits


NOBODY = {"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "n@n", "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "n@n",
          "GIT_CONFIG_GLOBAL": "/dev/null"}


class Bisection(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One repository, of which each test has a copy."""
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.original = Path(scratch.name)
        cls.git_in(cls.original, "init", "--quiet", "--template=")
        for number in range(10):
            cls.git_in(cls.original, "commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
        cls.commits = cls.git_in(cls.original, "rev-list", "--reverse", "HEAD").split()

    @staticmethod
    def git_in(root: Path, *arguments: str) -> str:
        return subprocess.run(["git", "-C", root, *arguments], check=True, capture_output=True, text=True,
                              env=os.environ | NOBODY).stdout.strip()

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = Path(scratch.name) / "repository"
        self.results = Path(scratch.name) / "results"
        shutil.copytree(self.original, self.root)
        self.slow_from = 10  # the first slower commit
        self.broken: set[int] = set()
        self.asked: list[int] = []

    def git(self, *arguments: str) -> str:
        return self.git_in(self.root, *arguments)

    def bench(self, command, good, commit, *options):
        """A compare that knows the truth."""
        number = self.commits.index(commit)
        self.asked.append(number)
        self.assertEqual((command, good), ("compare", self.commits[0]))
        if number in self.broken:
            return 5, "head cannot be built: error"
        slower = number >= self.slow_from
        folder = Path(options[options.index("--results") + 1]) / "compare/sitting"
        folder.mkdir(parents=True)
        (folder / "compare.json").write_text(json.dumps({"scenarios": {options[options.index("--scenario") + 1]: {
            "verdict": "REGRESSION" if slower else "PASS", "reasons": ["so it is"], "estimate": -0.1 * slower,
            "lower": -0.12, "upper": 0.02, "pairs": 6}}}))
        return 3 if slower else 0, "the table"

    def bisect(self, *options: str) -> tuple[int, dict, str]:
        out = io.StringIO()
        with mock.patch.object(bisection, "ROOT", self.root), mock.patch.object(bisection, "bench", self.bench), \
                mock.patch.object(bisection, "end_by_signals"), \
                mock.patch("sys.argv", ["bisect", self.commits[0], self.commits[9], "--results", str(self.results), *options]), \
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = bisection.main()
        [path] = self.results.glob("bisect/*/bisect.json")
        document = load(path)
        schema("bisect").validate(document)
        path.unlink()
        path.parent.rmdir()
        return code, document, out.getvalue()

    def test_each_commit_is_found(self):
        for self.slow_from in range(1, 10):
            with self.subTest(self.slow_from):
                self.asked = []
                code, document, text = self.bisect()
                self.assertEqual((code, document["candidates"]), (3, [self.commits[self.slow_from]]))
                self.assertIn(f"is the first slower commit: commit {self.slow_from}", text)
                self.assertEqual(self.asked[0], 9)
                self.assertLessEqual(len(self.asked), 5)
                self.assertEqual(len(document["steps"]), len(self.asked))

    def test_no_loss_no_search(self):
        code, document, text = self.bisect()
        self.assertEqual((code, self.asked, document["candidates"]), (0, [9], []))
        self.assertIn("PASS", text)

    def test_ends_with_no_way_between_them_are_refused(self):
        self.git("checkout", "--quiet", "-b", "side", self.commits[5])
        self.git("commit", "--quiet", "--allow-empty", "-m", "aside")
        side, unknown = self.git("rev-parse", "HEAD"), "0123456789abcdef" * 2 + "01234567"
        for ends, status, said in (((side, self.commits[9]), 64, "not an ancestor"),
                                   ((unknown, self.commits[9]), 4, f"run: git fetch REMOTE {unknown}"),
                                   ((self.commits[0], "origin/main"), 64, "no commit 'origin/main'")):
            err = io.StringIO()
            with self.subTest(said), mock.patch.object(bisection, "ROOT", self.root), \
                    mock.patch("sys.argv", ["bisect", *ends]), contextlib.redirect_stderr(err), \
                    self.assertRaises(SystemExit) as ended:
                bisection.main()
            self.assertEqual((ended.exception.code, err.getvalue().count("\n")), (status, 1))
            self.assertIn(said, err.getvalue())

    def test_a_short_hash_that_is_not_there_or_of_several(self):
        for name in ("abcdef0123456", "ABCDEF0123456"):
            with self.assertRaises(commits.Absent) as told:
                commits.commit(name, self.root)
            self.assertEqual(told.exception.status, 4)
            self.assertIn("git fetch REMOTE HASH (all 40 digits of it), or", str(told.exception))
        answers = {"--disambiguate=abcdef0": "abcdef01\nabcdef02", "--git-dir": ".git"}
        with mock.patch.object(commits, "git", lambda _, *words: answers.get(words[-1])), \
                self.assertRaises(commits.Absent) as told:
            commits.commit("abcdef0", self.root)
        self.assertEqual(told.exception.status, 64)
        self.assertIn("abcdef0 is the beginning of 2 hashes", str(told.exception))

    def test_a_repository_that_lacks_what_git_needs_is_no_mistake_of_whoever_asks(self):
        """As a clone that is not complete: an object is gone."""
        gone = self.commits[4]
        (self.root / ".git/objects" / gone[:2] / gone[2:]).unlink()
        for ask in (lambda: commits.require_ancestor(self.commits[0], self.commits[9], self.root),
                    lambda: commits.fork(self.commits[0], self.root)):
            with self.assertRaises(commits.Absent) as told:
                ask()
            self.assertEqual(told.exception.status, 4)
            self.assertIn("git cannot tell", str(told.exception))

    def test_a_repository_that_is_none_any_more(self):
        head = self.root / ".git/HEAD"
        head.unlink()
        with self.assertRaises(commits.Absent) as told:
            commits.commit("HEAD", self.root)
        self.assertEqual(told.exception.status, 4)
        self.assertIn(f"git cannot read {self.root / '.git'}: not a git repository", str(told.exception))

    def test_a_git_that_does_not_go_on_is_no_invalid_measurement(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as ended:
            bisection.must(self.root, "rev-parse", "nothing")
        self.assertEqual(ended.exception.code, 4)

    def test_results_that_cannot_be_kept_end_it_before_anything_is_measured(self):
        self.results.write_text("a file")
        for results in (self.results, self.results / "below"):
            err = io.StringIO()
            with mock.patch.object(bisection, "ROOT", self.root), mock.patch.object(bisection, "bench", self.bench), \
                    mock.patch("sys.argv", ["bisect", self.commits[0], self.commits[9], "--results", str(results)]), \
                    contextlib.redirect_stderr(err), self.assertRaises(SystemExit) as ended:
                bisection.main()
            self.assertEqual((ended.exception.code, self.asked), (4, []))
            self.assertEqual(err.getvalue(), f"bench: results cannot be kept in {results}: {self.results.resolve()} is no folder; "
                                             f"name a writable one with --results\n")

    def test_commits_that_cannot_be_told_are_skipped(self):
        self.slow_from, self.broken = 5, {4}
        code, document, _ = self.bisect()
        self.assertEqual((code, document["candidates"]), (4, [self.commits[5], self.commits[4]]))
        self.broken = {3, 6}
        code, document, _ = self.bisect()
        self.assertEqual((code, document["candidates"]), (3, [self.commits[5]]))

    def test_ends_that_cannot_be_compared(self):
        self.broken = {9}
        code, document, text = self.bisect()
        self.assertEqual((code, document["verdict"]), (5, "INVALID"))
        self.assertIn("head cannot be built", text)

    def test_the_repository_stays_as_it_is(self):
        self.slow_from = 5
        before = self.git("for-each-ref"), self.git("status", "--porcelain"), sorted(os.listdir(self.root / ".git"))
        self.bisect()
        self.assertEqual(before, (self.git("for-each-ref"), self.git("status", "--porcelain"),
                                  sorted(os.listdir(self.root / ".git"))))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_a_repository_of_somebody_else(self):
        """bench needs root, the repository is a developer's."""
        for path in (self.root, *self.root.rglob("*")):
            os.chown(path, 65534, 65534)
        self.slow_from = 4
        code, document, _ = self.bisect()
        self.assertEqual((code, document["candidates"]), (3, [self.commits[4]]))

    def test_a_bench_that_was_ended_ends_the_search(self):
        def killed(*_):
            return 143, "ended"
        self.slow_from = 5
        with mock.patch.object(self, "bench", killed), self.assertRaises(SystemExit) as ended:
            self.bisect()
        self.assertEqual(ended.exception.code, 1)


class CommandLine(unittest.TestCase):
    def test_what_it_cannot_understand(self):
        for options, said in (((), "required"), (("HEAD",), "required"), (("HEAD", "HEAD"), "the same commit"),
                              (("no-such", "HEAD"), "no commit 'no-such'"), (("HEAD", "HEAD~1"), "not an ancestor")):
            with self.subTest(options):
                answer = program("verdict.paired.bisection", *options)
                self.assertEqual((answer.returncode, answer.stdout, answer.stderr.count("\n")), (64, "", 1), answer.stderr)
                self.assertIn(said, answer.stderr)


if __name__ == "__main__":
    unittest.main()
