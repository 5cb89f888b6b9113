"""chaos.py SITTING: judges what became of a relay that was troubled, fault by fault; writes chaos.json and chaos.md, prints the matrix.

SITTING/faults/NAME holds what chaos.bash left: declared.json, times.json (begin and end of the fault), gen.json, sink.recv.json (with
samples each 20 ms), r1.stats.json, r1.log, r1.exit, links.{before,gone,after}.json, state.{before,after}.json.

A fault passes when
- packets flow on meanwhile, where the fault has nothing to do with them ("keep"),
- after its end they flow again, by themselves, within its limit,
- each lost packet is in an account, and only where this fault may lose any: before the relay's interface (before), between interface
  and relay (unseen), in a counter of the relay, behind it (behind), in the receiver's socket;
- none arrives twice or changed,
- the relay has as many processes, threads, descriptors and group memberships as before, and not more memory; its interfaces are set as
  before; it ends with 0 when it is told to."""

import json
import re
import sys
from bisect import bisect_right
from pathlib import Path

from harness.report.tables import machine_line, paint, table
from harness.result.documents import Faulty, write_json, write_text
from harness.result.raw import read_json
from harness.verdict.outcome import INVALID, PASS, REGRESSION, STATUS, USAGE, worst

FLOWS = 0.8           # of what is sent arrives: packets flow
STEP_MS = 100         # over which that is looked at
BLOW_MS = 500         # so long after it began a fault of no duration is looked at
NOISE = 20            # packets besides the generator's: reports of group membership
GROWN_BYTES = 2 << 20  # memory that a relay may have more of than before: buffers that it had not touched yet
RELAY = ("buffer_exhaustion", "drop_worker_died", "drop_malformed", "drop_fragment", "drop_truncated", "drop_checksum", "drop_no_match")
EGRESS = ("egress_errors", "drop_handoff")
NAMES = {"drop_worker_died": "worker_died", "drop_no_match": "no_match"}


def change(raw: Path, end: str, counter: str) -> int:
    """Of an interface over the run; one that was deleted meanwhile (links.gone.json has it) counted from 0 again."""
    def read(when: str) -> int:
        path = raw / f"links.{when}.json"
        return read_json(path).get(end, {}).get(counter, 0) if path.exists() else 0
    return read("gone") + read("after") - read("before")


def losses(sent: int, arrived: int, total: dict, received: dict) -> dict[str, int]:
    """Where packets were lost, in the order of their way; the sum is what was sent less what was received."""
    matched_or_dropped = total["matched"] + sum(total.get(name, 0) for name in RELAY)
    found = {"before": sent - arrived, "unseen": arrived - matched_or_dropped}
    found |= {NAMES.get(name, name.removeprefix("drop_")): total.get(name, 0) for name in RELAY}
    found["egress_errors"] = total["matched"] - total["egress_sent"]
    reached = received["received"] + received["socket_drops"]
    found |= {"behind": total["egress_sent"] - reached, "socket_drops": received["socket_drops"]}
    return {name: count for name, count in found.items() if count}


def total_at(samples: list[list[int]], ns: float) -> float:
    """Packets until then, between two samples in proportion."""
    place = bisect_right(samples, ns, key=lambda sample: sample[0])
    if place == 0:
        return 0.0
    if place == len(samples):
        return samples[-1][1]
    (t0, n0), (t1, n1) = samples[place - 1], samples[place]
    return n0 + (n1 - n0) * (ns - t0) / (t1 - t0)


class Flow:
    """What arrived of what was sent, step by step. A generator that stands still is no fault of the relay's: a step in which it sent
    little tells nothing."""

    def __init__(self, sent: list[list[int]], received: list[list[int]], offered: float):
        self.sent, self.received, self.enough = sent, received, offered * STEP_MS / 1000 / 2

    def ratio(self, begin_ns: float) -> float | None:
        """Of the step that begins then."""
        end_ns = begin_ns + STEP_MS * 1e6
        sent = total_at(self.sent, end_ns) - total_at(self.sent, begin_ns)
        return None if sent < self.enough else (total_at(self.received, end_ns) - total_at(self.received, begin_ns)) / sent

    def ratios(self, begin_ns: float, end_ns: float) -> list[tuple[float, float]]:
        """(begin, ratio) of each step between two times, one for each sample of the receiver."""
        begins = [time for time, _ in self.received if begin_ns <= time <= end_ns - STEP_MS * 1e6]
        return [(begin, ratio) for begin in begins if (ratio := self.ratio(begin)) is not None]

    def lowest(self, begin_ns: float, end_ns: float) -> float:
        return min((ratio for _, ratio in self.ratios(begin_ns, end_ns)), default=0.0)

    def again_ms(self, begin_ns: float, end_ns: float) -> float | None:
        """From `begin_ns` until packets flow, and go on to until `end_ns`; None: they do not."""
        ratios = self.ratios(begin_ns, end_ns)
        flowing: float | None = begin_ns
        for begin, ratio in ratios:
            flowing = None if ratio < FLOWS else begin if flowing is None else flowing
        return None if flowing is None or not ratios else (flowing - begin_ns) / 1e6


def leaks(before: dict, after: dict) -> list[str]:
    found = [f"{before[name]} {name} before, {after[name]} after" for name in ("processes", "threads", "descriptors")
             if before[name] != after[name]]
    if after["own_bytes"] > before["own_bytes"] + GROWN_BYTES:
        found.append(f"{(after['own_bytes'] - before['own_bytes']) / (1 << 20):.1f} MiB more than before")
    if before["groups"] != after["groups"]:
        found.append(f"groups joined: {', '.join(after['groups']) or 'none'}; before: {', '.join(before['groups'])}")
    if before["interfaces"] != after["interfaces"]:
        found.append(f"interfaces: {json.dumps(after['interfaces'])}; before: {json.dumps(before['interfaces'])}")
    return found


