"""What the tests of the harness' Python share."""

import contextlib
import functools
import importlib
import io
import json
import subprocess
from pathlib import Path
from unittest import mock

from harness import HARNESS, ROOT

DATA = HARNESS / "tests/data"


def load(path: Path):
    return json.loads(path.read_text())


def baseline() -> dict:
    """PHASE4's, for runs that were recorded under other conditions."""
    found = load(ROOT / "baselines/phase4.json")
    del found["conditions"]
    return found


def agreed(unproven: str | None = None, unofficial: tuple = (), **more) -> dict:
    """Terms of a sitting; more: of its expectations."""
    return {"schema": 1, "official": not unofficial, "unofficial": list(unofficial), "expectations": {
        "base": None if unproven else "a" * 40, "unproven": unproven, "sha256": "b" * 64, "changed": [], "new": [], "retired": []} | more}


def agree(sitting: Path, *arguments, **more) -> None:
    (sitting / "terms.json").write_text(json.dumps(agreed(*arguments, **more)))


def program(name: str, *arguments) -> subprocess.CompletedProcess:
    """What the module harness.NAME does and says with these arguments, without a process of its own."""
    module = importlib.import_module(f"harness.{name}")
    out, err, status = io.StringIO(), io.StringIO(), 0
    argv = [f"{name.rpartition('.')[2]}.py", *map(str, arguments)]
    with mock.patch("sys.argv", argv), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = module.main()
        except SystemExit as end:
            status = end.code
    if isinstance(status, str):
        err.write(f"{status}\n")
        status = 1
    return subprocess.CompletedProcess(argv, status or 0, out.getvalue(), err.getvalue())


def command(name: str, *arguments) -> list[str]:
    """The words that start the module harness.NAME, as bench does."""
    return ["/usr/bin/python3", "-m", f"harness.{name}", *map(str, arguments)]


def process(name: str, *arguments, **options) -> subprocess.CompletedProcess:
    """The same as program(), as a process of its own."""
    return subprocess.run(command(name, *arguments), text=True, capture_output=True, check=False, cwd=ROOT, **options)


def started(name: str, *arguments, **options) -> subprocess.CompletedProcess:
    """The same, as bench starts it: what it cannot write is told, in a line."""
    return subprocess.run(["/usr/bin/python3", HARNESS / "start.py", f"harness.{name}", *map(str, arguments)], text=True,
                          capture_output=True, check=False, **options)


@functools.cache
def schema(name: str, part: str | None = None):
    """A validator of harness/result/schema/NAME.schema.json, or of one of its definitions."""
    import jsonschema
    found = load(HARNESS / "result/schema" / f"{name}.schema.json")
    jsonschema.Draft202012Validator.check_schema(found)
    if part:
        found = {"$ref": f"#/$defs/{part}", "$defs": found["$defs"]}
    return jsonschema.Draft202012Validator(found)


def relay_run(egress: float = 370_000, ingress: float = 700_000, exhaustion: float = 0.2,
              offered: float = 733_000, errors: int = 0, **changes) -> dict:
    """A recorded run of the PHASE4 pipeline with other figures for relay 1."""
    run = json.loads(_RELAY)  # faster than a deep copy
    run["hops"][0].update(egress_pps=egress, ingress_pps=ingress, errors=errors,
                          buffer_exhaustion_ratio=exhaustion)
    return {**run, "offered_pps": offered, **changes}


def control_run(offered: float = 733_000, **changes) -> dict:
    return {**json.loads(_CONTROL), "offered_pps": offered, **changes}


def verified_run(losses: dict[str, int] | None = None, sink: dict | None = None, **changes) -> dict:
    """A run with a receiver behind its last hop, which read every packet. `losses`: of the receiver's account; `sink`: of
    the sum of all receivers."""
    run = relay_run(**changes)
    account = {"account": "sink socket", "unit": "packets received", "offered": 100_000, "delivered": 100_000,
               "drops": dict.fromkeys(("socket_drops", "duplicated", "stale", "corrupt", "foreign"), 0) | (losses or {}),
               "residual": 0, "residual_ratio": 0.0, "closed": True}
    return {**run, "ledger": [*run["ledger"], account], "declared": {**run["declared"], "sink": "receive", "rate_pps": "50000"},
            "sink": {"source": "trafficgen recv", "expected": 100_000, "received": 100_000, "lost": 0, "duplicated": 0,
                     "reordered": 0, "corrupt": 0, "socket_drops": 0, "latency_ns": None} | (sink or {})}


def write_verified(place: Path, run: dict) -> None:
    place.mkdir(parents=True)
    (place / "result.json").write_text(json.dumps(run))


def write_sitting(folder: Path, relays: list[dict], controls: list[dict]) -> None:
    agree(folder)
    write_verified(folder / "verified", verified_run())
    for kind, runs in (("relay", relays), ("control", controls)):
        for number, run in enumerate(runs, 1):
            place = folder / "rounds" / f"{number:02}" / kind
            place.mkdir(parents=True)
            (place / "result.json").write_text(json.dumps(run))


_RELAY = (DATA / "pipeline-relay.result.json").read_text(encoding="utf-8")
_CONTROL = (DATA / "pipeline-control.result.json").read_text(encoding="utf-8")
