"""How long packets were on their way, in the pairs of a comparison: from runs to the figures that latency.py decides about, and what is
said of them."""

from dataclasses import replace
from statistics import median

from harness.report.tables import table
from harness.verdict import arrival
from harness.verdict.outcome import INCONCLUSIVE, MORE, PASS, REGRESSION
from harness.verdict.paired import latency, paired
from harness.verdict.paired.pairs import KIND, loss_of, rate_reasons, waits_of

DIRECT_NS = 150_000  # p99.9 of a receiver without a relay before it: on a machine that takes longer for that, a short stall is not seen


def examine(blocks: dict[str, list[dict]]) -> tuple[paired.Decision, dict[str, dict]]:
    """The decision over the pairs so far, whether this machine can answer at all, and what was measured and decided of each figure."""
    lost = {name: [loss_of(pair["head"]) - loss_of(pair["base"]) for pair in pairs] for name, pairs in blocks.items()}
    decision, found = latency.decide(latency.observed(blocks[paired.FIRST]), latency.observed(blocks[paired.CONFIRMATION]), lost)
    everything = [pair for pairs in blocks.values() for pair in pairs]
    direct = direct_waits(everything)
    told = {figure.key: figure_told(figure, found[figure.key], everything, direct.get(figure.key)) for figure in latency.FIGURES} \
        if everything else {}
    if decision.verdict == MORE:
        return decision, told
    damage = [f"pair {pair['pair']}: {what}" for pair in everything if not arrival.damage_seen(pair["base"])
              for what in arrival.damage_seen(pair["head"])]
    if damage:
        return replace(decision, verdict=REGRESSION, reasons=tuple(damage), p_value=0.0, by=None), told
    reasons = rate_reasons(everything, decision.verdict)
    if reasons:
        return paired.unfit(decision, reasons), told
    slow = direct.get("p99_9")
    if decision.verdict == PASS and (slow is None or slow >= DIRECT_NS):
        known = "nobody knows" if slow is None else f"{slow / 1000:,.0f} us, {DIRECT_NS / 1000:.0f} us and more"
        return replace(decision, verdict=INCONCLUSIVE, reasons=(
            *decision.reasons, f"without a relay, 99.9 % of the packets take up to {known}: a short stall of the relay "
                               f"cannot be seen on this machine at this time")), told
    return decision, told


def direct_waits(pairs: list[dict]) -> dict[str, float]:
    """Of the controls, whose receiver is at the end of the generator's link: the median of each quantile."""
    found = [waits_of(pair["control"]) for pair in pairs if pair["control"]]
    return {key: median(waits[key] for waits in found if key in waits) for key in {key for waits in found for key in waits}}


def figure_told(figure: latency.Figure, decision: paired.Decision, pairs: list[dict], direct_ns: float | None) -> dict:
    """Of one figure, for compare.json."""
    return {"title": figure.title, "verdict": decision.verdict, "reasons": list(decision.reasons), "pairs": decision.pairs,
            **{f"{who}_ns": median(waits_of(pair[who])[figure.key] for pair in pairs) for who in ("base", "head")}, "direct_ns": direct_ns,
            "rise": latency.rise(decision.estimate), "rise_at_most": latency.rise(decision.as_dict()["lower"]),
            "rise_at_least": latency.rise(decision.as_dict()["upper"]), "rise_allowed": figure.rise, "estimator": figure.estimator}


def of_pair(pair: dict, metric: str) -> dict:
    """For compare.json: how long packets were on their way, and the longest time in which none came."""
    if metric != "latency":
        return {}
    runs = {who: pair[who] for who in KIND if pair[who]}
    return {"latency_ns": {who: waits_of(run) for who, run in runs.items()},
            "longest_gap_ms": {who: run["sink"]["longest_gap_ms"] for who, run in runs.items()}}


def rows(figures: dict[str, dict]) -> list[list[str]]:
    """Rows of a table."""
    return [[told["title"], *("" if told[f"{who}_ns"] is None else f"{told[f'{who}_ns'] / 1000:,.0f} us" for who in ("direct", "base", "head")),
             *("" if told[key] is None else f"{told[key]:+.0%}" for key in ("rise", "rise_at_least", "rise_at_most")), f"{told['rise_allowed']:.0%}", told["verdict"]]
            for told in figures.values()]


def show(figures: dict[str, dict], markdown: bool) -> str:
    return table(["", "no relay", "base", "head", "rise", "at least", "at most", "allowed", ""], rows(figures), markdown)
