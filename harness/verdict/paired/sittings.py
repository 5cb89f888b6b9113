"""How often a comparison has been made before: who repeats one until it passes shall be seen to.

Sittings lie beside each other, FOLDER/TIME-COMMIT/compare.json, and those that are official leave a line in the history,
MACHINE/comparisons/YYYY-MM.ndjson, which is there when the results are gone. Two are of the same comparison when they
ask the same question of the same programs (SHA-256) with the same options; a commit that was built again is the same
program."""

from pathlib import Path

from harness.history import history
from harness.result.documents import Faulty, read_json

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def name_of(sitting: Path) -> str:
    """What the folder of a sitting is called in the end."""
    return sitting.name.removesuffix(".partial")


def words(scenarios: dict) -> dict[str, str]:
    """Scenario -> what became of it, of a compare.json."""
    return {name: verdict["verdict"] for name, verdict in scenarios.items()}


def question_of(document: dict) -> str:
    """What was asked; documents from before it was written down name the reference if base was that."""
    return document.get("question") or ("reference" if document.get("reference") else "change")


def recorded(results: Path, past: Path | None) -> tuple[dict[str, dict], list[str]]:
    """(name of a sitting -> {"question", "builds", "options", "verdicts"}, what could not be read)"""
    found, unread = {}, []
    for path in sorted(past.glob("*/comparisons/*.ndjson")) if past else ():
        lines, damaged = history.read_lines(path)
        unread += damaged
        for where, line in lines:
            if line.keys() >= {"sitting", "builds", "options", "verdicts"} and isinstance(line["verdicts"], dict):
                found[str(line["sitting"])] = line | {"question": question_of(line)}
            else:
                unread.append(f"{where}: not a comparison, left out; mend it or remove it")
    for path in sorted(results.glob("*/compare.json")):
        try:
            document = read_json(path)
            found[name_of(path.parent)] = {key: document.get(key) for key in ("builds", "options")} | {
                "question": question_of(document), "verdicts": words(document["scenarios"])}
        except (Faulty, KeyError, TypeError, AttributeError) as error:
            unread.append(f"{path} cannot be read ({error!r}): whether it is an earlier sitting of this comparison is not known")
    return found, unread


def earlier(sitting: Path, past: Path | None, question: str, builds: dict[str, str], options: dict[str, str]) \
        -> tuple[dict[str, list[dict]], list[str]]:
    """(scenario -> its earlier sittings, [{"sitting", "verdict"}], oldest first; what could not be read)"""
    sittings, unread = recorded(sitting.parent, past)
    found: dict[str, list[dict]] = {}
    for name, one in sorted(sittings.items()):
        if name != name_of(sitting) and (one["question"], one["builds"], one["options"]) == (question, builds, options):
            for scenario, word in one["verdicts"].items():
                found.setdefault(scenario, []).append({"sitting": name, "verdict": word})
    return found, unread


def remark(before: list[dict]) -> list[str]:
    """What a verdict says of the sittings before it."""
    if not before:
        return []
    number = len(before) + 1
    ordinal = f"{ORDINALS[number - 1]} sitting" if number <= len(ORDINALS) else f"sitting number {number}"
    return [f"{ordinal} of this comparison; before: {', '.join(one['verdict'] for one in before)}"]


def remember(document: dict, sitting: Path, past: Path) -> None:
    """Leaves a line in the history, unless nothing was measured, or not as the commit has it."""
    measured = [verdict for verdict in document["scenarios"].values() if verdict["profile"]]
    if not measured or not document["terms"]["official"]:
        return
    utc = max(verdict["utc"] for verdict in measured)
    history.append_line(past / measured[0]["profile"]["id"] / "comparisons" / f"{utc[:7]}.ndjson", {
        "schema": history.SCHEMA, "utc": utc, "sitting": name_of(sitting), "verdicts": words(document["scenarios"]),
        **{key: document[key] for key in ("question", "base", "head", "builds", "options")}})
