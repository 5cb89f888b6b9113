"""What makes a run invalid, besides an account that does not close: settings, programs, exit codes, logs."""

from pathlib import Path

from harness.result.raw import read_json

ERRORS = ("[EMERGENCY:", "[ALERT:", "[CRITICAL:", "[ERROR:")  # the levels of the relay's log from error on
AGGREGATION = ("generic-receive-offload", "rx-udp-gro-forwarding")


def offload_problems(run: dict, ends: list[str], raw: Path) -> list[str]:
    """Interfaces (of all `ends`) whose settings are not what the scenario declares, before, during or
    after the run. Those in `aggregating` are to aggregate during the run, and only then."""
    declared = {key.removeprefix("offload_"): (value, "the scenario declares")
                for key, value in run["scenario"].items() if key.startswith("offload_")}
    aggregates = dict.fromkeys(AGGREGATION, ("on", f"profile {run['scenario']['profile']} asks for"))
    lasting = {f"{hop['name']}:in0" for hop in run["hops"]} if run.get("living") else set()  # as the relay itself
    problems = []
    for file, when in (("before", "before"), ("running", "during"), ("after", "after")):
        offloads = read_json(raw / f"offloads.{file}.json")
        for end in ends:
            wanted = dict(declared)
            if end in run["aggregating"] and (file == "running" or end in lasting):
                wanted |= aggregates
            for name, (value, whose) in wanted.items():
                found = offloads.get(end, {}).get(name, "unknown")
                if found != value:
                    problems.append(f"{end}: {name} is {found} {when} the run, {whose} {value}")
    return problems


def hop_problems(hop: str, run: dict, raw: Path) -> list[str]:
    """A wrong binary, an unclean end, an error in the log, which of smcrouted holds nothing else."""
    problems = []
    relay = run["sut"]["name"] == "mcrelay"
    ran = (raw / f"{hop}.sha256").read_text().strip()
    if ran != run["sut"]["sha256"]:
        problems.append(f"{hop}: the binary that ran ({ran[:12]}) is not the one that was built "
                        f"({run['sut']['sha256'][:12]})")
    status = "0" if run.get("living") else (raw / f"{hop}.exit").read_text().strip()
    if status != "0":
        problems.append(f"{hop}: {'the relay' if relay else 'smcrouted'} ended with exit code {status}")
    for line in (raw / f"{hop}.log").read_text(errors="replace").splitlines():
        if line.startswith(ERRORS) or not relay:
            problems.append(f"{hop}: {line}")
            break
    return problems
