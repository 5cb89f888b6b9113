"""floor.py SITTING BASELINE --tier TIER --rounds N: judges the rounds of a sitting against the floor.

SITTING holds verified/result.json and rounds/NN/{relay,control}/result.json. Writes SITTING/verdict.json once there is a
verdict, and exits with its code:

  0 PASS, 3 REGRESSION, 4 INCONCLUSIVE or machine unfit, 5 INVALID; 10: measure one more round

First what arrives is read, once (arrival.py). Then: do the medians of relay 1's egress rate, ingress rate and buffer
exhaustion, and of what each relay behind it loses, lie on the right side of their limits (limits.py)? Each is answered by a
99 % bound of the median that holds for any distribution of the noise (order statistics, stats.py). There are two looks, so that a clear case
is over early; each look, and each of the figures, gets its share of the 1 % (Bonferroni), which is why the
first look comes after 10 rounds and not after 7.

The rounds of a sitting are neighbours in time, and no independent sample of all hours: what a neighbour on the host does, it
does to several of them. So a verdict is one on the minute that was measured, of which the rounds, evenly spread over it, tell
more than independent ones would: its bounds err less than 1 % of the time. On all hours they would err in 4 to 12 % of
sittings, for a relay exactly at a limit and rounds whose autocorrelation is 0.59 to 0.78, as recorded: sittings of one
commit, minutes apart on one machine, had medians of relay 1's exhaustion of 20, 28, 27 and 20 %, and of 40 and 26 %
(results/history, 2026-11-20 and -28). Bounds widened by the autocorrelation that a sitting shows would still err in 2 to 5 %,
since 14 rounds hardly tell it, and would leave every fifth sitting undecided of a relay three spreads away from its limit.
tests/python/test_floor.py shows the two errors. The verdict has the autocorrelation beside the margin.
"""

import argparse
import sys
from pathlib import Path
from statistics import median

from harness.result import documents, ledger, runs, validity
from harness.verdict import arrival, control, cost, outcome, stats
from harness.verdict.age import newest
from harness.verdict.floor import limits
from harness.verdict.outcome import INCONCLUSIVE, INVALID, MORE, PASS, REGRESSION, STATUS, UNFIT
from harness.verdict.terms import terms

TIERS = ("minimum", "target", "stretch")

CONFIDENCE = 0.99
LOOKS = (10, 14)  # rounds; the last one is also the limit, unless --rounds says otherwise


def look_confidence(looks: tuple[int, ...], figures: int) -> float:
    """Confidence of one bound of one figure at one look."""
    return 1.0 - (1.0 - CONFIDENCE) / (len(looks) * figures)


def other_conditions(run: dict, baseline: dict) -> list[str]:
    """Where a run was of another scenario than the one that the baseline is for, key by key. What was asked for instead on purpose
    is none: that is among the terms of the sitting."""
    wanted = baseline.get("conditions")
    if wanted is None:
        return []
    free = {"name", "description", "baseline", *run["overrides"]}
    found = {key: value for key, value in run["declared"].items() if key not in free and not key.startswith("compare")}
    return [f"the baseline '{baseline['name']}' is for {key} = {wanted.get(key, 'nothing')}, the runs have {found.get(key, 'nothing')}"
            for key in sorted(found.keys() | wanted.keys() - free) if found.get(key) != wanted.get(key)]


def invalid_reasons(relays: list[dict], controls: list[dict], baseline: dict) -> list[str]:
    """Why the measurement itself is broken."""
    reasons = [f"round {i}: {fault}" for kind, runs in (("relay", relays), ("control", controls))
               for i, run in enumerate(runs, 1) for fault in validity.faults(run, kind)]
    reasons += [f"round {i}: relay {hop + 1} has no {key}" for i, run in enumerate(relays, 1)
                for hop, key in figures_of(run) if not validity.is_number(run["hops"][hop].get(key))]
    reasons += [f"round {i}: {arrival.vanished(run):,} packets vanished on the whole way, though each account closes"
                for i, run in enumerate(relays, 1) if run["ledger"]
                and arrival.vanished(run) > ledger.TOLERANCE * run["ledger"][0]["offered"]]
    if len({len(run["hops"]) for run in relays}) > 1:
        reasons.append("not the same number of relays in each round")
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
    reasons += other_conditions(relays[0], baseline) if relays else []
    if declared != {wanted}:
        reasons.append(f"the scenario's load {sorted(declared)} is not the baseline's {wanted}")
    return reasons


