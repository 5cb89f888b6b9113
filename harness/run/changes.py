"""changes.py SOCKET RATE FILE: adds and removes rules of a relay, RATE times a second, until SIGTERM; FILE then says how often. A rule
of another group and port than the traffic's comes, and goes with the next change: eight of them, in turn.

They are due at fixed times: after a pause the ones that were missed follow at once."""

import json
import signal
import socket
import sys
import time
from pathlib import Path

RULES = 8
PATIENCE_S = 10


def request(number: int) -> dict:
    """The nth change: a rule is added, then removed."""
    name = f"change-{number // 2 % RULES}"
    if number % 2:
        return {"command": "remove", "id": name}
    return {"command": "add", "rule": {"id": name, "input": {"interface": "in0", "group": f"239.254.0.{1 + number // 2 % RULES}", "port": 5001},
                                       "outputs": [{"group": "239.254.1.1", "port": 5001, "interface": "out0"}]}}


class Relay:
    """Its control socket: a line for each request, a line for each answer."""

    def __init__(self, path: str):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")

    def ask(self, what: dict) -> dict:
        self.socket.sendall(json.dumps(what).encode() + b"\n")
        return json.loads(self.lines.readline() or b"{}")


def main() -> int:
    path, rate, report = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    relay = Relay(path)
    print("changing rules", flush=True)
    begun = time.monotonic()
    done, refused, slowest = 0, [], 0.0
    while not ended or done % 2:  # the last rule goes as well
        wait = begun + done / rate - time.monotonic()
        if wait > 0 and not ended:
            time.sleep(wait)
        asked = time.monotonic()
        answer = relay.ask(request(done))
        slowest = max(slowest, time.monotonic() - asked)
        done += 1
        if answer.get("ok") is not True:
            refused.append(str(answer.get("error", "no answer")))
    report.write_text(json.dumps({"per_s": rate, "seconds": time.monotonic() - begun, "done": done, "refused": refused[:10],
                                  "refused_count": len(refused), "slowest_ms": slowest * 1000}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
