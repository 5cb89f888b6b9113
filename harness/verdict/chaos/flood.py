"""flood.py SOCKET MS: for so long, eight clients ask a relay's control socket as fast as it answers, every other one with nonsense.
Prints {"asked": N, "answered": N}; ends with 1 when one was not answered."""

import json
import socket
import sys
import threading
import time

CLIENTS = 8
PATIENCE_S = 20


def ask(path: str, until: float, what: bytes, counts: list[int]) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect(path)
        lines = client.makefile("rb")
        while time.monotonic() < until:
            client.sendall(what)
            counts[0] += 1
            if not lines.readline():
                return
            counts[1] += 1


def main() -> int:
    path, until = sys.argv[1], time.monotonic() + int(sys.argv[2]) / 1000
    counts = [[0, 0] for _ in range(CLIENTS)]
    threads = [threading.Thread(target=ask, args=(path, until, b'{"command":"stats"}\n' if i % 2 else b'{"command":"nonsense"}\n', counts[i]))
               for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked, answered = (sum(count[i] for count in counts) for i in (0, 1))
    print(json.dumps({"asked": asked, "answered": answered}))
    return 0 if 0 < asked == answered else 1


if __name__ == "__main__":
    sys.exit(main())
