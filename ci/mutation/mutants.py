"""The mutants: those that were planted by hand (planted.toml), and those that are drawn."""

import random
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ci.mutation import sites, tests

DATA = Path(__file__).resolve().parent
LEFT_OUT = re.compile(r"(^|/)(tests|fuzz|gates|noise|dist|schema)/|^harness/__init__.py$")


class Stale(Exception):
    """An entry of a list does not fit the tree any more; each line says which one and why."""


@dataclass(frozen=True)
class Mutant:
    id: str
    kind: str
    file: str
    line: int
    old: str
    new: str
    text: str  # of the whole file
    tests: tuple[str, ...]
    why: str

    @property
    def random(self) -> bool:
        return self.id.startswith("r-")


def read(name: str, folder: Path = DATA) -> dict:
    return tomllib.loads((folder / name).read_text(encoding="utf-8"))


def planted(root: Path, entries: list[dict]) -> list[Mutant]:
    found, wrong, seen = [], [], set()
    for entry in entries:
        name = entry["id"]
        path = root / entry["file"]
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        times = text.count(entry["old"])
        if name in seen:
            wrong.append(f"{name}: the id stands twice")
        if not path.is_file():
            wrong.append(f"{name}: no file {entry['file']}")
        elif times != 1:
            wrong.append(f"{name}: {entry['file']} has its old text {times} times, not once")
        if entry["kind"] not in sites.KINDS:
            wrong.append(f"{name}: no kind '{entry['kind']}'")
        wrong += [f"{name}: {why}" for test in entry["tests"] if (why := tests.stale(root, test))]
        seen.add(name)
        line = text[:text.find(entry["old"])].count("\n") + 1
        found.append(Mutant(name, entry["kind"], entry["file"], line, entry["old"], entry["new"],
                            text.replace(entry["old"], entry["new"]), tuple(entry["tests"]), entry["why"]))
    if wrong:
        raise Stale("\n".join(wrong))
    return found


def tests_for(rules: list[dict], path: str) -> tuple[str, ...]:
    """Of all rules that fit the path, in their order."""
    return tuple(dict.fromkeys(test for rule in rules if any(fnmatchcase(path, pattern) for pattern in rule["files"])
                               for test in rule["tests"]))


def check_rules(root: Path, rules: list[dict]) -> None:
    wrong = [f"tests.toml: {why}" for rule in rules for test in rule["tests"] if (why := tests.stale(root, test))]
    wrong += [f"tests.toml: no file is '{pattern}'" for rule in rules for pattern in rule["files"]
              if not any(fnmatchcase(path, pattern) for path in sources(root))]
    wrong += [f"tests.toml: no test for {path}" for path in sources(root) if not tests_for(rules, path)]
    if wrong:
        raise Stale("\n".join(wrong))


def sources(root: Path) -> list[str]:
    listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, "ls-files", "relay", "trafficgen", "harness"],
                            text=True, capture_output=True, check=True).stdout.split()
    return [name for name in listed if not LEFT_OUT.search(name) and (root / name).is_file() and
            (name.endswith((".c", ".h", ".py", ".bash")) or name == "harness/bench")]


def drawn(root: Path, rules: list[dict], seed: int) -> Iterator[Mutant]:
    """Endless: a file by the number of its lines of code, a kind that it has, a place. None comes twice."""
    rng = random.Random(seed)
    names = sources(root)
    texts = {name: (root / name).read_text(encoding="utf-8") for name in names}
    weights = [sites.code_lines(name, texts[name]) for name in names]
    places: dict[str, dict[str, list[sites.Site]]] = {}
    seen = set()
    while True:
        name = rng.choices(names, weights)[0]
        if name not in places:
            places[name] = {}
            for site in sites.sites(name, texts[name]):
                places[name].setdefault(site.kind, []).append(site)
        if not places[name]:
            continue
        kind = rng.choice(sorted(places[name]))
        site = rng.choice(places[name][kind])
        text = texts[name]
        identity = sites.name_of(name, text, site)
        if identity in seen:
            continue
        seen.add(identity)
        start = text.rfind("\n", 0, site.start) + 1
        stop = (text + "\n").find("\n", site.end)
        changed = sites.apply(text, site)
        yield Mutant(identity, kind, name, text.count("\n", 0, site.start) + 1, text[start:stop].strip(),
                     changed[start:stop + len(site.new) - (site.end - site.start)].strip(), changed,
                     tests_for(rules, name), sites.KINDS[kind])