def figures_of(run: dict) -> list[tuple[int, str]]:
    """(hop, key) of all that a tier can ask for."""
    asked = dict.fromkeys(limits.OF_RELAY_1, 0)
    return [(limit.hop, limit.key) for limit in limits.of_tier(asked, len(run["hops"]))] if run["hops"] else []


def unfit_reasons(asked: int, controls: list[dict]) -> list[str]:
    """Why this machine, at this time, cannot answer the question."""
    offered = [run["offered_pps"] for run in controls]
    reasons = []
    if control.starved(median(offered), asked):
        reasons.append(f"without a relay the generator reaches {median(offered):,.0f} pps of "
                       f"the {asked:,} pps that the scenario asks for")
    return reasons + control.unsteady(offered)


def starving_reasons(asked: int, relays: list[dict]) -> list[str]:
    """Where the controls are healthy, it is the relays that starve the generator beside them."""
    beside = median(run["offered_pps"] for run in relays)
    if not control.starved(beside, asked):
        return []
    return [f"beside the relays the generator reaches {beside:,.0f} pps of the {asked:,} pps that the scenario asks for, "
            f"and without them all of it"]


def summary(samples: list[float], confidence: float) -> dict:
    bounds = stats.median_bounds(samples, confidence)
    return {"median": median(samples), "lower": bounds[0] if bounds else None,
            "upper": bounds[1] if bounds else None, "samples": samples}


def tightest(judged: limits.Judged, relays: list[dict]) -> dict:
    """Which limit would be the first to break, and by how much it is kept."""
    limit = judged.tightest
    samples = limit.samples(relays)
    return {"limit": limit.name, "asked": limit.demand(), "found": limits.shown(limit, median(samples)),
            "median": median(samples), "margin": judged.margin, "autocorrelation": stats.autocorrelation(samples)}


def egress_needed(tier: dict, relays: list[dict]) -> float:
    """What relay 1 has to send: a limit of its exhaustion is one of its egress, too, and at PHASE4's load the higher one."""
    ingress = median(run["hops"][0]["ingress_pps"] for run in relays)
    return max(tier["egress_pps_min"], (1.0 - tier["exhaustion_ratio_max"]) * ingress)


def program(run: dict) -> tuple:
    return run["sut"]["sha256"], run["sut"]["options"]


def provenance(runs: list[dict]) -> dict:
    """What was measured, when, where; nothing when there is no run."""
    return {key: runs[0][key] for key in ("utc", "commit", "dirty", "sut", "profile", "placement",
                                          "declared") if runs}


def decide(judged: limits.Judged, tier: str, relays: list[dict], controls: list[dict], last: bool) -> tuple[str, list[str]]:
    """A limit that is proven broken beside a starving generator is broken by the relays: they took its core. One that is
    kept there was not asked for all of the load. Both only while the controls are healthy."""
    asked = int(relays[0]["declared"]["rate_pps"])
    unfit, starving = unfit_reasons(asked, controls), starving_reasons(asked, relays)
    if unfit:
        return UNFIT, unfit
    if judged.side == -1:
        return REGRESSION, [*judged.broken, *starving]
    if judged.side is None and not last:
        return MORE, []
    if judged.side is None:
        return INCONCLUSIVE, [f"after {len(relays)} rounds the 99 % bounds still lie on both sides of a limit of tier "
                              f"{tier}: {', '.join(judged.undecided)}", *starving]
    return (INCONCLUSIVE, starving) if starving else (PASS, [])


