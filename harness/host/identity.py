"""identity.py id: the name of this machine in results, baselines and history.
identity.py facts --keep FILE [--trafficgen PROGRAM]: what it is, as JSON: name, CPU, cores, kernel, caches, hypervisor, and how
fast it is. That PROGRAM measures (trafficgen calibrate, 2 s) once per boot, and FILE keeps it; without PROGRAM, what FILE has.

A name such as amd-epyc-25.1.1-l3.32768k-kvm-2c-linux6.18 tells apart what a CPU's own name does not: family, model and stepping,
the last cache, the hypervisor, the CPUs that may be used. Patch levels of a kernel are no machine of their own. Names of before, such as
amd-epyc-2c-linux6.18.44, said less, and may be several machines: they stay names of their own, whose figures can be read and are
compared with no others.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from harness.result.documents import Faulty, read_json, write_json

CALIBRATION_PATIENCE_S = 60
# in /proc/cpuinfo: of x86, of Arm, which numbers its makers and parts
KEYS = {"vendor": ("vendor_id", "CPU implementer"), "family": ("cpu family", "CPU architecture"),
        "model": ("model", "CPU part"), "stepping": ("stepping", "CPU revision")}


def cpuinfo(text: str) -> dict[str, str]:
    """Of the first CPU."""
    lines = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def caches(cpu: Path) -> list[str]:
    """["L1d 48K", "L1i 32K", "L2 2048K", "L3 307200K"]; of a CPU's folder in /sys."""
    found = []
    for index in sorted(cpu.glob("cache/index[0-9]*")):
        level, kind, size = ((index / name).read_text(encoding="ascii").strip() for name in ("level", "type", "size"))
        found.append(f"L{level}{ {'Data': 'd', 'Instruction': 'i'}.get(kind, '')} {size}")
    return found


def hypervisor(cpu: dict[str, str]) -> str:
    """none: a machine of iron; unknown: there is one, and nobody says which."""
    try:
        said = subprocess.run(["lscpu"], text=True, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}).stdout
    except OSError:
        said = ""
    vendor = re.search(r"^Hypervisor vendor:\s*(\S.*)$", said, re.MULTILINE)
    return vendor[1].strip() if vendor else "unknown" if "hypervisor" in cpu.get("flags", "").split() else "none"


def slug(text: str) -> str:
    return re.sub("-+", "-", re.sub("[^a-z0-9.-]", "", text.lower().replace(" ", "-")))


def identity(root: Path, cores: int, kernel: str, hypervisor_of=hypervisor) -> dict:
    """`root`: of /proc and /sys."""
    cpu = cpuinfo((root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    name = cpu.get("model name", "")
    machine = {what: next((cpu[key] for key in keys if key in cpu), "unknown") for what, keys in KEYS.items()}
    machine |= {"caches": ", ".join(caches(root / "sys/devices/system/cpu/cpu0")) or "unknown", "hypervisor": hypervisor_of(cpu)}
    last = machine["caches"].rpartition(", ")[2].lower().replace(" ", ".")
    words = (name or "unknown", f"{machine['family']}.{machine['model']}.{machine['stepping']}", last, machine["hypervisor"],
             f"{cores}c", f"linux{'.'.join(re.split('[.-]', kernel)[:2])}")
    return {"id": slug("-".join(words)), "cpu": name, "cores": cores, "kernel": kernel, "machine": machine}


def here() -> dict:
    return identity(Path("/"), len(os.sched_getaffinity(0)), platform.release())


def calibrate(program: Path) -> dict:
    """A Faulty says why it cannot be had; programs from before there was one do not know how."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "calibration.json"
        try:
            done = subprocess.run([program, "calibrate", "--json", path], text=True, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, check=False, timeout=CALIBRATION_PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Faulty(f"{program} calibrate: {error}") from error
        if done.returncode:
            raise Faulty(f"{program} calibrate: exit status {done.returncode}: {done.stderr.strip()}")
        found = read_json(path)
    return {"utc": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            **{name: float(found[name]["best"]) for name in ("system_call_ns", "memory_copy_gb_per_s")}}


def calibration(keep: Path, machine: str, boot: str, program: Path | None) -> dict | None:
    """What `keep` has of this machine since this boot; else it is measured anew, if it can be."""
    try:
        kept = read_json(keep)
        if (kept["machine"], kept["boot"]) == (machine, boot):
            return kept["calibration"]
    except (Faulty, KeyError, TypeError):
        pass  # none was kept, or it is of no use
    if program is None:
        return None
    try:
        found = calibrate(program)
        write_json(keep, {"machine": machine, "boot": boot, "calibration": found})
        return found
    except (Faulty, KeyError, TypeError, ValueError) as error:
        print(f"bench: not calibrated: {error}", file=sys.stderr)
    except OSError as error:
        print(f"bench: the calibration of this machine cannot be kept, and will be made again: {error}", file=sys.stderr)
        return found
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("id")
    command = commands.add_parser("facts")
    command.add_argument("--keep", type=Path, required=True)
    command.add_argument("--trafficgen", type=Path)
    options = parser.parse_args()
    found = here()
    if options.command == "id":
        print(found["id"])
    else:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        print(json.dumps(found | {"calibration": calibration(options.keep, found["id"], boot, options.trafficgen)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
