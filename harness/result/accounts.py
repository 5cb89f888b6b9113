"""The accounts of a run, from what links, relays and receivers counted over all of it. ledger.py closes them."""

from harness.result import ledger
from harness.result.hops import copies, inputs


def link_change(before: dict, after: dict, end: str) -> tuple[dict, dict]:
    """({tx packets, bytes, dropped}, {rx packets, dropped}) of one end of a link over the run."""
    def change(direction: str, *names: str) -> dict:
        return {what: after[end][f"{direction}_{what}"] - before[end][f"{direction}_{what}"] for what in names}
    return change("tx", "packets", "bytes", "dropped"), change("rx", "packets", "dropped")


class Accounts:
    """The accounts of a run in the order of the packet's way; `into`: that of the link into an interface;
    `of_ingress`: that of the way from a hop's interface to its rules; `bytes`: of each link, where all packets are of
    one size (`payload_bytes`, or None)."""

    def __init__(self, before: dict, after: dict, aggregating: list[str], payload_bytes: int | None):
        self.before, self.after, self.aggregating = before, after, aggregating
        self.payload_bytes = payload_bytes
        self.all, self.into, self.of_ingress, self.bytes = [], {}, {}, []

    def change(self, end: str) -> tuple[dict, dict]:
        return link_change(self.before, self.after, end)

    def link(self, name: str, packets: int, source: str, end: str) -> dict:
        sent = self.change(source)[0]
        self.into[end] = ledger.link(name, packets, sent, self.change(end)[1])
        if self.payload_bytes is not None and sent["packets"] > 0:
            self.bytes.append(ledger.whole(f"{name}, bytes", self.payload_bytes, sent, end in self.aggregating))
        return self.into[end]

    def arrived(self, hop: dict) -> int:
        return sum(self.change(f"{hop['name']}:{name}")[1]["packets"] for name in inputs(hop))

    def aggregated(self, hop: dict) -> bool:
        return any(f"{hop['name']}:{name}" in self.aggregating for name in inputs(hop))

    def relays(self, hops: list[dict], finals: list[dict]) -> None:
        """Relays, behind the links of the sources: first all links, for packets may go to and fro between relays."""
        links = [self.links(hop, self.sent_through(hop, final)) for hop, final in zip(hops, finals)]
        for hop, final, behind in zip(hops, finals, links):
            self.relay(hop, final)
            self.all += behind

    def relay(self, hop: dict, final: dict) -> None:
        name, total = hop["name"], final["total"]
        if self.aggregated(hop):
            # what the links delivered beyond what was sent to this relay
            foreign = sum(max(-self.into[f"{name}:{end}"]["residual"], 0) for end in inputs(hop))
            account = ledger.hop_in_aggregated(f"{name} in", self.arrived(hop), foreign, total)
        else:
            account = ledger.hop_in(f"{name} in", self.arrived(hop), total)
        self.of_ingress[name] = account
        self.all.append(account)
        if hop["outputs"]:
            self.all.append(ledger.hop_out(f"{name} out", copies(hop), total))

    @staticmethod
    def sent_through(hop: dict, final: dict) -> list[int]:
        """Packets that a relay says it sent, by output interface."""
        sent = dict.fromkeys(hop["outputs"], 0)
        for output in final["outputs"]:
            sent[output["interface"]] += output["sent"]
        return [sent[out] for out in hop["outputs"]]

    def kernel(self, hop: dict) -> None:
        sent = [self.change(f"{hop['name']}:{out}")[0] for out in hop["outputs"]]
        if not sent:
            return
        self.all.append(ledger.forwarded(f"{hop['name']} forwarding", self.arrived(hop), sent))
        self.all += self.links(hop, [change["packets"] + change["dropped"] for change in sent])

    def links(self, hop: dict, sent: list[int]) -> list[dict]:
        return [self.link(f"{hop['name']} {out} -> {end.split(':')[0]}", packets, f"{hop['name']}:{out}", end)
                for out, end, packets in zip(hop["outputs"], hop["downstream"], sent)]

    def receivers(self, reports: dict[str, dict], ends: dict[str, str]) -> None:
        """What read the packets; `ends`: name -> NODE:INTERFACE. Several at one interface share one account."""
        by_end: dict[str, list[str]] = {}
        for name in reports:
            by_end.setdefault(ends[name], []).append(name)
        for end, names in by_end.items():
            self.all.append(ledger.receiver(f"{' and '.join(names)} socket", self.change(end)[1]["packets"],
                                            [reports[name] for name in names], end in self.aggregating))
