"""What the relay's own code does for a packet, in instructions, counted exactly: build/packet_path under callgrind.

A folder of counts holds cases.ndjson, a line for each case of packet_path, and a file of callgrind's for each: callgrind.out.1
and up. Instructions of the relay's own functions count, inlined code included; what they call in libraries, and of the kernel,
counts as calls: a C library chooses its memcpy by the CPU. The same program gives the same figures at every run, on any machine; another
compiler, or other flags, make another program.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from harness.report.tables import table
from harness.result import documents
from harness.result.documents import Faulty
from harness.verdict import outcome
from harness.verdict.outcome import PASS, REGRESSION

TOLERANCE = 0.005  # of instructions, and of calls
CALLS_ABSOLUTE = 0.001  # calls for each packet that are none
GROWTH = 0.02  # that the cost of a packet may differ with the number of rules
FIRST = "one rule"  # the case that stands for all, in short tables
GROWS_WITH_RULES = (FIRST, ("one rule of 100", "one rule of 1,000"))
OWN, DRIVER = "relay/", "relay/tests/"
FILE = "instructions.json"
SHOWN = 4  # functions
# What gcc adds to the names of parts and variants of a function, and callgrind where it takes one for its own caller.
CLONE = re.compile(r"(\.(isra|part|constprop|cold|lto_priv)(\.\d+)*)*('\d+)?$")


@dataclass
class Counted:
    """Of one case, for each of its units: a packet, an aggregate, a wake-up, a change of rules."""
    unit: str
    instructions: float
    calls: float
    functions: dict[str, float] = field(default_factory=dict)  # own ones, "forward.c: fan_out" -> instructions

    def as_dict(self) -> dict:
        return {"unit": self.unit, "instructions": self.instructions, "calls": self.calls,
                "functions": [{"function": name, "instructions": value}
                              for name, value in sorted(self.functions.items(), key=lambda item: (-item[1], item[0]))]}

    @classmethod
    def of(cls, entry: dict) -> "Counted":
        return cls(entry["unit"], entry["instructions"], entry["calls"],
                   {item["function"]: item["instructions"] for item in entry["functions"]})


class Names:
    """callgrind writes each name once, with a number; then only the number."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {"file": {}, "function": {}}

    def of(self, kind: str, text: str) -> str:
        found = re.fullmatch(r"\((\d+)\)(?: (.*))?", text)
        if not found:
            return text
        if found[2] is not None:
            self.known[kind][found[1]] = found[2]
        return self.known[kind][found[1]]


def own(file: str) -> bool:
    file = file.removeprefix("./")
    return file.startswith(OWN) and not file.startswith(DRIVER)


def read_callgrind(path: Path) -> tuple[str, dict[str, int], int]:
    """The name that the dump was asked for by; own instructions by function; calls of own functions to others."""
    names, trigger = Names(), ""
    instructions: dict[str, int] = {}
    calls, function, called_file, here, skip = 0, None, None, False, False
    file = definition = ""  # file: of the lines that follow; definition: of the function that they are part of
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            key, found, value = line.partition("=")
            if line.startswith("desc: Trigger: Client Request: "):
                trigger = line.removeprefix("desc: Trigger: Client Request: ")
            elif found and key in ("fl", "fi", "fe"):
                file = names.of("file", value)
                definition = file if key == "fl" else definition
            elif found and key == "fn":
                here = own(definition)
                function = f"{Path(definition).name}: {CLONE.sub('', names.of('function', value))}"
            elif found and key in ("cfi", "cfl"):
                called_file = names.of("file", value)
            elif found and key == "cfn":
                names.of("function", value)
            elif found and key == "calls":
                # a call within the same file does not name it
                if here and not own(called_file if called_file is not None else definition):
                    calls += int(value.split()[0])
                called_file, skip = None, True
            elif line[:1] in "0123456789+-*" and line:
                if not skip and here:
                    instructions[function] = instructions.get(function, 0) + int(line.split()[1])
                skip = False
    except (OSError, ValueError, IndexError, KeyError) as error:
        raise Faulty(f"{path}: not what callgrind writes: {error!r}") from error
    if not instructions:
        raise Faulty(f"{path}: no instruction of the relay's own is in it: was build/packet_path built with -g?")
    return trigger, instructions, calls


def read_counts(folder: Path) -> dict[str, Counted]:
    """All cases of a folder, by name."""
    found = {}
    try:
        cases = [json.loads(line) for line in (folder / "cases.ndjson").read_text(encoding="utf-8").splitlines()]
        for number, case in enumerate(cases, 1):
            path = folder / f"callgrind.out.{number}"
            trigger, instructions, calls = read_callgrind(path)
            if trigger != case["case"]:
                raise Faulty(f"{path} is of '{trigger}', not of '{case['case']}'")
            count = case["count"]
            found[trigger] = Counted(case["unit"], sum(instructions.values()) / count, calls / count,
                                     {name: value / count for name, value in instructions.items()})
    except Faulty:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Faulty(f"{folder}: not what packet_path writes: {error!r}") from error
    if not found:
        raise Faulty(f"{folder}: packet_path had no case")
    return found


def moved(measured: Counted, budget: Counted) -> list[dict]:
    """Functions whose instructions differ, the one that has grown most first."""
    names = measured.functions.keys() | budget.functions.keys()
    changes = [(measured.functions.get(name, 0.0) - budget.functions.get(name, 0.0), name) for name in names]
    return [{"function": name, "instructions": measured.functions.get(name), "budget": budget.functions.get(name), "change": change}
            for change, name in sorted(changes, key=lambda item: (-item[0], item[1])) if abs(change) >= 0.005]


