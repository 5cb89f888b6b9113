"""Who sent, what each relay was to pass on, and who received: the tables of topology/routes.bash, and what follows from them: how many
packets are owed to whom."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from harness.result.documents import Faulty


class Group(NamedTuple):
    address: str
    port: int


class Source(NamedTuple):
    node: str
    group: Group  # of the first of its ports
    ports: int

    @property
    def end(self) -> str:
        return f"{self.node}:out0"

    @property
    def report(self) -> str:
        """The file of what it sent."""
        return f"{self.node}.json"


class Receiver(NamedTuple):
    name: str
    end: str
    group: Group  # of the first of its ports
    ports: int


class Rule(NamedTuple):
    end: str  # where its packets come in
    group: Group
    outputs: tuple[tuple[str, Group], ...]  # (end where they go out, group that they go to)


def group_of(word: str) -> Group:
    address, port = word.rsplit(":", 1)
    return Group(address, int(port))


def ports_of(group: Group, count: int) -> list[Group]:
    return [Group(group.address, group.port + i) for i in range(count)]


class Routes:
    def __init__(self, text: str):
        self.sources: list[Source] = []
        self.receivers: dict[str, Receiver] = {}
        self.rules: dict[str, dict[str, Rule]] = {}  # hop -> id -> rule
        self.links: dict[str, str] = {}              # end -> the other one
        for number, line in enumerate(text.splitlines(), 1):
            try:
                kind, *words = line.split()
                getattr(self, f"_{kind}")(*words)
            except (AttributeError, TypeError, ValueError) as error:
                raise Faulty(f"routes, line {number}: {line!r} is none: {error}") from error

    def _source(self, node: str, group: str, ports: str = "1") -> None:
        self.sources.append(Source(node, group_of(group), int(ports)))

    def _receiver(self, name: str, node: str, interface: str, group: str, ports: str = "1") -> None:
        self.receivers[name] = Receiver(name, f"{node}:{interface}", group_of(group), int(ports))

    def _route(self, hop: str, rule: str, interface: str, group: str, out: str, to: str) -> None:
        found = self.rules.setdefault(hop, {}).setdefault(rule, Rule(f"{hop}:{interface}", group_of(group), ()))
        if (found.end, found.group) != (f"{hop}:{interface}", group_of(group)):
            raise ValueError(f"rule {rule} of {hop} has two inputs")
        if out != "-":
            self.rules[hop][rule] = found._replace(outputs=(*found.outputs, (f"{hop}:{out}", group_of(to))))

    def _link(self, end: str, other: str) -> None:
        self.links[end] = other

    def copies(self, hop: str) -> int:
        """Packets that a hop owes for each one that a rule of it matches."""
        found = {len(rule.outputs) for rule in self.rules.get(hop, {}).values()}
        if len(found) != 1:
            raise Faulty(f"{hop} has rules of {sorted(found)} outputs: what it owes for a packet cannot be told")
        return found.pop()

    def passed_on(self, arrivals: Counter) -> Counter:
        """{(end, group): packets} of what comes to relays -> the same of what they make of it, a link further on."""
        found: Counter = Counter()
        for rules in self.rules.values():
            for rule in rules.values():
                for end, group in rule.outputs:
                    found[self.links[end], group] += arrivals[rule.end, rule.group]
        return +found

    def owed(self, sent: dict[tuple[str, int], int]) -> dict[str, int]:
        """How many packets are owed to each receiver, when each source sent so many, {(node, port): packets}."""
        now = Counter({(self.links[source.end], group): sent.get((source.node, group.port), 0)
                       for source in self.sources for group in ports_of(source.group, source.ports)})
        all_of_them = Counter(now)
        for _ in range(len(self.rules)):
            now = self.passed_on(now)
            all_of_them += now
        if self.passed_on(now):
            raise Faulty("the rules pass packets on in a circle")
        return {name: sum(all_of_them[receiver.end, group] for group in ports_of(receiver.group, receiver.ports))
                for name, receiver in self.receivers.items()}

    def back(self) -> list[str]:
        """The ends that only send: what they receive came the wrong way."""
        return sorted(end for end in self.links if end.split(":")[1].startswith("out"))


def of_run(raw: Path) -> Routes | None:
    """None of a run from before there were routes."""
    path = raw / "routes.txt"
    try:
        return Routes(path.read_text()) if path.exists() else None
    except OSError as error:
        raise Faulty(f"{path}: {error}") from error
    except Faulty as error:
        raise Faulty(f"{path}: {error}") from error
