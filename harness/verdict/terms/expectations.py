"""expectations.py take FOLDER [BASE]: what a change is judged by, and by
whose word. A change does not set the expectations that it is judged by: FOLDER/scenario and FOLDER/baselines become what the
commit BASE has of them, and what is new here. BASE: a commit; default: where HEAD left the main branch.

Prints, as JSON: {"base": the commit, or null; "unproven": null, or why there is none, so that only what stands here could be
taken; "sha256": of all files that were taken; "changed", "new": what stands here otherwise than at BASE, and what BASE does
not know; "retired": what baselines/retired.json takes back}.

Exits with 5 when something that BASE expects is gone here and not retired: each is named on stderr.
"""

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from harness import ROOT
from harness.result.documents import Faulty, parse, read
from harness.scenario import scenario
from harness.verdict.outcome import INVALID, STATUS
from harness.verdict.paired import commits

# Where expectations lie in the tree, and where older commits have them -> the folder that they are taken into.
PLACES = {"harness/scenario": "scenario", "harness/scenarios": "scenario", "baselines": "baselines"}
KINDS = (".conf", ".json")
RETIRED = "baselines/retired.json"
WAIVERS = "baselines/waivers.json"  # which never is new: who needs a waiver does not write it
SAID = ("compare", "baseline")      # keys of a scenario that say what is asked of it
ASKED = ("tiers", "budgets", "rows", "questions")  # the parts of a JSON file each entry of which is asked


@dataclass
class Expectations:
    base: str | None
    unproven: str | None
    changed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    retired: list[dict] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)  # path in the tree, as of today -> what it says
    gone: list[str] = field(default_factory=list)

    def sha256(self) -> str:
        found = hashlib.sha256()
        for path in sorted(self.files):
            found.update(f"{path}\0{len(self.files[path])}\0".encode() + self.files[path])
        return found.hexdigest()

    def as_dict(self) -> dict:
        return {"base": self.base, "unproven": self.unproven, "sha256": self.sha256(), "changed": self.changed, "new": self.new,
                "retired": self.retired}


def wanted(path: str) -> str | None:
    """The path of today of a file that says what is expected; None: it does not."""
    pure = PurePosixPath(path)
    place = next((place for place in PLACES if pure.is_relative_to(place)), None)
    if place is None or pure.suffix not in KINDS or any(part.startswith(".") for part in pure.parts) or path == RETIRED:
        return None
    today = "harness/scenario" if PLACES[place] == "scenario" else place
    return str(PurePosixPath(today) / pure.relative_to(place))


def files_at(base: str, root: Path) -> dict[str, bytes]:
    """What the commit `base` expects. An incomplete clone is an error."""
    def git(*arguments: str) -> bytes:
        answer = subprocess.run(["git", "--no-optional-locks", "-c", f"safe.directory={root}", f"--git-dir={root / '.git'}",
                                 *arguments], capture_output=True, check=False)
        if answer.returncode:
            said = answer.stderr.decode(errors="replace").strip().splitlines()
            raise commits.Absent(commits.LACKING, f"git cannot read what {base[:12]} expects: {said[-1] if said else arguments[0]}; "
                                                  f"is the clone complete? Try: git fsck, git fetch")
        return answer.stdout
    places = [place for place in PLACES if git("ls-tree", base, "--", place)]
    if not places:
        return {}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", base, "--", *places))) as archive:
        for member in archive.getmembers():
            path = wanted(member.name)
            if path and member.isfile():
                found[path] = archive.extractfile(member).read()
    return found


def files_here(root: Path) -> dict[str, bytes]:
    found = {}
    for place in PLACES:
        for path in sorted((root / place).glob("**/*")):
            name = wanted(str(path.relative_to(root)))
            if name and path.is_file():
                found[name] = path.read_bytes()
    return found