def calls_limit(budget: float) -> float:
    return budget * (1 + TOLERANCE) + CALLS_ABSOLUTE


def judge_case(measured: Counted, budget: Counted | None) -> dict:
    """Without a budget there is nothing to exceed: the case is new."""
    result = measured.as_dict() | {"budget": None, "limit": None, "calls_budget": None, "verdict": PASS, "moved": []}
    if budget is None:
        return result
    limit = budget.instructions * (1 + TOLERANCE)
    over = measured.instructions > limit or measured.calls > calls_limit(budget.calls)
    return result | {"budget": budget.instructions, "limit": limit, "calls_budget": budget.calls,
                     "verdict": REGRESSION if over else PASS, "moved": moved(measured, budget)}


def judge_growth(measured: dict[str, Counted]) -> list[dict]:
    """The cost of a packet must not depend on how many rules there are."""
    few, others = GROWS_WITH_RULES
    if few not in measured:
        return []
    found = []
    for many in others:
        if many not in measured:
            continue
        ratio = measured[many].instructions / measured[few].instructions - 1
        found.append({"case": many, "instructions": measured[many].instructions, "beside": measured[few].instructions, "growth": ratio,
                      "verdict": PASS if ratio <= GROWTH else REGRESSION, "moved": moved(measured[many], measured[few])})
    return found


def judge(measured: dict[str, Counted], budgets: dict[str, Counted] | None, source: str | None, compiler: str) -> dict:
    """`source`: where the budgets are from; without any, only growth is judged."""
    gone = sorted((budgets or {}).keys() - measured.keys())
    if gone:
        raise Faulty(f"packet_path does not count any more: {', '.join(gone)}")
    cases = {name: judge_case(counted, (budgets or {}).get(name)) for name, counted in measured.items()}
    growth = judge_growth(measured)
    return {"verdict": outcome.worst(item["verdict"] for item in [*cases.values(), *growth]), "compiler": compiler, "budgets": source,
            "cases": cases, "growth": growth}


def accepted(path: Path, compiler: str) -> dict[str, Counted] | None:
    """Where it was counted with this compiler and these flags."""
    if not path.exists():
        return None
    document = documents.read(path, "instructions")
    if document["compiler"] != compiler:
        return None
    return {name: Counted.of(entry) for name, entry in document["budgets"].items()}


def compiler_of(folder: Path) -> str:
    try:
        return (folder / "compiler").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Faulty(f"it is not known what built the packet path: {error}") from error


def of_sitting(folder: Path, baselines: Path) -> dict:
    """The part `instructions` of budget.json."""
    if (folder / "reason").exists():
        return {"verdict": PASS, "not_counted": (folder / "reason").read_text(encoding="utf-8").strip()}
    compiler, measured = compiler_of(folder / "here"), read_counts(folder / "here")
    budgets, source = accepted(baselines / FILE, compiler), FILE
    if budgets is None and (folder / "base").exists():
        if compiler_of(folder / "base") != compiler:
            raise Faulty(f"the base was built by {compiler_of(folder / 'base')}, what is measured by {compiler}")
        budgets = read_counts(folder / "base")
        source = f"{(folder / 'base/commit').read_text(encoding='utf-8').strip()[:12]}, built by this compiler"
    return judge(measured, budgets, None if budgets is None else source, compiler)


def accept(folder: Path, baselines: Path, run: dict) -> dict:
    """Writes the baseline. Returns what of_sitting says with it."""
    if not (folder / "reason").exists():
        documents.write_json(baselines / FILE, {
            "schema": 1, "compiler": compiler_of(folder / "here"), "source": {"commit": run["commit"], "utc": run["utc"]},
            "budgets": {name: rounded(counted).as_dict() for name, counted in read_counts(folder / "here").items()}})
    return of_sitting(folder, baselines)


def rounded(counted: Counted) -> Counted:
    return Counted(counted.unit, round(counted.instructions, 3), round(counted.calls, 5),
                   {name: round(value, 3) for name, value in counted.functions.items() if value >= 0.0005})


def shown(found: dict) -> str:
    """For people."""
    if "not_counted" in found:
        return f"  instructions: not counted: {found['not_counted']}"
    rows = [[name, item["unit"], f"{item['instructions']:,.1f}", number(item["budget"]), number(item["limit"]), f"{item['calls']:,.2f}",
             item["verdict"] if item["budget"] is not None else "new"] for name, item in found["cases"].items()]
    said = table(["instructions of the relay's own code", "for each", "counted", "budget", "limit", "calls", "verdict"], rows, False)
    source = found["budgets"] or f"none yet: bench budget --accept makes {FILE}"
    return f"{said}\n  budgets: {source}; {found['compiler']}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def reasons(found: dict) -> list[str]:
    """Of a regression: what has grown, and where the instructions went."""
    said = []
    for name, item in found.get("cases", {}).items():
        if item["verdict"] == REGRESSION:
            calls = f", {item['calls']:.3f} calls instead of {item['calls_budget']:.3f}" if item["calls"] > calls_limit(item["calls_budget"]) else ""
            said.append(f"{name}: {item['instructions']:,.1f} instructions instead of {item['budget']:,.1f} for each {item['unit']}{calls}"
                        f"{where(item['moved'])}")
    for item in found.get("growth", []):
        if item["verdict"] == REGRESSION:
            said.append(f"{item['case']}: {item['instructions']:,.1f} instructions a packet, with one rule alone {item['beside']:,.1f}: the "
                        f"cost grows with the rules{where(item['moved'])}")
    return said


def where(changes: list[dict]) -> str:
    named = [f"{item['function']} {item['change']:+,.1f}" for item in changes[:SHOWN] if item["change"] > 0]
    return f": {', '.join(named)}" if named else ""