def judge(relays: list[dict], controls: list[dict], baseline: dict, tier: str,
          limit: int = LOOKS[-1], verified: dict | None = None) -> dict:
    """The verdict over the rounds so far: a dict with at least `exit` and `reasons`. exit is MORE
    when another round is needed. `verified`: the run in which what arrives was read, which says all that it can say
    at once."""
    looks = tuple(n for n in LOOKS if n < limit) + (limit,)
    confidence = look_confidence(looks, max([1, *(len(figures_of(run)) for run in relays)]))
    reasons = invalid_reasons(relays, controls, baseline)
    arrived, found = arrival.judge(verified)
    if arrived == INVALID:
        reasons += arrival.told(found)
    elif relays and program(verified) != program(relays[0]):
        reasons += arrival.told(["of another program, or with other options, than the rounds"])
    if not relays or not controls:
        reasons.append("no round has been measured")
    if reasons:
        return {"schema": 1, "exit": STATUS[INVALID], "verdict": INVALID, "reasons": reasons,
                "gate": "floor", "scenario": baseline["scenario"], "baseline": baseline["name"],
                "tier_asked": tier, "rounds": len(relays), "rounds_max": limit,
                **provenance(relays + controls)}
    if arrived != REGRESSION and len(relays) not in looks and len(relays) < limit:
        return {"exit": STATUS[MORE], "verdict": MORE, "reasons": []}

    judged = {name: limits.judge(baseline["tiers"][name], relays, confidence) for name in TIERS}
    word, reasons = decide(judged[tier], tier, relays, controls, arrived == REGRESSION or len(relays) >= limit)
    if arrived == REGRESSION:
        word, reasons = REGRESSION, arrival.told(found)
    elif arrived != PASS:
        word, reasons = outcome.worst([word, arrived]) if word != MORE else MORE, [*reasons, *arrival.told(found)]
    if word == MORE:
        return {"exit": STATUS[MORE], "verdict": MORE, "reasons": []}

    egress = [run["hops"][0]["egress_pps"] for run in relays]
    offered = [run["offered_pps"] for run in controls]
    costs = cost.costs(relays, controls)
    needed = egress_needed(baseline["tiers"][tier], relays)
    reached = [name for name in TIERS if judged[name].side == 1 and arrived != REGRESSION]
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
        "egress_needed_pps": needed,
        "margin": median(egress) / needed - 1.0,
        "tightest": tightest(judged[tier], relays),
        "rounds": len(relays),
        "rounds_max": limit,
        "confidence": CONFIDENCE,
        "bound_confidence": confidence,
        "control_pps": summary(offered, confidence),
        "offered_pps": summary([run["offered_pps"] for run in relays], confidence),
        "machine": cost.summary(relays, controls, summary(costs, confidence) if costs else None),
        "generator_bound": control.link_bound(egress, offered) is not None,
        "hops": [{
            "name": relays[0]["hops"][i]["name"],
            **{key: summary([run["hops"][i][key] for run in relays], confidence)
               for key in ("ingress_pps", "matched_pps", "egress_pps", "buffer_exhaustion_ratio",
                           "loss_ratio", "cpu_ns_per_packet", "errors")
               if all(run["hops"][i].get(key) is not None for run in relays)},
        } for i in range(len(relays[0]["hops"]))],
        "verified": arrival.summary(verified),
        "named_losses": [arrival.named_losses(run) for run in relays],
        "ledger_residual_ratio_max": max(account["residual_ratio"] for run in relays
                                         for account in run["ledger"]),
        **provenance(relays),
    }


def with_soak(verdict: dict, past: Path | None) -> dict:
    """With the newest soak on this machine, which tier stretch asks for: stable for an hour."""
    if past is None or verdict["verdict"] == INVALID:
        return verdict
    soak = newest.soak(past, verdict["profile"]["id"])
    word, reasons = newest.over(verdict["verdict"], verdict["reasons"], soak) if verdict["tier_asked"] == TIERS[-1] else \
        (verdict["verdict"], verdict["reasons"])
    return verdict | {"verdict": word, "exit": STATUS[word], "reasons": reasons, "soak": soak}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("sitting", type=Path)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("--tier", choices=TIERS, default="target")
    parser.add_argument("--rounds", type=int, default=LOOKS[-1])
    parser.add_argument("--history", type=Path)
    options = parser.parse_args()
    try:
        baseline = documents.read(options.baseline, "floor")
        verdict = judge(runs.of_kind(options.sitting, "relay"), runs.of_kind(options.sitting, "control"),
                        baseline, options.tier, options.rounds, arrival.of_sitting(options.sitting))
        if verdict["verdict"] != MORE:
            verdict = with_soak(verdict, options.history)
            verdict = terms.under(verdict, terms.of(options.sitting))
            documents.write_json(options.sitting / "verdict.json", verdict)
    except (ValueError, KeyError, TypeError, IndexError) as error:  # what cannot be written, start.py tells of
        print(f"floor.py: cannot judge {options.sitting}: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    return verdict["exit"]


if __name__ == "__main__":
    sys.exit(main())
