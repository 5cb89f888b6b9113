"""What forwarding costs the whole machine: (its busy time - the busy time per packet of a control x the packets offered) / the
packets forwarded. The control, the same traffic over the same links without a relay, has what sending takes and what the
links do. A packet counts as forwarded each time that a relay sends it on, to whichever output."""

from collections.abc import Sequence
from statistics import median

from harness.result import validity
from harness.result.machine import SHARES

SPARE = 0.01  # of the machine's time: a control that leaves less of it shows what others took, not what sending takes
TOLD = 0.01  # of the machine's time: what others took of it, that much or more, is said


def part(run: dict, name: str) -> float | None:
    """Of what machine.py knows of a run; None: runs from before it was known, and what it could not tell."""
    return (run.get("machine") or {}).get(name)


def known(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def middle(values: Sequence[float | None]) -> float | None:
    found = known(values)
    return median(found) if found else None


def has_spare(run: dict) -> bool:
    """Was a part of the machine idle? Beside programs that fill all cores the machine is as busy with a relay as without one."""
    shares = [part(run, f"{name}_ratio") for name in SHARES]
    return None in shares or 1.0 - sum(shares) >= SPARE


def control_ns(controls: Sequence[dict]) -> float | None:
    """Busy time of the whole machine per packet offered when there is no relay, ns."""
    return middle([part(run, "busy_ns_per_packet_offered") for run in controls
                   if not validity.faults(run, "control") and has_spare(run)])


def forwarded_pps(run: dict) -> float:
    return sum(hop["egress_pps"] or 0.0 for hop in run["hops"])


def per_forwarded_packet(runs: Sequence[dict], per_offered: float | None) -> float | None:
    """ns, of one run; of two runs at the same time, both together, since what the machine did was for both.
    `per_offered`: control_ns()."""
    busy, forwarded = part(runs[0], "cores_busy"), sum(map(forwarded_pps, runs))
    if busy is None or per_offered is None or forwarded <= 0:
        return None
    return (busy * 1e9 - per_offered * sum(run["offered_pps"] for run in runs)) / forwarded


def costs(relays: Sequence[dict], controls: Sequence[dict]) -> list[float]:
    """Of each run that counts and has one."""
    per_offered = control_ns(controls)
    return known([per_forwarded_packet([run], per_offered) for run in relays if not validity.faults(run, "relay")])


def of_pairs(pairs: Sequence[dict], twins: bool) -> dict:
    """Of a comparison: of both builds together where they ran at the same time, else of each."""
    per_offered = control_ns([pair["control"] for pair in pairs if pair["control"]])
    runs = {"both": [[pair["base"], pair["head"]] for pair in pairs]} if twins else \
        {who: [[pair[who]] for pair in pairs] for who in ("base", "head")}
    beside = [pair[who] for pair in pairs for who in ("base", "head")]
    return {"cost_ns_per_forwarded_packet": {who: middle([per_forwarded_packet(found, per_offered) for found in runs.get(who, [])])
                                             for who in ("both", "base", "head")},
            "control_busy_ns_per_packet": per_offered,
            **{name: middle([part(run, name) for run in beside]) for name in ("cores_busy", "nice_ratio", "steal_ratio")}}


def said_of_pairs(machine: dict | None) -> list[str]:
    """of_pairs(), for people."""
    whose = {"both": "both builds together", "base": "base", "head": "head"}
    found = [f"{value:,.0f} ns ({whose[who]})" for who, value in (machine or {}).get("cost_ns_per_forwarded_packet", {}).items()
             if value is not None]
    return ([f"each packet sent on costs the whole machine {', '.join(found)}"] if found else []) + notes(machine)


CONTROL = ".control"  # of a variant: its own traffic without a relay, once in a sitting of many variants
CONTROL_MS = 2000


def control_plan(name: str, words: Sequence[str]) -> str:
    """A line of a plan (scenario/variants.bash). `words`: scenario, and what the variant changes."""
    return "\t".join([f"rounds/01/{name}{CONTROL}", words[0], "control", *words[1:], f"control_window_ms={CONTROL_MS}"])


def part_controls(runs: dict[str, list[dict]]) -> tuple[dict[str, list[dict]], dict[str, list[dict]]]:
    """(runs by variant, its controls by variant)"""
    return ({name: found for name, found in runs.items() if not name.endswith(CONTROL)},
            {name.removesuffix(CONTROL): found for name, found in runs.items() if name.endswith(CONTROL)})


def summary(relays: Sequence[dict], controls: Sequence[dict], cost: dict | None) -> dict:
    """Of a sitting; `cost`: its costs(), summed up as its other figures are."""
    return {"cost_ns_per_forwarded_packet": cost,
            "control_busy_ns_per_packet": control_ns(controls),
            **{name: middle([part(run, name) for run in relays]) for name in ("cores_busy", "nice_ratio", "steal_ratio")}}


def notes(machine: dict | None) -> list[str]:
    """What others took of the machine, where it is worth a remark."""
    words = {"steal_ratio": "other machines on this host took {} of its time (steal)",
             "nice_ratio": "programs that stand back took {} of its time (nice), which is not part of the cost"}
    return [text.format(f"{machine[name]:.1%}") for name, text in words.items()
            if machine and machine.get(name) is not None and machine[name] > TOLD]