def said(raw: Path) -> str:
    """The first thing that the relay had to say of it; of its own files, the names."""
    for line in (raw / "r1.log").read_text(errors="replace").splitlines():
        if line.startswith(("[WARNING:", "[ERROR:", "[CRITICAL:", "[ALERT:", "[EMERGENCY:")):
            return re.sub(r"/\S*/(?=r1\.)", "", line.partition("] ")[2])
    return ""


def judge(raw: Path) -> dict:
    declared, times = read_json(raw / "declared.json"), read_json(raw / "times.json")
    generator, receiver = read_json(raw / "gen.json"), read_json(raw / "sink.recv.json")
    before, after = read_json(raw / "state.before.json"), read_json(raw / "state.after.json")
    total = read_json(raw / "r1.stats.json")["total"]
    status = (raw / "r1.exit").read_text().strip()
    begun, ended = times["begun_ms"] * 1e6, times["ended_ms"] * 1e6
    sent = generator["packets_sent"]
    flow = Flow(generator["samples"], receiver["samples"], generator["packet_rate_pps"])
    meanwhile = flow.lowest(begun, max(ended, begun + BLOW_MS * 1e6))
    again = flow.again_ms(ended, generator["end_ns"])
    lost = losses(sent, change(raw, "r1:in0", "rx_packets"), total, receiver)
    reasons = []
    if flow.lowest(begun - 500e6, begun) < FLOWS:
        return verdict(declared, INVALID, ["packets did not flow before the fault"], meanwhile, again, lost, sent, receiver, raw)
    if declared["keeps"] and meanwhile < FLOWS:
        reasons.append(f"packets did not flow on: at the least {meanwhile:.0%} of what was offered")
    if again is None or again > declared["limit_ms"]:
        reasons.append("packets did not flow again" if again is None else
                       f"packets flowed again after {again:.0f} ms; {declared['limit_ms']} ms are allowed")
    reasons += [f"{count:,} packets lost: {where}" for where, count in lost.items()
                if where not in declared["may_lose"] and abs(count) > (NOISE if where in ("before", "unseen") else 0)]
    reasons += [f"{receiver[what]:,} packets {what}" for what in ("duplicated", "corrupt", "foreign", "stale") if receiver[what]]
    reasons += leaks(before, after)
    if status != "0":
        reasons.append(f"the relay ended with {status}")
    return verdict(declared, REGRESSION if reasons else PASS, reasons, meanwhile, again, lost, sent, receiver, raw)


def verdict(declared: dict, word: str, reasons: list[str], meanwhile: float, again: float | None, lost: dict, sent: int, receiver: dict,
            raw: Path) -> dict:
    return {"name": declared["name"], "what": declared["what"], "limit_ms": declared["limit_ms"], "keeps": declared["keeps"],
            "may_lose": declared["may_lose"], "verdict": word, "reasons": reasons, "meanwhile_ratio": meanwhile, "again_ms": again,
            "sent": sent, "received": receiver["received"], "lost": lost, "said": said(raw)}


def shown(faults: list[dict], markdown: bool) -> str:
    def row_of(one: dict) -> list[str]:
        lost = ", ".join(f"{count:,} {where.replace('_', ' ')}" for where, count in one["lost"].items() if abs(count) > NOISE)
        return [one["name"], f"{one['meanwhile_ratio']:.0%}" + (" (has to)" if one["keeps"] else ""),
                "never" if one["again_ms"] is None else f"{one['again_ms']:,.0f} ms of {one['limit_ms']:,}",
                f"{one['sent'] - one['received']:,} of {one['sent']:,}", lost or "-", one["verdict"]]
    return table(["fault", "flow meanwhile", "flow again after", "lost", "where", "verdict"], [row_of(one) for one in faults], markdown)


def collect(sitting: Path) -> dict:
    run = read_json(sitting / "run.json")
    faults = sorted((judge(path) for path in (sitting / "faults").iterdir()), key=lambda one: one["name"])
    return {"schema": 1, **run, "verdict": worst(one["verdict"] for one in faults), "faults": faults}


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: chaos.py SITTING", file=sys.stderr)
        return USAGE
    sitting = Path(sys.argv[1])
    try:
        document = collect(sitting)
    except (Faulty, OSError, KeyError, TypeError, ValueError) as error:
        print(f"chaos.py: {error!r}", file=sys.stderr)
        return STATUS[INVALID]
    write_json(sitting / "chaos.json", document)
    place = machine_line(document | {"placement": {}}).replace("; ; ", "; ")
    load = f"{int(document['declared']['rate_pps']):,} packets/s of {document['declared']['payload_bytes']} bytes meanwhile"
    words = "\n".join([f"{document['verdict']}: {len(document['faults'])} faults",
                       *(f"- {one['name']}: {reason}" for one in document["faults"] for reason in one["reasons"])])
    what = "\n".join(f"- {one['name']}: {one['what']}." + (f" The relay says: {one['said']}" if one["said"] else "")
                     for one in document["faults"])
    write_text(sitting / "chaos.md", f"### Faults\n\n{place}; {load}\n\n{shown(document['faults'], True)}\n\n{words}\n\n{what}\n")
    print(f"\n{place}; {load}\n\n{shown(document['faults'], False)}\n\n{paint(words, document['verdict'])}")
    return STATUS[document["verdict"]]


if __name__ == "__main__":
    sys.exit(main())
