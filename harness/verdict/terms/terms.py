"""The terms of a sitting: whose expectations it is judged by, and what was otherwise than the commit has it. terms.bash leaves
them in SITTING/terms.json; each gate takes them up into its verdict with under()."""

from pathlib import Path

from harness.result.documents import read
from harness.verdict.outcome import INCONCLUSIVE, PASS, STATUS, WAIVED

PASSED = (PASS, WAIVED)


def of(sitting: Path) -> dict:
    """As terms.schema.json has them. A sitting without them is an error: nobody knows what it was asked."""
    return read(sitting / "terms.json", "terms")


def under(verdict: dict, terms: dict, passed: tuple[str, ...] = PASSED, instead: str = INCONCLUSIVE) -> dict:
    """A verdict as it is under these terms: nothing has passed by expectations that nobody but the change itself knows. A loss is
    one all the same: these were its own. `passed`, `instead`: the gate's words for it."""
    result = verdict | {"terms": terms}
    if terms["expectations"]["unproven"] is None or verdict["verdict"] not in passed:
        return result
    return result | {"verdict": instead} | ({"exit": STATUS[INCONCLUSIVE]} if "exit" in verdict else {})


def lines(terms: dict) -> list[str]:
    """For people; nothing where all is as the commit and its base have it."""
    expected = terms["expectations"]
    said = [f"expectations unproven: {expected['unproven']}"] if expected["unproven"] else []
    for what, found in (("changed here, judged as they were", expected["changed"]), ("new here", expected["new"])):
        if found:
            said.append(f"expectations {what}: {', '.join(found)}")
    said += [f"not asked any more: {one['what']}: {one['reason']}" for one in expected["retired"]]
    if terms["unofficial"]:
        said.append(f"unofficial: {'; '.join(terms['unofficial'])}")
    return said
