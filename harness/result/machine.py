"""What all CPUs of the machine did in the measured window, whatever ran on them. A relay's own CPU time does not show what
is done for it in softirqs, nor the copy into its ring, which the sender's core makes."""

from harness.result.documents import Faulty
from harness.result.hops import between

COLUMNS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
BUSY = ("user", "system", "irq", "softirq")  # nice is what was asked to stand back, steal what others took of this machine
SHARES = (*BUSY, "nice", "steal")
TWINS = "two runs at the same time: what the machine did was for both of them"


def machine(generator: dict, window: tuple[int, int], offered_pps: float, twin: bool) -> dict:
    """Of a run. The generator has read /proc/stat, whose ticks are 10 ms: between the first and the last time in the window.
    `twin`: another run was made at the same time."""
    try:
        found, reasons = read(generator, window), []
    except Faulty as fault:
        found, reasons = dict.fromkeys(("seconds", "cores_busy", *(f"{name}_ratio" for name in SHARES))), [str(fault)]
    if twin:
        reasons.append(TWINS)
    elif offered_pps <= 0:
        reasons.append("nothing was offered")
    each = None if reasons else found["cores_busy"] * 1e9 / offered_pps
    return {**found, "busy_ns_per_packet_offered": each, "reason": "; ".join(reasons) or None}


def read(generator: dict, window: tuple[int, int]) -> dict:
    samples = generator.get("cpu_samples")
    if not samples:
        raise Faulty(f"the generator {'did' if samples is None else 'could'} not read /proc/stat")
    first, last = (samples[i] for i in between([row[0] for row in samples], window, "/proc/stat"))
    ticks = dict(zip(COLUMNS, (after - before for before, after in zip(first[1:], last[1:]))))
    ticks |= {name: max(ticks[name], 0) for name in ("idle", "iowait")}  # the kernel may take some of these back
    whole, seconds = sum(ticks.values()), (last[0] - first[0]) / 1e9
    if min(ticks.values()) < 0 or whole == 0:
        raise Faulty("the times in /proc/stat did not go forward")
    busy = sum(ticks[name] for name in BUSY) / generator["cpu_ticks_per_s"] / seconds
    return {"seconds": seconds, "cores_busy": busy, **{f"{name}_ratio": ticks[name] / whole for name in SHARES}}
