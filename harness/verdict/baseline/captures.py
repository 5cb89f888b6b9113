"""What `bench baseline capture` measured, and what several captures propose as a baseline.

A capture is one sitting, RESULTS/baseline/SITTING/rounds/NN/SCENARIO/{control,relay}/result.json, summed up in
its captures.json. It counts for a scenario when every run is valid and the controls are steady. A proposal is made
of the newest sittings under the same conditions, which have to agree: one sitting may have been all of a
bad hour, and does not show it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from statistics import median

from harness.result import validity
from harness.result.documents import Faulty, read
from harness.result.profile import conditions
from harness.result.runs import load_if_there
from harness.verdict import control, stats
from harness.verdict.paired import paired

COUNTED, UNFIT, INVALID = "counted", "unfit", "invalid"
RUNS_MIN, SITTINGS_MIN = 10, 2
AGREE_WITHIN = 0.05  # the medians of sittings, the largest over the smallest
AGREE_ON = ("egress_pps", "cpu_ns_per_packet", "control_pps")


def last_hop(run: dict) -> float | None:
    """What comes out at the end of several hops; a terminus only receives."""
    if len(run["hops"]) < 2:
        return None
    hop = run["hops"][-1]
    return hop["egress_pps"] if hop["outputs"] else hop["matched_pps"]


def latency(quantile: str) -> Callable[[dict], float | None]:
    return lambda run: (run["sink"]["latency_ns"] or {}).get(quantile)


METRICS: dict[str, Callable[[dict], float | None]] = {  # of a run with relays; None: it has no such figure
    "egress_pps": lambda run: run["hops"][0]["egress_pps"],
    "cpu_ns_per_packet": lambda run: run["hops"][0]["cpu_ns_per_packet"],
    "buffer_exhaustion_ratio": lambda run: run["hops"][0]["buffer_exhaustion_ratio"],
    "last_hop_pps": last_hop,
    "latency_p50_ns": latency("p50"),
    "latency_p99_ns": latency("p99"),
}


# ------------------------------------------------------------------------------ a sitting


def values(relays: list[dict], controls: list[dict]) -> dict[str, list[float]]:
    """All raw values of the metrics that every run has."""
    found = {name: [of(run) for run in relays] for name, of in METRICS.items()}
    found["control_pps"] = [run["offered_pps"] for run in controls]
    return {name: samples for name, samples in found.items() if samples and None not in samples}


def invalid_reasons(rounds: list[dict[str, dict | None]]) -> list[str]:
    reasons = []
    for number, runs in enumerate(rounds, 1):
        for kind, run in runs.items():
            reasons += [f"round {number}, {kind}: {fault}"
                        for fault in (["there is no such run"] if run is None else validity.faults(run, kind))]
    shas = {runs["relay"]["sut"]["sha256"] for runs in rounds if runs["relay"]}
    if len(shas) > 1:
        reasons.append("the relay's binary changed between rounds")
    return reasons


def unfit_reasons(controls: list[dict]) -> list[str]:
    """As for a paired verdict. A flood has no rate to reach."""
    declared = controls[0]["declared"]
    flooded = declared.get("compare") == "egress_pps" or int(declared["rate_pps"]) >= control.FLOOD_PPS
    offered = [run["offered_pps"] for run in controls]
    if min(offered) <= 0:
        return ["a control offered nothing"]
    reasons = paired.machine_reasons(offered)
    return reasons + ([] if flooded else control.offered_reasons({"alone": min(offered)}, declared))


def of_scenario(rounds: list[dict[str, dict | None]]) -> dict:
    """One scenario of a sitting; `rounds`: {"relay", "control"} each."""
    relays = [runs["relay"] for runs in rounds if runs["relay"]]
    controls = [runs["control"] for runs in rounds if runs["control"]]
    reasons, verdict = invalid_reasons(rounds), INVALID
    if not relays or not controls:
        raise Faulty("a scenario without a run of the relay or without a control")
    if not reasons:
        reasons = unfit_reasons(controls)
        verdict = UNFIT if reasons else COUNTED
    last = relays[-1]
    return {"verdict": verdict, "reasons": reasons, "utc": last["utc"], "commit": last["commit"],
            "dirty": any(run["dirty"] for run in relays + controls), "sut": last["sut"],
            "profile": last["profile"], "placement": last["placement"], "declared": last["declared"],
            "runs": len(relays), "metrics": values(relays, controls)}


def summarise(sitting: Path) -> dict:
    """captures.json of a sitting."""
    found: dict[str, list] = {}
    for place in sorted(sitting.glob("rounds/[0-9]*/*")):
        runs = {kind: load_if_there(place / kind / "result.json") for kind in ("control", "relay")}
        found.setdefault(place.name, []).append(runs)
    if not found:
        raise Faulty(f"{sitting}: nothing was measured")
    scenarios = {name: of_scenario(rounds) for name, rounds in found.items()}
    return {"schema": 1, "scenarios": scenarios}


# ------------------------------------------------------------------------------ several sittings


def load_all(folder: Path) -> dict[str, list[dict]]:
    """Scenario -> its captures, the newest first, each with the name of its sitting."""
    found: dict[str, list[dict]] = {}
    for path in sorted(folder.glob("*/captures.json")):
        if path.parent.suffix in (".partial", ".failed"):
            continue
        for name, capture in read(path, "captures")["scenarios"].items():
            found.setdefault(name, []).append(capture | {"sitting": path.parent.name})
    for captures in found.values():
        captures.sort(key=lambda capture: (capture["utc"], capture["sitting"]), reverse=True)
    return found


def measured(declared: dict) -> dict:
    """Of what a scenario declares, what bears on its baseline: not how bench compare changes it."""
    return {key: value for key, value in declared.items() if not key.startswith("compare_")}


def condition(capture: dict) -> str:
    """What has to be the same of everything that is put together."""
    return json.dumps([conditions(capture["profile"]), capture["sut"], measured(capture["declared"])], sort_keys=True)


@dataclass(frozen=True)
class Proposal:
    sittings: list[dict]  # the newest first
    problem: str          # why it cannot be used; empty when it can

    @property
    def newest(self) -> dict:
        return self.sittings[0]

    @property
    def runs(self) -> int:
        return sum(capture["runs"] for capture in self.sittings)

    def samples(self) -> dict[str, list[float]]:
        """Of all sittings together, the oldest first; metrics that all of them have."""
        return {name: [value for capture in reversed(self.sittings) for value in capture["metrics"][name]]
                for name in self.newest["metrics"] if all(name in c["metrics"] for c in self.sittings)}

    def figures(self) -> dict[str, dict]:
        return {name: figure(samples) for name, samples in self.samples().items()}


def figure(samples: list[float]) -> dict:
    """A spread over a median of 0 is none."""
    spread = stats.spread(samples)
    return {"median": median(samples), "spread": spread if isfinite(spread) else None,
            "low": min(samples), "high": max(samples)}


def disagreements(sittings: list[dict]) -> list[str]:
    found = []
    for name in AGREE_ON:
        medians = {capture["sitting"]: median(capture["metrics"][name]) for capture in sittings
                   if name in capture["metrics"]}
        if len(medians) < 2:
            continue
        low, high = min(medians, key=medians.get), max(medians, key=medians.get)
        apart = medians[high] / medians[low] - 1 if medians[low] > 0 else 0.0 if medians[high] == 0 else inf
        if apart > AGREE_WITHIN + 1e-9:
            found.append(f"{name}: {medians[low]:,.0f} in {low} and {medians[high]:,.0f} in {high}, "
                         f"{apart:.1%} apart")
    return found


def propose(captures: list[dict]) -> Proposal:
    """Of the captures of one scenario, the newest first: as few of the newest as are enough."""
    counted = [capture for capture in captures if capture["verdict"] == COUNTED]
    if not counted:
        return Proposal([], f"nothing captured that counts (0 of {RUNS_MIN} runs, 0 of {SITTINGS_MIN} sittings); "
                            f"run: bench baseline capture")
    chosen: list[dict] = []
    for capture in (one for one in counted if condition(one) == condition(counted[0])):
        if len(chosen) >= SITTINGS_MIN and sum(one["runs"] for one in chosen) >= RUNS_MIN:
            break
        chosen.append(capture)
    proposal = Proposal(chosen, "")
    if len(chosen) < SITTINGS_MIN or proposal.runs < RUNS_MIN:
        return Proposal(chosen, f"{proposal.runs} of {RUNS_MIN} runs, {len(chosen)} of {SITTINGS_MIN} sittings; "
                                f"capture another sitting")
    apart = disagreements(chosen)
    if apart:
        return Proposal(chosen, f"the sittings disagree: {'; '.join(apart)}; capture another sitting")
    return proposal
