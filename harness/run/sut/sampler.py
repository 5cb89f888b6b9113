"""sampler.py FILE: the counters of this network namespace's interfaces, ten times a second, until SIGTERM:
one JSON object a line, shaped like a line of the relay's --stats-series.
"""

import json
import signal
import sys
import time

INTERVAL_S = 0.1


def interfaces(table: str) -> list[dict]:
    """Of /proc/net/dev: after two lines of headings, NAME: 8 columns received, 8 columns sent."""
    found = []
    for line in table.splitlines()[2:]:
        name, _, columns = line.partition(":")
        counts = list(map(int, columns.split()))
        found.append({"name": name.strip(), "rx_packets": counts[1], "rx_dropped": counts[3],
                      "tx_packets": counts[9], "tx_dropped": counts[11]})
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: sampler.py FILE", file=sys.stderr)
        return 64
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with open(sys.argv[1], "a", encoding="ascii", buffering=1) as series, \
                open("/proc/self/net/dev", encoding="ascii") as counters:
            while True:
                counters.seek(0)
                row = {"time_ns": time.monotonic_ns(), "interfaces": interfaces(counters.read())}
                series.write(json.dumps(row, separators=(",", ":")) + "\n")
                time.sleep(INTERVAL_S)
    except OSError as error:
        print(f"sampler.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
