"""The pairs of runs of a comparison as they lie on disk: what counts, and the figure of each run."""

from pathlib import Path
from statistics import median

from harness.result import validity
from harness.result.documents import Faulty
from harness.result.runs import load_if_there
from harness.verdict import control
from harness.verdict.outcome import REGRESSION

LOSS_CHARGE = 10  # where there is time to spare, to lose 0.5 % is as bad as to be 5 % slower
KIND = {"base": "relay", "head": "relay", "control": "control"}


def pairs_of(folder: Path) -> list[dict]:
    """The pairs of a block, in their order: {"pair", "base", "head", "control" or None}. A gap, or a pair of which
    only one build ran, is no sitting."""
    pairs = []
    for number, place in enumerate(sorted(folder.glob("[0-9][0-9]")), 1):
        runs = {who: load_if_there(place / who / "result.json") for who in KIND}
        if int(place.name) != number or not (runs["base"] and runs["head"]):
            raise Faulty(f"{folder}: pair {number:02} of the {folder.name} block is not complete")
        pairs.append({"pair": place.name, **runs})
    return pairs


MIRRORED = "mirrored"  # twins that have the cores of each other
LATENCY = "p99"  # the one quantile that stands for a run in tables


def value_of(run: dict, metric: str) -> float | None:
    """Of the first hop; with a fan-out, of all outputs together. Of latency: LATENCY, in ns. None: there is none."""
    if metric == "latency":
        return waits_of(run).get(LATENCY)
    value = run["hops"][0].get(metric) if run["hops"] else None
    if not validity.is_rate(value) or loss_of(run) is None:
        return None
    return value * (1.0 + LOSS_CHARGE * loss_of(run)) if metric == "cpu_ns_per_packet" else value


def waits_of(run: dict) -> dict[str, float]:
    """How long packets were on their way, ns, by quantile; those that are known. Nothing where nobody read."""
    return {name: value for name, value in ((run.get("sink") or {}).get("latency_ns") or {}).items() if validity.is_rate(value)}


def loss_of(run: dict) -> float | None:
    """Of the packets that the first hop owed, the share that it did not pass on; None: not known."""
    loss = run["hops"][0].get("loss_ratio") if run["hops"] else None
    return max(0.0, loss) if validity.is_number(loss) else None


def asked(run: dict) -> dict:
    """What a run was told to do, and where. Only options may differ between base and head, by --base-options and
    --head-options, and not from pair to pair."""
    mirrored = run["declared"].get("twin") == MIRRORED  # base and head change places from pair to pair, and cores with them
    load_of = {key: value for key, value in run["declared"].items() if key != "relay_options" and not (mirrored and key == "two_cores")}
    return {"load": load_of, "options": run["sut"]["options"], "placement": {} if mirrored else run["placement"],
            "machine": run["profile"]["id"]}


def alike(what: str, value, wanted, is_control: bool) -> bool:
    """Where a control has no receiver behind the relay, there is none to be placed."""
    if is_control and what == "placement":
        return all(value[name] == wanted[name] for name in value.keys() & wanted.keys())
    return value == wanted


def run_reasons(who: str, run: dict, first: dict, scenario: str, metric: str, expected: dict[str, str]) -> list[str]:
    """Why a run does not count beside the first pair of the sitting."""
    reasons = validity.faults(run, KIND[who])
    if run["scenario"] != scenario:
        reasons.append(f"this is a run of {run['scenario']}, not of {scenario}")
    is_control = who not in expected
    if not is_control and run["sut"]["sha256"] != expected[who]:
        reasons.append(f"another program ran than the one that was built "
                       f"({run['sut']['sha256'][:12]} instead of {expected[who][:12]})")
    reasons += [f"not the {what} of the first run" for what, value in asked(run).items()
                if not (is_control and what == "options")
                and not alike(what, value, asked(first[who if what == "options" else "base"])[what], is_control)]
    if not reasons and not is_control and value_of(run, metric) is None:
        reasons.append(f"it has no {metric}; a run without a rate cannot be compared")
    return reasons


def invalid_reasons(pairs: list[dict], scenario: str, metric: str, expected: dict[str, str]) -> list[str]:
    """Why the measurement itself is broken. `pairs`: of the whole sitting, in their order."""
    reasons, missing = [], []
    for number, pair in enumerate(pairs):
        for who in KIND:
            if pair[who]:
                reasons += [f"pair {pair['pair']}, {who}: {reason}" for reason in
                            run_reasons(who, pair[who], pairs[0], scenario, metric, expected)]
        if number % 2 == 0 and not pair["control"]:
            missing.append(f"pair {pair['pair']}: no control beside it")
    return reasons + missing


def are_twins(run: dict) -> bool:
    """Did both builds of a pair run at the same time?"""
    return run["declared"].get("twin") in ("yes", MIRRORED)


def passed_on(pair: dict) -> float:
    """Packets/s, per output, that left the relay while the generator had a core: those of base, or of both builds when
    their generators shared it."""
    together = [pair["base"], pair["head"]] if are_twins(pair["base"]) else [pair["base"]]
    return sum(run["hops"][0]["egress_pps"] / max(1, run["hops"][0]["copies"]) for run in together)


def offered(pairs: list[dict]) -> dict[str, float]:
    """What the generator typically reached at a fixed rate, packets/s."""
    rates = {who: [pair[who]["offered_pps"] for pair in pairs if pair[who]] for who in KIND}
    found = {"beside base": median(rates["base"]), "beside head": median(rates["head"])}
    return found | ({"alone": median(rates["control"])} if rates["control"] else {})


def rate_reasons(pairs: list[dict], verdict: str) -> list[str]:
    """Why this machine cannot answer, where a fixed rate has to be reached. A generator that reaches it alone and starves
    beside relays starves because of them: a loss that is proven stands. A PASS does not, since head was not asked
    for all that it had to show."""
    rates = offered(pairs)
    if verdict == REGRESSION:
        rates = {where: rate for where, rate in rates.items() if where == "alone"}
    return control.offered_reasons(rates, pairs[0]["base"]["declared"])
