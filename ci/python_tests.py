#!/usr/bin/python3
"""python_tests FOLDER [SEED]: the tests of test_*.py in FOLDER, in one process, as TAP; SEED shuffles the files.

Exit status 0 when there were tests and none failed.
"""
import random
import sys
import traceback
import unittest


class Tap(unittest.TestResult):
    """One line for each test; a test is ok unless it, or a subtest of it, says otherwise."""

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.verdict, self.said = "ok", ""

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.line(self.verdict, f"{self.testsRun} - {test.id()}", self.said)

    @staticmethod
    def line(verdict: str, name: str, said: str) -> None:
        word, _, skip = verdict.partition("#")
        comment = "".join(f"# {line}\n" for line in said.splitlines())
        sys.__stdout__.write(f"{word.strip()} {name}{' # ' + skip if skip else ''}\n{comment}")
        sys.__stdout__.flush()

    def bad(self, test: unittest.TestCase, error: tuple) -> None:
        said = f"{test.id()}\n" + "".join(traceback.format_exception(*error))
        if isinstance(test, unittest.TestCase):
            self.verdict, self.said = "not ok", self.said + said
        else:  # setUpClass, setUpModule: there is no test that it could be told of
            self.line("not ok", f"- {test.id()}", said)

    def addError(self, test: unittest.TestCase, err: tuple) -> None:
        super().addError(test, err)
        self.bad(test, err)

    def addFailure(self, test: unittest.TestCase, err: tuple) -> None:
        super().addFailure(test, err)
        self.bad(test, err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: tuple | None) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.verdict, self.said = "not ok", self.said + f"{subtest.id()}\n" + "".join(traceback.format_exception(*err))

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self.verdict, self.said = "not ok", "succeeds although it is expected to fail"

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.verdict = f"ok # SKIP {reason}"


def main() -> int:
    suites = list(unittest.defaultTestLoader.discover(sys.argv[1], top_level_dir="."))
    if len(sys.argv) > 2:
        random.Random(sys.argv[2]).shuffle(suites)
    suite, result = unittest.TestSuite(suites), Tap()
    count = suite.countTestCases()
    print(f"1..{count}", flush=True)
    suite.run(result)
    return 0 if count > 0 and result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
