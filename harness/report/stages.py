"""stages.py SITTING: where the time of the first hop's relay goes, per packet, from
SITTING/relay/raw/perf.txt (perf script) and SITTING/{relay,control}/result.json.

A sample belongs to the first stage that one of the functions on its call chain belongs to, looked for from
the outermost function inwards: what the receiving end of the next link does in a softirq is no cost
of sending, though it runs on the sender's core. The CPU time per packet, which the relay's own counters tell,
is shared out in proportion to the samples.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from harness.report.tables import load_line, machine_line, ns, number, pps, table
from harness.result import validity
from harness.result.documents import write_json
from harness.result.runs import load
from harness.verdict import cost
from harness.verdict.outcome import INVALID, STATUS, USAGE

# stage, functions that make a sample part of it
STAGES = [
    ("receiving end of the next link (softirq)", r"__do_softirq|handle_softirqs|do_softirq.*|net_rx_action|"
                                                 r"run_ksoftirqd"),
    ("sleeping and waking", r"schedule|__schedule|io_cqring_wait|try_to_wake_up|io_poll_.*|sched_yield|"
                            r"__x64_sys_sched_yield"),
    ("copy of the payload", r"_copy_from_iter|ip_generic_getfrag|skb_copy_.*|copy_.*iter.*"),
    ("segmentation", r"skb_segment|__udp_gso_segment|udp4_ufo_fragment|inet_gso_segment|skb_mac_gso_segment|"
                     r"__skb_gso_segment|validate_xmit_.*"),
    ("transmit over the link", r"veth_xmit|dev_hard_start_xmit|__dev_queue_xmit|sch_direct_xmit|"
                               r"neigh_.*output|ip_finish_output2"),
    ("UDP and IP, socket buffers", r"udp_sendmsg|ip_make_skb|udp_send_skb|ip_send_skb|ip_append_data|"
                                   r"__ip_append_data|ip_route_output.*|sock_alloc_send.*|___sys_sendmsg|"
                                   r"sock_sendmsg|__sock_sendmsg"),
    ("system call, io_uring", r"do_syscall_64|entry_SYSCALL.*|io_.*|__x64_sys_.*"),
]
PATTERNS = [(name, re.compile(f"^(?:{pattern})(?:\\..*)?$")) for name, pattern in STAGES]
USER, OTHER = "the relay itself", "interrupts and other"
FRAME = re.compile(r"^\s+[0-9a-f]+ (.+) \((.+)\)$")


def stage_of(chain: list[tuple[str, str]]) -> str:
    """chain: (function, object), innermost first."""
    names = [function.split("+")[0] for function, _ in chain]
    for stage, pattern in PATTERNS[:2]:
        if any(pattern.match(name) for name in names):
            return stage
    for name in names:  # the innermost that belongs to a stage
        for stage, pattern in PATTERNS[2:]:
            if pattern.match(name):
                return stage
    if chain and not chain[0][1].startswith("["):
        return USER
    return OTHER


def samples(text: str):
    """Call chains, innermost function first."""
    chain: list[tuple[str, str]] = []
    for line in text.splitlines():
        match = FRAME.match(line)
        if match:
            chain.append((match[1], match[2]))
        elif not line.strip() and chain:
            yield chain
            chain = []
    if chain:
        yield chain


def share_out(text: str) -> tuple[dict[str, int], Counter]:
    """(samples by stage, samples by innermost function)"""
    by_stage = {name: 0 for name, _ in STAGES} | {USER: 0, OTHER: 0}
    by_function: Counter = Counter()
    for chain in samples(text):
        by_stage[stage_of(chain)] += 1
        by_function[chain[0][0].split("+")[0]] += 1
    return by_stage, by_function


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return USAGE
    sitting = Path(sys.argv[1])
    relay = load(sitting / "relay/result.json")
    control = load(sitting / "control/result.json")
    by_stage, by_function = share_out((sitting / "relay/raw/perf.txt").read_text(encoding="utf-8"))
    total = sum(by_stage.values())
    faults = validity.faults(relay, "relay") + validity.faults(control, "control")
    if not faults and not (total and relay["hops"][0]["cpu_ns_per_packet"]):
        faults = ["perf saw nothing of the relay"]
    if faults:
        print("the measurement is invalid: " + "; ".join(faults))
        return STATUS[INVALID]
    hop = relay["hops"][0]
    stages = {name: {"samples": count, "ns_per_packet": hop["cpu_ns_per_packet"] * count / total}
              for name, count in by_stage.items()}
    offered = control["offered_pps"]
    whole = cost.middle(cost.costs([relay], [control]))
    write_json(sitting / "profile.json", {
        "schema": 1, "scenario": relay["scenario"], "commit": relay["commit"], "profile": relay["profile"],
        "cpu_ns_per_packet": hop["cpu_ns_per_packet"],
        "machine_cost_ns_per_forwarded_packet": whole, "egress_pps": hop["egress_pps"],
        "control_pps": offered, "stages": stages,
        "functions": dict(by_function.most_common(40))})
    print(load_line(relay))
    print(machine_line(relay) + "\n")
    rows = [[name, number(stage["ns_per_packet"], " ns"), f"{stage['samples'] / total:.1%}"]
            for name, stage in sorted(stages.items(), key=lambda item: -item[1]["samples"])]
    rows.append(["all", number(hop["cpu_ns_per_packet"], " ns"), f"{total:,} samples"])
    print(table(["stage", "CPU per packet received", "share"], rows, False) + "\n")
    print(table(["function", "share"], [[name, f"{count / total:.1%}"]
                                         for name, count in by_function.most_common(12)], False) + "\n")
    outputs = max(1, hop["outputs"])
    print(f"the generator alone: {pps(offered)}; relayed, per output: {pps(hop['egress_pps'] / outputs)}, "
          f"{hop['egress_pps'] / outputs / offered:.0%} of it; "
          f"the relay's core is busy {hop['cpu_ratio']:.0%}"
          + (f"; each packet sent on costs the whole machine {ns(whole)}" if whole is not None else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
