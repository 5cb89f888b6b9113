"""What the tests of the harness' Python share."""

import copy
import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
HARNESS = TESTS.parent
DATA = TESTS / "data"
sys.path.insert(0, str(HARNESS))
sys.dont_write_bytecode = True


def load(path: Path):
    return json.loads(path.read_text())


def baseline() -> dict:
    return load(HARNESS.parent / "baselines" / "phase4.json")


def program(name: str, *arguments, **options) -> subprocess.CompletedProcess:
    """Runs harness/NAME and takes its output."""
    return subprocess.run([str(HARNESS / name), *map(str, arguments)], text=True,
                          capture_output=True, check=False, **options)


def schema(name: str, part: str | None = None):
    """A validator of harness/schema/NAME.schema.json, or of one of its definitions."""
    import jsonschema
    found = load(HARNESS / "schema" / f"{name}.schema.json")
    jsonschema.Draft202012Validator.check_schema(found)
    if part:
        found = {"$ref": f"#/$defs/{part}", "$defs": found["$defs"]}
    return jsonschema.Draft202012Validator(found)


def relay_run(egress: float = 370_000, ingress: float = 700_000, exhaustion: float = 0.2,
              offered: float = 733_000, errors: int = 0, **changes) -> dict:
    """A recorded run of the PHASE4 pipeline with other figures for relay 1."""
    run = copy.deepcopy(_RELAY)
    run["hops"][0].update(egress_pps=egress, ingress_pps=ingress, errors=errors,
                          buffer_exhaustion_ratio=exhaustion)
    return {**run, "offered_pps": offered, **changes}


def control_run(offered: float = 733_000, **changes) -> dict:
    return {**copy.deepcopy(_CONTROL), "offered_pps": offered, **changes}


def write_sitting(folder: Path, relays: list[dict], controls: list[dict]) -> None:
    for kind, runs in (("relay", relays), ("control", controls)):
        for number, run in enumerate(runs, 1):
            place = folder / "rounds" / f"{number:02}" / kind
            place.mkdir(parents=True)
            (place / "result.json").write_text(json.dumps(run))


_RELAY = load(DATA / "pipeline-relay.result.json")
_CONTROL = load(DATA / "pipeline-control.result.json")
