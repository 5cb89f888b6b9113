"""sampler.py FILE INTERVAL-MS: the counters of this network namespace's interfaces, once in each interval, until SIGTERM:
one JSON object a line, shaped like a line of the relay's --stats-series.
"""

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import TextIO


def interfaces(table: str) -> list[dict]:
    """Of /proc/net/dev: after two lines of headings, NAME: 8 columns received, 8 columns sent."""
    found = []
    for line in table.splitlines()[2:]:
        name, _, columns = line.partition(":")
        counts = list(map(int, columns.split()))
        found.append({"name": name.strip(), "rx_packets": counts[1], "rx_dropped": counts[3],
                      "tx_packets": counts[9], "tx_dropped": counts[11]})
    return found


def sample(counters: TextIO, series: TextIO, now_ns: Callable[[], int], pause: Callable[[], None]) -> None:
    """A row, a pause, a row... for ever."""
    while True:
        counters.seek(0)
        row = {"time_ns": now_ns(), "interfaces": interfaces(counters.read())}
        series.write(json.dumps(row, separators=(",", ":")) + "\n")
        pause()


def main() -> int:
    if len(sys.argv) != 3 or not sys.argv[2].isdecimal():
        print("usage: sampler.py FILE INTERVAL-MS", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with open(sys.argv[1], "a", encoding="ascii", buffering=1) as series, \
                open("/proc/self/net/dev", encoding="ascii") as counters:
            sample(counters, series, time.monotonic_ns, lambda: time.sleep(int(sys.argv[2]) / 1000))
    except OSError as error:
        print(f"sampler.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
