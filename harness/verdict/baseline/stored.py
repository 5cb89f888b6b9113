"""The folder of baselines as it is in git: PROFILE-ID/SCENARIO.json, what the scenarios' key `baseline` names, and
waivers.json. Reads them, and finds what is superfluous or not what it was when it was accepted."""

from math import isclose
from pathlib import Path

from harness.result.documents import Faulty, read
from harness.scenario import scenario
from harness.verdict import waivers
from harness.verdict.baseline.captures import figure

def profile_folders(baselines: Path) -> list[Path]:
    return sorted(path for path in baselines.iterdir() if path.is_dir() and not path.name.startswith("."))


def label(path: Path, baselines: Path) -> str:
    """As people know it: baselines/PROFILE/SCENARIO.json."""
    return f"{baselines.name}/{path.relative_to(baselines)}"


def pooled(baseline: dict) -> dict[str, list[float]]:
    return {name: [value for sitting in baseline["sittings"] for value in sitting["metrics"].get(name, [])]
            for name in baseline["metrics"]}


def medians(baseline: dict) -> dict[str, float]:
    return {name: figures["median"] for name, figures in baseline["metrics"].items()}


def same(one: float | None, other: float | None) -> bool:
    return one == other if one is None or other is None else isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def contradictions(baseline: dict) -> list[str]:
    """Figures that do not follow from the raw values beside them: somebody has edited the file."""
    found = []
    for name, samples in pooled(baseline).items():
        if not samples:
            found.append(f"metrics.{name} has no raw values")
            continue
        for key, value in figure(samples).items():
            if not same(value, baseline["metrics"][name][key]):
                found.append(f"metrics.{name}.{key} is {baseline['metrics'][name][key]}, "
                             f"the raw values give {value}")
    if sum(sitting["runs"] for sitting in baseline["sittings"]) != baseline["runs"]:
        found.append("runs is not the sum of the sittings' runs")
    after = baseline["changes"][-1]["after"]
    if after.keys() != baseline["metrics"].keys() or not all(same(after[name], value)
                                                             for name, value in medians(baseline).items()):
        found.append("the last entry of changes is not what the metrics are")
    return found


def load(path: Path, baselines: Path) -> dict:
    """One baseline, sound in itself and in its right place."""
    where = label(path, baselines)
    baseline = read(path, "baseline", where)
    for what, found, expected in (("scenario", baseline["scenario"], path.stem),
                                  ("profile.id", baseline["profile"]["id"], path.parent.name)):
        if found != expected:
            raise Faulty(f"{where}: {what} is '{found}', its place says '{expected}'")
    wrong = contradictions(baseline)
    if wrong:
        raise Faulty(f"{where}: {wrong[0]}; restore the file, and change it with bench baseline accept only")
    return baseline


def profile_faults(folder: Path, baselines: Path, scenarios: Path) -> list[str]:
    """What is there is sound. What is not there has never been, or has been retired: harness/verdict/terms sees to that."""
    names, faults = scenario.names(scenarios), []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.suffix != ".json" or not path.is_file():
            faults.append(f"{label(path, baselines)} is no baseline of a scenario; remove it")
        elif path.stem not in names:
            faults.append(f"{label(path, baselines)} has no scenario {path.stem}; restore harness/scenario/"
                          f"{path.stem}.conf or remove the baseline in a reviewed commit")
        else:
            try:
                load(path, baselines)
            except Faulty as fault:
                faults.append(str(fault))
    return faults


def waiver_faults(baselines: Path, scenarios: Path) -> list[str]:
    where = f"{baselines.name}/waivers.json"
    try:
        found = waivers.load(baselines / "waivers.json", where)
    except Faulty as fault:
        return [str(fault)]
    return [f"{where}: a waiver for {name}, and there is no such scenario; remove it or restore "
            f"harness/scenario/{name}.conf" for name in found if name not in scenario.names(scenarios)]


def key_faults(baselines: Path, scenarios: Path) -> list[str]:
    """A scenario may name a file with limits of its own."""
    found = []
    for name in scenario.names(scenarios):
        key = scenario.values(scenarios, name).get("baseline")
        if key is None:
            continue
        path = baselines / f"{key}.json"
        if not path.is_file():
            found.append(f"{name}.conf: baseline: no file {label(path, baselines)}; restore it")
            continue
        try:
            read(path, "floor", label(path, baselines))
        except Faulty as fault:
            found.append(f"{fault}; restore it")
    return found


def faults(baselines: Path, scenarios: Path) -> list[str]:
    """All that is wrong, a line each."""
    for folder, variable in ((baselines, "BENCH_BASELINES"), (scenarios, "BENCH_SCENARIOS")):
        if not folder.is_dir():
            return [f"no folder {folder}; restore it, or set {variable}"]
    found = key_faults(baselines, scenarios) + waiver_faults(baselines, scenarios)
    for folder in profile_folders(baselines):
        found += profile_faults(folder, baselines, scenarios)
    return found
