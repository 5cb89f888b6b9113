"""What the harness computes, as one package: bash measures and writes files, these modules read files and write files.
`bench` runs them, as /usr/bin/python3 -m harness.STEP.MODULE. README.md is the map."""

from pathlib import Path

HARNESS = Path(__file__).resolve().parent
ROOT = HARNESS.parent