def asked(files: dict[str, bytes]) -> set[str]:
    """All that is expected, by name: each file, and within a file each thing that it asks."""
    found = set()
    for path, data in files.items():
        found.add(path)
        text = data.decode("utf-8", errors="replace")
        if path.endswith(".conf"):
            found |= {f"{path}: {key}" for key in scenario.read(text).keys() & set(SAID)}
            continue
        try:
            document = parse(text)
        except ValueError:
            continue  # whoever reads it for its figures says so
        if isinstance(document, dict):
            for part in ASKED:
                found |= {f"{path}: {part}.{name}" for name in names_in(document.get(part))}
    return found - {WAIVERS}


def names_in(value) -> set[str]:
    """The leaves of an object, a path each; or the names in a list of objects that have one."""
    if isinstance(value, list):
        return {item["name"] for item in value if isinstance(item, dict) and isinstance(item.get("name"), str)}
    found = set()
    for key, item in value.items() if isinstance(value, dict) else ():
        below = names_in(item) if isinstance(item, dict) else set()
        found |= {f"{key}.{name}" for name in below} or {key}
    return found


def retirements(root: Path) -> list[dict]:
    path = root / RETIRED
    return read(path, "retired", RETIRED)["retired"] if path.exists() else []


def covers(entry: dict, thing: str) -> bool:
    """A file that is retired takes along what it asks; a folder, its files."""
    what = entry["what"]
    return thing == what or thing.startswith((f"{what}: ", f"{what.rstrip('/')}/"))


def compare(there: dict[str, bytes], here: dict[str, bytes], retired: list[dict], base: str) -> Expectations:
    """What holds: all that BASE has, and what is new here."""
    result = Expectations(base, None)
    result.changed = sorted(path for path in there.keys() & here.keys() if there[path] != here[path])
    result.new = sorted(here.keys() - there.keys() - {WAIVERS})
    gone = sorted(asked(there) - asked(here))
    taken_back = [thing for thing in gone if any(covers(entry, thing) for entry in retired)]
    result.retired = [entry for entry in retired if any(covers(entry, thing) for thing in gone)]
    gone_files = [thing for thing in gone if thing in there]
    result.gone = [thing for thing in gone if thing not in taken_back
                   and not any(thing.startswith(f"{path}: ") for path in gone_files)]  # the file is named already
    result.files = {path: data for path, data in there.items() if not any(covers(entry, path) for entry in retired)}
    result.files |= {path: here[path] for path in result.new}
    return result


def find(base: str | None, root: Path = ROOT) -> Expectations:
    """As of BASE; where there is none to be had, as they stand here, and unproven."""
    here = files_here(root)
    try:
        base = commits.commit(base, root) if base else commits.default_base(root)[0]
    except commits.Absent as absent:
        if base:  # which was named: whoever did has to know
            raise
        return Expectations(None, str(absent), files=here)
    there = files_at(base, root)
    if not there:
        return Expectations(None, f"{base[:12]} says nothing of what is expected: it has none of {', '.join(PLACES)}", files=here)
    return compare(there, here, retirements(root), base)


def complaints(found: Expectations) -> list[str]:
    """A line for each thing that is gone."""
    return [f"bench: INVALID: {thing} is expected at {found.base[:12]} and gone here; restore it, or say in {RETIRED} why it is not "
            f"asked any more" for thing in found.gone]


def take(found: Expectations, folder: Path) -> None:
    """Writes the files that hold into FOLDER."""
    for place in set(PLACES.values()):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for path, data in found.files.items():
        place = next(place for place in PLACES if PurePosixPath(path).is_relative_to(place))
        target = folder / PLACES[place] / PurePosixPath(path).relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["take"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("base", nargs="?")
    args = parser.parse_args()
    try:
        found = find(args.base)
        if found.gone:
            print("\n".join(complaints(found)), file=sys.stderr)
            return STATUS[INVALID]
        take(found, args.folder)
    except commits.Absent as absent:
        print(f"bench: {'--base: ' if args.base else ''}{absent}", file=sys.stderr)
        return absent.status
    except Faulty as fault:
        print(f"bench: INVALID: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    print(json.dumps(found.as_dict()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
