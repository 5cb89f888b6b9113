"""The raw files of a run, as bash left them."""

import json
from pathlib import Path

from harness.result.documents import Faulty


def read_json(path: Path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Faulty(f"{path}: {error}") from error


def read_series(path: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise Faulty(f"{path}: {error}") from error
