"""floor.py SITTING BASELINE --tier TIER --rounds N: judges the rounds of a sitting against the floor.

SITTING holds rounds/NN/{relay,control}/result.json. Writes SITTING/verdict.json once there is a
verdict, and exits with its code:

  0 PASS, 3 REGRESSION, 4 INCONCLUSIVE or machine unfit, 5 INVALID; 10: measure one more round

The question: do the medians of relay 1's egress rate, ingress rate and buffer exhaustion lie
on the right side of the tier's limits? Each is answered by a 99 % bound of the median that holds for
any distribution of the noise (order statistics, stats.py). There are two looks, so that a clear case
is over early; each look, and each of the three figures, gets its share of the 1 % (Bonferroni), which is why the
first look comes after 10 rounds and not after 7.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from harness.result import documents, runs, validity
from harness.verdict import control, stats
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, PASS, REGRESSION, STATUS

TIERS = ("minimum", "target", "stretch")

CONFIDENCE = 0.99
LOOKS = (10, 14)  # rounds; the last one is also the limit, unless --rounds says otherwise

METRICS = {  # name in the tiers -> (key of the hop, does more mean better)
    "egress_pps_min": ("egress_pps", True),
    "ingress_pps_min": ("ingress_pps", True),
    "exhaustion_ratio_max": ("buffer_exhaustion_ratio", False),
}


def look_confidence(looks: tuple[int, ...]) -> float:
    """Confidence of one bound of one metric at one look."""
    return 1.0 - (1.0 - CONFIDENCE) / (len(looks) * len(METRICS))


def side(samples: list[float], limit: float, more_is_better: bool, confidence: float) -> int | None:
    """1: the median is proven to keep the limit; -1: proven to break it; None: undecided."""
    bounds = stats.median_bounds(samples, confidence)
    if bounds is None:
        return None
    lower, upper = bounds
    if more_is_better:
        return 1 if lower >= limit else -1 if upper < limit else None
    return 1 if upper < limit else -1 if lower >= limit else None


def judge_tier(tier: dict, hops: list[dict], confidence: float) -> int | None:
    """side() of a whole tier: kept when all of its limits are, broken when one is."""
    sides = [1 if max(hop["errors"] for hop in hops) <= tier["errors_max"] else -1]
    for name, (key, more_is_better) in METRICS.items():
        if name in tier:
            sides.append(side([hop[key] for hop in hops], tier[name], more_is_better, confidence))
    if -1 in sides:
        return -1
    return None if None in sides else 1


def invalid_reasons(relays: list[dict], controls: list[dict], baseline: dict) -> list[str]:
    """Why the measurement itself is broken."""
    reasons = [f"round {i}: {fault}" for kind, runs in (("relay", relays), ("control", controls))
               for i, run in enumerate(runs, 1) for fault in validity.faults(run, kind)]
    reasons += [f"round {i}: relay 1 has no {key}" for i, run in enumerate(relays, 1) if run["hops"]
                for key, _ in METRICS.values() if not validity.is_number(run["hops"][0][key])]
    for run in relays + controls:
        if run["scenario"] != baseline["scenario"]:
            reasons.append(f"the baseline '{baseline['name']}' is for {baseline['scenario']}, "
                           f"the runs are of {run['scenario']}")
            break
    if len(relays) != len(controls):
        reasons.append(f"{len(relays)} runs of the relays, but {len(controls)} controls")
    if len({run["sut"]["sha256"] for run in relays}) > 1:
        reasons.append("the relay's binary changed between rounds")
    declared = {(int(run["declared"]["payload_bytes"]), int(run["declared"]["rate_pps"]))
                for run in relays}
    wanted = (baseline["load"]["payload_bytes"], baseline["load"]["offered_pps"])
    if declared != {wanted}:
        reasons.append(f"the scenario's load {sorted(declared)} is not the baseline's {wanted}")
    return reasons


def unfit_reasons(relays: list[dict], controls: list[dict]) -> list[str]:
    """Why this machine, at this time, cannot answer the question."""
    asked = int(relays[0]["declared"]["rate_pps"])
    offered = [run["offered_pps"] for run in controls]
    reasons = []
    if control.starved(median(offered), asked):
        reasons.append(f"without a relay the generator reaches {median(offered):,.0f} pps of "
                       f"the {asked:,} pps that the scenario asks for")
    reasons += control.unsteady(offered)
    beside = median(run["offered_pps"] for run in relays)
    if not reasons and control.starved(beside, asked):
        reasons.append(f"beside the relays the generator reaches {beside:,.0f} pps of the "
                       f"{asked:,} pps that the scenario asks for; it needs more of a core")
    return reasons


def summary(samples: list[float], confidence: float) -> dict:
    bounds = stats.median_bounds(samples, confidence)
    return {"median": median(samples), "lower": bounds[0] if bounds else None,
            "upper": bounds[1] if bounds else None, "samples": samples}


def provenance(runs: list[dict]) -> dict:
    """What was measured, when, where; nothing when there is no run."""
    return {key: runs[0][key] for key in ("utc", "commit", "dirty", "sut", "profile", "placement",
                                          "declared") if runs}


def judge(relays: list[dict], controls: list[dict], baseline: dict, tier: str,
          limit: int = LOOKS[-1]) -> dict:
    """The verdict over the rounds so far: a dict with at least `exit` and `reasons`. exit is MORE
    when another round is needed."""
    looks = tuple(n for n in LOOKS if n < limit) + (limit,)
    confidence = look_confidence(looks)
    reasons = invalid_reasons(relays, controls, baseline)
    if not relays or not controls:
        reasons.append("no round has been measured")
    if reasons:
        return {"schema": 1, "exit": STATUS[INVALID], "verdict": INVALID, "reasons": reasons,
                "gate": "floor", "scenario": baseline["scenario"], "baseline": baseline["name"],
                "tier_asked": tier, "rounds": len(relays), "rounds_max": limit,
                **provenance(relays + controls)}
    if len(relays) not in looks and len(relays) < limit:
        return {"exit": STATUS[MORE], "verdict": MORE, "reasons": []}

    hops = [run["hops"][0] for run in relays]
    sides = {name: judge_tier(baseline["tiers"][name], hops, confidence) for name in TIERS}
    reasons = unfit_reasons(relays, controls)
    if reasons:
        word = INCONCLUSIVE
    elif sides[tier] == 1:
        word = PASS
    elif sides[tier] == -1:
        word = REGRESSION
        reasons = [f"relay 1 does not keep tier {tier}"]
    elif len(relays) < limit:
        return {"exit": STATUS[MORE], "verdict": MORE, "reasons": []}
    else:
        word = INCONCLUSIVE
        reasons = [f"after {len(relays)} rounds the 99 % bounds still lie on both sides of a limit "
                   f"of tier {tier}"]

    egress = [hop["egress_pps"] for hop in hops]
    offered = [run["offered_pps"] for run in controls]
    reached = [name for name in TIERS if sides[name] == 1]
    return {
        "schema": 1,
        "exit": STATUS[word],
        "verdict": word,
        "reasons": reasons,
        "gate": "floor",
        "scenario": baseline["scenario"],
        "baseline": baseline["name"],
        "tier_asked": tier,
        "tier_reached": reached[-1] if reached else None,
        "margin": median(egress) / baseline["tiers"][tier]["egress_pps_min"] - 1.0,
        "rounds": len(relays),
        "rounds_max": limit,
        "confidence": CONFIDENCE,
        "bound_confidence": confidence,
        "control_pps": summary(offered, confidence),
        "offered_pps": summary([run["offered_pps"] for run in relays], confidence),
        "generator_bound": control.link_bound(egress, offered) is not None,
        "hops": [{
            "name": relays[0]["hops"][i]["name"],
            **{key: summary([run["hops"][i][key] for run in relays], confidence)
               for key in ("ingress_pps", "matched_pps", "egress_pps", "buffer_exhaustion_ratio",
                           "loss_ratio", "cpu_ns_per_packet", "errors")
               if all(run["hops"][i].get(key) is not None for run in relays)},
        } for i in range(len(relays[0]["hops"]))],
        "ledger_residual_ratio_max": max(account["residual_ratio"] for run in relays
                                         for account in run["ledger"]),
        **provenance(relays),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sitting", type=Path)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--tier", choices=TIERS, default="target")
    parser.add_argument("--rounds", type=int, default=LOOKS[-1])
    options = parser.parse_args()
    try:
        baseline = documents.read(options.baseline, "floor")
        verdict = judge(runs.of_kind(options.sitting, "relay"), runs.of_kind(options.sitting, "control"),
                        baseline, options.tier, options.rounds)
        if verdict["verdict"] != MORE:
            documents.write_json(options.sitting / "verdict.json", verdict)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        print(f"floor.py: cannot judge {options.sitting}: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    return verdict["exit"]


if __name__ == "__main__":
    sys.exit(main())
