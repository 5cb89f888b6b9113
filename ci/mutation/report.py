"""The report of a run: ci/mutants.md."""

import os
import re
from pathlib import Path


def machine() -> str:
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return f"{cpu[1] if cpu else 'unknown'}, {len(os.sched_getaffinity(0))} cores, Linux {os.uname().release}"


def cell(text: str, most: int = 110) -> str:
    text = " ".join(text.split())
    return (text if len(text) <= most else text[:most - 3] + "...").replace("|", "\\|")


def code(text: str) -> str:
    return f"`` {cell(text, 90)} ``" if text.strip() else "nothing"


def row(result: dict, commit: str) -> str:
    told = {"caught": f"{result['by']}{': ' if result['by'] and result['said'] else ''}{result['said']}",
            "survived": f"**SURVIVED**: {result['said']}", "equivalent": f"equivalent: {result['said']}"}[result["outcome"]]
    if result["commit"] not in commit:
        told += f" (at {result['commit']})"
    what = f"{code(result['old'])} becomes {code(result['new'])}" if result["random"] else cell(result["why"])
    return f"| {result['id']} | {result['kind']} | {result['file']}:{result['line']} | {what} | " \
           f"{told if result['outcome'] != 'caught' else cell(told, 160)} |"


def totals(results: list[dict]) -> str:
    caught = sum(result["outcome"] == "caught" for result in results)
    counted = sum(result["outcome"] in ("caught", "survived") for result in results)
    return f"{caught} of {counted}" + (f" ({caught / counted:.1%})" if counted else "")


def render(results: list[dict], about: dict) -> str:
    listed = [result for result in results if result["outcome"] in ("caught", "survived", "equivalent")]
    parts = {"planted": [result for result in listed if not result["random"]],
             "drawn": [result for result in listed if result["random"]]}
    left = [result["outcome"] for result in results if result not in listed]
    lines = ["# Mutants", "",
             "Small faults, planted one at a time: does a test see them? Written by `ci/mutants --report`; see "
             "`ci/mutants --help`.", "",
             f"{about['utc']}, commit {about['commit']}, seed {about['seed']}; {about['machine']}.", "",
             "| | caught |", "| --- | --- |",
             *(f"| {name} | {totals(part)} |" for name, part in parts.items()),
             f"| all | **{totals(listed)}** |", "",
             f"Drawn and not counted: {left.count('unchanged')} that left the programs as they were, "
             f"{left.count('does not compile')} that did not compile, "
             f"{sum(result['outcome'] == 'equivalent' for result in listed)} that change nothing anybody was promised "
             f"(their reasons are in the table)."]
    alive = [result for result in listed if result["outcome"] == "survived"]
    lines += ["", "## Survivors", ""] + ([row(result, about["commit"]) for result in alive] and
                                         ["| id | kind | where | what | |", "| --- | --- | --- | --- | --- |",
                                          *(row(result, about["commit"]) for result in alive)] or ["None."])
    for name, part in parts.items():
        lines += ["", f"## The {name}", "", "| id | kind | where | what | caught by |", "| --- | --- | --- | --- | --- |",
                  *(row(result, about["commit"]) for result in part)]
    return "\n".join(lines) + "\n"
