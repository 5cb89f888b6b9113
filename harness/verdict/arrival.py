"""What arrives at the end, as all gates judge it.

Counters tell how many packets got how far, and not what is in them. So each sitting has a verified run, before all others
(run/verify.bash): the same relays with a receiver behind the last one, at a rate at which nothing needs to be lost.
The generator numbers and seals each packet; the receiver reads it. A relay that changes a byte, cuts packets off, sends one
twice or swaps neighbours is no faster one: REGRESSION. Packets that find a buffer full are not its matter, as
long as READ_MIN of them are read: the other runs count those.
"""

from pathlib import Path

from harness.result import runs, validity
from harness.result.documents import Faulty
from harness.result.ledger import BYTES
from harness.verdict.outcome import INCONCLUSIVE, INVALID, PASS, REGRESSION

FOLDER = "verified"  # of a sitting
READ_MIN = 0.5       # of the packets that are owed to the receivers

# A buffer that is full is what a tier sets a limit for; packets that were never meant for a relay are no loss of it.
NO_LOSS = ("buffer_exhaustion", "foreign", "uncounted_headers")
RECEIVER = "trafficgen recv"


def named_losses(run: dict) -> dict[str, int]:
    """What was lost otherwise than by full buffers, over the whole run, by account and cause."""
    return {f"{account['account']}: {cause}": count for account in run["ledger"]
            for cause, count in account["drops"].items() if count and cause not in NO_LOSS}


def vanished(run: dict) -> int:
    """Packets that no counter explains, on the whole way."""
    return sum(abs(account["residual"]) for account in run["ledger"] if account["unit"] != BYTES)


def damages(run: dict) -> dict[str, int]:
    """What the relays did to the packets of a run with receivers, besides losing them to full buffers; to how many."""
    found = {what: count for what, count in named_losses(run).items() if not what.endswith(": socket_drops")}  # its own
    found["arrived that the generator did not make"] = sum(
        account["drops"].get("foreign", 0) for account in run["ledger"] if account["account"].endswith(" socket"))
    found["arrived behind a later one"] = run["sink"]["reordered"]
    return {what: count for what, count in found.items() if count}


def damage(run: dict) -> list[str]:
    return [f"{count:,} of {run['sink']['expected']:,} packets: {what}" for what, count in damages(run).items()]


def damage_seen(run: dict) -> list[str]:
    """The same of any run: nothing, where nobody reads."""
    return damage(run) if run["sink"]["source"] == RECEIVER else []


def judge(run: dict | None) -> tuple[str, list[str]]:
    """Of a verified run, or of none."""
    if run is None:
        return INVALID, ["no run in which what arrives is read"]
    sink = run["sink"]
    reasons = validity.faults(run, "relay")
    if not reasons and sink["source"] != RECEIVER:
        reasons = [f"what arrives is counted by {sink['source']} and read by nobody"]
    if reasons:
        return INVALID, reasons
    if reasons := damage(run):
        return REGRESSION, reasons
    if sink["received"] < READ_MIN * sink["expected"]:
        return INCONCLUSIVE, [f"of {sink['expected']:,} packets {sink['received']:,} arrived to be read; "
                              f"{READ_MIN:.0%} have to"]
    return PASS, []


def of_sitting(sitting: Path) -> dict | None:
    return runs.load_if_there(sitting / FOLDER / "result.json")


def told(reasons: list[str], who: str = "") -> list[str]:
    return [f"{FOLDER} run{who}: {reason}" for reason in reasons]


def summary(run: dict) -> dict:
    """For a verdict."""
    return {"rate_pps": int(run["declared"]["rate_pps"]), **{key: run["sink"][key] for key in (
        "expected", "received", "corrupt", "duplicated", "reordered")}}


def of_builds(base: dict | None, head: dict | None) -> tuple[str, list[str]]:
    """Of two builds: what base does as well is none of head's doing, but no measurement of a relay either."""
    words, reasons = {}, {}
    for who, run in (("base", base), ("head", head)):
        words[who], found = judge(run)
        reasons[who] = told(found, f" of {who}")
    both = reasons["base"] + reasons["head"]
    if INVALID in words.values():
        return INVALID, both
    if words["head"] == REGRESSION:
        return (INVALID, [*both, "base does it, too"]) if words["base"] == REGRESSION else (REGRESSION, both)
    return words["head"], both


def over(verdict: dict, folder: Path) -> dict:
    """The verdict on a scenario of a comparison, which lies in `folder`, once what arrives has been read as well."""
    try:
        found = {who: runs.load_if_there(folder / FOLDER / who / "result.json") for who in ("base", "head")}
        word, reasons = of_builds(**found)
        for who, run in found.items():
            if run and run["sut"]["sha256"] != verdict["builds"][who]:
                word, reasons = INVALID, told(["of another program than the one that was built"], f" of {who}")
    except (Faulty, KeyError, TypeError) as error:
        word, reasons = INVALID, told([f"not what it should be: {error!r}"])
    if verdict["verdict"] == INVALID:
        return verdict
    if word in (INVALID, REGRESSION):
        return verdict | {"verdict": word, "reasons": reasons, "p_value": 0.0 if word == REGRESSION else 1.0}
    if word == INCONCLUSIVE and verdict["verdict"] == PASS:
        return verdict | {"verdict": INCONCLUSIVE, "reasons": [*verdict["reasons"], *reasons]}
    return verdict | {"reasons": [*verdict["reasons"], *reasons]}
