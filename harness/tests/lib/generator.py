#!/usr/bin/python3
"""generator.py: stands where the generator stands (BUILD/trafficgen), for tests of bench that need a run to be valid
whatever the machine is like and whoever else is at work on it.

Its packets are the real generator's, so few that they wait complete in any queue: nothing can be lost. Its window is
not over after a time but when everything has happened: each series beside its report has counted before the packets
were sent and after they had arrived. It claims to have kept the rate that it was asked for, and to have begun long ago: what
was counted before the packets were sent is dated back, so that the samples cover the window, however short all of it was. Of several
the first one, whose report is gen.json, does that for all; the others send.

REAL_TRAFFICGEN         the program that sends
GENERATOR_PACKETS       how many, 320 unless given; 0: none, and says so
GENERATOR_HOLD          a FIFO: with a relay, says there that all have arrived, and waits until there is a file FIFO.go
GENERATOR_CLOCK         a file of seconds (BENCH_CLOCK): six more have passed

A sixth of the declared window has to be longer than all of that takes, and its warm-up 100 ms.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

WARMUP_NS, COOLDOWN_NS = 100_000_000, 200_000_000
DATED_BACK = 0.85  # of the window
BESIDE = 0.81      # the same of another one than the first: it may begin before that, by the difference
TIME = re.compile(rb'("time_ns": *)([0-9]+)')
FLAGS = ("--quiet", "--verify", "--interleave")


def options(words: list[str]) -> dict[str, str]:
    found = {}
    while words:
        name = words.pop(0)
        found[name] = "" if name in FLAGS else words.pop(0)
    return found


def rows(series: Path) -> list[tuple[int, str]]:
    """(time, what was counted) of each whole line: of a relay's, or of sampler.py's."""
    lines = series.read_text(encoding="utf-8").split("\n")[:-1]
    return [(row["time_ns"], json.dumps([row.get("total", {}).get("matched"),
                                         [[one["name"], one["rx_packets"], one["tx_packets"]] for one in row["interfaces"]]]))
            for row in map(json.loads, lines)]


def until(condition) -> None:
    """Whoever waits for us in vain ends us."""
    while not condition():
        time.sleep(0.005)


def has_counted_since(series: Path, moment: int, times: int = 1) -> bool:
    return sum(when >= moment for when, _ in rows(series)) >= times


def has_come_to_rest(series: Path, first: int, sent: int) -> bool:
    """Something was counted since `first`, and nothing more between two reports after `sent`."""
    counts = [count for when, count in rows(series) if when >= first]
    after = [count for when, count in rows(series) if when >= sent]
    return len(after) >= 2 and after[-1] == after[-2] != counts[0]


def date_back(series: Path, until_ns: int, by_ns: int) -> None:
    """The rows before `until_ns`, each in its place: the relay goes on writing."""
    def earlier(found: re.Match) -> bytes:
        return found[1] + str(int(found[2]) - by_ns).encode().rjust(len(found[2]))

    place = 0
    with series.open("r+b", buffering=0) as file:
        for line in file.read().splitlines(keepends=True):
            if int(TIME.search(line)[2]) >= until_ns:
                return
            file.seek(place)
            place += file.write(TIME.sub(earlier, line, count=1))


def send(asked: dict[str, str], packets: int, series: list[Path], start: int) -> int:
    """The exit status of the generator; its report is where it was asked for."""
    words = [word for name, value in asked.items() if name != "--duration" for word in (name, value) if word]
    done = subprocess.run([os.environ["REAL_TRAFFICGEN"], "send", *words, "--count", str(packets)], check=False)
    sent = time.monotonic_ns()
    for one in series if done.returncode == 0 else []:
        until(lambda one=one: has_come_to_rest(one, start, sent))
    return done.returncode


def send_nothing(asked: dict[str, str], series: list[Path], start: int) -> int:
    for one in series:
        until(lambda one=one: has_counted_since(one, start, 2))
    Path(asked["--json"]).write_text(json.dumps({"packets_sent": 0, "send_errors": 0, "flows": [], "gso": {
        "requested": 1, "segments": 1, "fallback": False}}), encoding="utf-8")
    return 0


def hold(fifo: str) -> None:
    with open(fifo, "w", encoding="ascii") as reached:
        reached.write("held\n")
    until(Path(f"{fifo}.go").exists)


def let_time_pass(clock: Path) -> None:
    clock.write_text(str(int(clock.read_text(encoding="ascii")) + 6), encoding="ascii")


def main() -> int:
    asked = options(sys.argv[2:])
    report = Path(asked["--json"])
    packets = int(os.environ.get("GENERATOR_PACKETS", "320"))
    first = report.name == "gen.json"
    series = sorted(report.parent.glob("*.series.ndjson")) if first else []
    window = int(float(asked["--duration"]) * 1e9) - WARMUP_NS - COOLDOWN_NS
    back = int(window * (DATED_BACK if first else BESIDE))
    until(lambda: time.monotonic_ns() > back + WARMUP_NS)  # of a machine that has just started
    start = time.monotonic_ns()
    for one in series:
        until(lambda one=one: has_counted_since(one, start))
    sending = time.monotonic_ns()
    status = send(asked, packets, series, start) if packets else send_nothing(asked, series, start)
    if status:
        return status
    fifo = os.environ.get("GENERATOR_HOLD")
    if series and fifo and not Path(f"{fifo}.go").exists():
        hold(fifo)
    if os.environ.get("GENERATOR_CLOCK"):
        let_time_pass(Path(os.environ["GENERATOR_CLOCK"]))
    for one in series:
        date_back(one, sending, back)
    found = json.loads(report.read_text(encoding="utf-8"))
    rate = int(asked["--rate"]) if found["packets_sent"] else 0
    found |= {"start_ns": start - back - WARMUP_NS, "packet_rate_pps": rate, "schedule_slip_ms": 0,
              "samples": [[start - back, 0], [start, rate * back // 1_000_000_000]]}
    report.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
