"""The accounts of a run, from what links, relays and receivers counted over all of it. ledger.py closes them."""

from harness.result import ledger
from harness.result.hops import copies


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

    def link(self, name: str, packets: int, source: str, end: str) -> None:
        sent = self.change(source)[0]
        self.into[end] = ledger.link(name, packets, sent, self.change(end)[1])
        self.all.append(self.into[end])
        if self.payload_bytes is not None and sent["packets"] > 0:
            self.bytes.append(ledger.whole(f"{name}, bytes", self.payload_bytes, sent, end in self.aggregating))

    def relay(self, hop: dict, final: dict) -> None:
        """A relay, behind the link that its packets came by, and the links behind it."""
        name, total = hop["name"], final["total"]
        arrived = self.change(f"{name}:in0")[1]["packets"]
        if f"{name}:in0" in self.aggregating:
            # what the link delivered beyond what was sent to this relay
            foreign = max(-self.into[f"{name}:in0"]["residual"], 0)
            account = ledger.hop_in_aggregated(f"{name} in", arrived, foreign, total)
        else:
            account = ledger.hop_in(f"{name} in", arrived, total)
        self.of_ingress[name] = account
        self.all.append(account)
        if not hop["outputs"]:
            return
        self.all.append(ledger.hop_out(f"{name} out", copies(hop), total))
        sent_through = dict.fromkeys(hop["outputs"], 0)
        for output in final["outputs"]:
            sent_through[output["interface"]] += output["sent"]
        self.links(hop, [sent_through[out] for out in hop["outputs"]])

    def kernel(self, hop: dict) -> None:
        sent = [self.change(f"{hop['name']}:{out}")[0] for out in hop["outputs"]]
        if not sent:
            return
        arrived = self.change(f"{hop['name']}:in0")[1]["packets"]
        self.all.append(ledger.forwarded(f"{hop['name']} forwarding", arrived, sent))
        self.links(hop, [change["packets"] + change["dropped"] for change in sent])

    def links(self, hop: dict, sent: list[int]) -> None:
        for out, end, packets in zip(hop["outputs"], hop["downstream"], sent):
            self.link(f"{hop['name']} {out} -> {end.split(':')[0]}", packets,
                      f"{hop['name']}:{out}", end)
