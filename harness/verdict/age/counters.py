"""counters.py RUN: what the counters of a relay that lives on did in one run: RUN/raw/HOP.series.ndjson -> RUN/counters.json.

A counter only grows. One that goes backwards has lost what it knew: it has wrapped, or somebody has set it back; whoever computes rates
from it is told nonsense."""

import sys
from pathlib import Path

from harness.result.documents import Faulty, write_json
from harness.result.raw import read_series
from harness.verdict.outcome import INVALID, STATUS

TOLD = 20  # steps backwards, of each run: more of them tell no more


def counters_of(report: dict) -> dict[str, int]:
    """Every counter of a report, by name. Rules of the sitting's own come and go, and rates are none."""
    found = {f"total.{name}": value for name, value in report["total"].items() if isinstance(value, int)}
    for kind, buckets in report["total"].get("histograms", {}).items():
        found |= {f"total.histograms.{kind}.{least}": count for least, count in buckets}
    found["cpu_ns"] = report["cpu_ns"]
    for worker in report["workers"]:
        found |= {f"worker {worker['index']}.{name}": value for name, value in worker["counters"].items() if isinstance(value, int)}
        found[f"worker {worker['index']}.restarts"] = worker["restarts"]
    for rule in report["rules"]:
        found |= {f"rule {rule['id']}.{name}": rule[name] for name in ("matched", "matched_bytes")}
    for output in report["outputs"]:
        name = f"output {output['interface']} {output['group']}:{output['port']}"
        found |= {f"{name}.{key}": output[key] for key in ("sent", "sent_bytes")}
        found |= {f"{name}.errors.{cause}": count for cause, count in output["errors"].items()}
    return found


def backwards(before: dict[str, int], after: dict[str, int], passing: frozenset[str] = frozenset()) -> list[dict]:
    """What both have, and the later one has less of; but for names that begin with one of `passing`."""
    return [{"counter": name, "from": value, "to": after[name]} for name, value in before.items()
            if after.get(name, value) < value and not name.startswith(tuple(passing))]


# Of the rule that comes and goes beside a load: a rule that is new counts from 0.
PASSING = frozenset({"rule bench-age.", "output out0 239.255.201.1:"})


def examine(series: list[dict]) -> dict:
    """Of one relay."""
    if not series:
        raise Faulty("there is no report")
    reports = [counters_of(report) for report in series]
    steps = [{**step, "time_ns": report["time_ns"]} for before, after, report in zip(reports, reports[1:], series[1:])
             for step in backwards(before, after, PASSING)]
    return {"reports": len(series), "backwards": steps[:TOLD], "first": reports[0], "last": reports[-1],
            "rss_bytes": series[-1]["rss_bytes"]}


def main() -> int:
    folder = Path(sys.argv[1])
    try:
        found = {path.name.removesuffix(".series.ndjson"): examine(read_series(path))
                 for path in sorted((folder / "raw").glob("*.series.ndjson"))}
        if not found:
            raise Faulty(f"{folder}/raw: no relay has reported")
    except Faulty as fault:
        print(f"counters.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        print(f"counters.py: {folder}: not what a relay reports: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    write_json(folder / "counters.json", {"hops": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
