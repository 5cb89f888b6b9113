"""What the harness computes, as one package: bash measures and writes files, these modules read files and write files.
`bench` runs them, with start.py. README.md is the map."""

from pathlib import Path

HARNESS = Path(__file__).resolve().parent
ROOT = HARNESS.parent
