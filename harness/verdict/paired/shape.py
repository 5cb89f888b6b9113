"""PHASE4's shape: what a PHASE4 would be on this machine. Its floor is an absolute figure of a machine with 20 cores; a slow machine
misses it, and a fast one lets a relay lose a third. So the floor is given a second time: head runs beside itself in the shape
that PHASE4 was measured in, and each tier asks for the same share of PHASE4's egress as it does in packets/s.
"""

from harness.verdict.outcome import PASS

OPTIONS = "--ingress uring --gso off"  # one packet a frame, one send a packet, io_uring at both ends
SCENARIO = "single-hop-flood"  # reference.bash says why
TIERS = ("minimum", "target", "stretch")


def shares(floor: dict) -> dict[str, float]:
    """Tier -> of PHASE4's egress, what it asks for; floor: baselines/phase4.json."""
    return {tier: floor["tiers"][tier]["egress_pps_min"] / floor["figures"]["relay1_egress_pps"] for tier in TIERS}


def reached(floor: dict, lower: float | None) -> str | None:
    """The highest tier that a speed of 1 + lower beside PHASE4's shape keeps for sure."""
    kept = [tier for tier, share in shares(floor).items() if lower is not None and 1.0 + lower >= share]
    return kept[-1] if kept else None


def said(floor: dict, verdict: dict) -> list[str]:
    """For people, of one scenario's verdict."""
    if verdict["lower"] is None or verdict["verdict"] not in (PASS,):
        return []
    found = shares(floor)
    return [f"beside PHASE4's shape ({OPTIONS}) on this machine it is {1.0 + verdict['estimate']:.2f} times as fast, at least "
            f"{1.0 + verdict['lower']:.2f} times: tier {reached(floor, verdict['lower']) or 'none'} ("
            + ", ".join(f"{tier} {share:.2f}" for tier, share in found.items()) + ")"]
