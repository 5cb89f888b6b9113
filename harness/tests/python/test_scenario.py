"""scenario.py reads what scenario.bash reads."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import HARNESS
from harness.scenario import scenario

# The functions that bench has, in a shell as it has one.
READ = """set -euo pipefail
for part in host/common scenario/scenario; do source "$1/$part.bash"; done
scenario_parse "$2"
scenario_json"""
VALUE = """set -euo pipefail
source "$1/scenario/scenario.bash"
scenario_value "$2" """


def of_bash(path: Path) -> dict[str, str]:
    return json.loads(subprocess.run(["bash", "-c", READ, "-", HARNESS, path], check=True, capture_output=True).stdout)


class Scenario(unittest.TestCase):
    def test_python_and_bash_read_the_same(self):
        self.assertGreater(len(scenario.names(HARNESS / "scenario")), 4)
        for name in scenario.names(HARNESS / "scenario"):
            with self.subTest(name):
                found = scenario.values(HARNESS / "scenario", name)
                self.assertEqual(found, of_bash(HARNESS / f"scenario/{name}.conf"))
                self.assertIn(found["topology"], {path.stem for path in (HARNESS / "topology").glob("*.bash")})

    def test_lines_that_are_none(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "odd.conf").write_text("# flows = 1\n\n flows = 2\nFlows = 3\nflows\nbaseline=a = b\nlast =  end")
            self.assertEqual(scenario.values(Path(folder), "odd"), {"baseline": "a = b", "last": "end"})

    def test_blanks_at_the_end_of_a_line_mean_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            path, expected = Path(folder) / "dos.conf", {"description": "a  b", "flows": "3", "relay_options": ""}
            path.write_bytes(b"# text\r\n\r\ndescription = a  b \t\r\nflows = 3\r\nrelay_options = \r\n")
            self.assertEqual(scenario.values(Path(folder), "dos"), expected)
            self.assertEqual(of_bash(path), expected)

    def test_one_value_whatever_else_is_in_the_file(self):
        for text, key, status, value in (("x\ncompare = a\ncompare = b\n", "compare", 0, "a\n"), ("compare=", "compare", 0, "\n"),
                                         ("compare_x = 1\n# compare = 1\n", "compare", 1, ""), ("", "compare", 1, "")):
            with self.subTest(text):
                done = subprocess.run(["bash", "-c", VALUE, "-", HARNESS, key], input=text, text=True, capture_output=True,
                                      check=False)
                self.assertEqual((done.returncode, done.stdout), (status, value), done.stderr)


if __name__ == "__main__":
    unittest.main()
