#!/usr/bin/python3
"""clients: what a relay's control socket has to put up with.

    clients.py SOCKET abuse COUNT    COUNT requests that are malformed, huge, cut off or split up
    clients.py SOCKET crowd COUNT    COUNT clients at once, each with one valid request
    clients.py SOCKET rush COUNT     8 clients that change a rule each, COUNT times without a pause
    clients.py SOCKET stall COUNT    COUNT clients that send half a request; "ready" on stderr once
                                     they have, held open until SIGTERM

Says on stdout, as JSON, what the answers were. An answer is one line with an object that has "ok",
and true in there only for what was valid; anything else ends this with exit status 1.
"""

import json
import random
import select
import signal
import socket
import sys
import threading
from collections import Counter

PATIENCE_S = 100  # longer than whatever is not broken takes
RULE = {
    "id": "abuse",
    "input": {"interface": "in0", "group": "239.255.9.9", "port": 5000},
    "outputs": [{"group": "239.255.9.8", "port": 6000, "interface": "out0"}],
}


def connect(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(path)  # waits while the backlog is full
    client.settimeout(PATIENCE_S)
    return client


def read_line(client: socket.socket) -> bytes:
    """One line; what there was of it when the other side has hung up."""
    line = b""
    while not line.endswith(b"\n"):
        try:
            part = client.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        line += part
    return line


def mutate(chance: random.Random, data: bytes) -> bytes:
    edited = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(edited))
        if chance.random() < 0.5:
            edited[place] = chance.randrange(256)
        else:
            del edited[place : place + chance.randint(1, 8)]
            edited += b" "
    return bytes(edited).replace(b"\n", b" ")


def wrong_values(chance: random.Random) -> bytes:
    """Well-formed JSON that asks for nothing that there is; the rule would be refused."""
    junk = [None, True, -1, 1e300, 2**63 - 1, "", "x" * 5000, "\u0000", [], {}, [[]] * 50, "in0"]
    rule = json.loads(json.dumps(RULE))
    rule["input"][chance.choice(["interface", "group", "port"])] = chance.choice(junk[:-1])
    value = chance.choice(junk)
    requests = [
        value,
        {"command": value},
        {"command": "add", "rule": rule},
        {"command": "add", "rule": value},
        {"command": "remove", "id": "no such rule"},
        {"command": "remove", "id": value},
        {"command": "list", "more": value},
        {"command": "log-level", "level": "no such level"},
        {"command": "add", "rule": {**RULE, "outputs": [{"group": "239.1.1.1"}] * 300}},
    ]
    return json.dumps(chance.choice(requests)).encode()


def request_of_kind(chance: random.Random, kind: str) -> bytes:
    if kind == "noise":
        return chance.randbytes(chance.randint(1, 300)).replace(b"\n", b" ")
    if kind == "mutated":
        data = json.dumps({"command": "add", "rule": RULE}).encode()
        edited = mutate(chance, data)
        return edited[:-1] + b"]"  # never valid, whatever the mutation was
    if kind == "deep":
        return b"[" * chance.randint(1, 60000)
    if kind == "long":
        return b'{"command":"' + b"a" * chance.randint(1000, 60000) + b'"}'
    return wrong_values(chance)


def abuse(path: str, count: int) -> Counter:
    chance = random.Random(count)
    seen: Counter = Counter()
    client = connect(path)
    for _ in range(count):
        kind = chance.choices(
            ["values", "noise", "mutated", "deep", "long", "huge", "half", "slow", "silent", "unread"],
            [30, 20, 20, 2, 4, 1, 10, 5, 5, 3],
        )[0]
        seen[kind] += 1
        if kind in ("half", "silent", "unread", "huge"):
            # these cost the connection
            other = connect(path)
            try:
                if kind == "half":
                    other.sendall(b'{"command":"li')
                if kind == "unread":
                    other.sendall(b'{"command":"stats"}\n' * 20)
                if kind == "huge":
                    other.sendall(b"x" * 200_000 + b"\n")
                    other.shutdown(socket.SHUT_WR)
                    check(read_line(other), False, may_hang_up=True)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it does not listen any longer, which is its right
            other.close()
            continue
        request = request_of_kind(chance, "values" if kind == "slow" else kind) + b"\n"
        if kind == "slow":
            for i in range(0, min(len(request), 40)):
                client.sendall(request[i : i + 1])
            client.sendall(request[40:])
        else:
            client.sendall(request)
        check(read_line(client), False)
    client.close()
    return seen


def check(line: bytes, ok: bool, may_hang_up: bool = False) -> None:
    if not line and may_hang_up:
        return
    answer = json.loads(line)
    if answer["ok"] is not ok or (not ok and not isinstance(answer["error"], str)):
        raise SystemExit(f"unexpected answer: {line[:200]!r}")


def crowd(path: str, count: int) -> Counter:
    commands = ["ping", "list", "stats", "list-workers", "log-level"]
    clients = [connect(path) for _ in range(count)]
    for i, client in enumerate(clients):
        client.sendall(json.dumps({"command": commands[i % len(commands)]}).encode() + b"\n")
    for client in reversed(clients):
        check(read_line(client), True)
        client.close()
    return Counter(answers=count)


def rush(path: str, count: int) -> Counter:
    clients = [connect(path) for _ in range(8)]
    left = {client: count for client in clients}
    for i, client in enumerate(clients):
        rule = {**RULE, "id": f"rush-{i}", "input": {**RULE["input"], "port": 5001 + i}}
        request = json.dumps({"command": "add", "rule": rule}).encode() + b"\n"
        threading.Thread(target=client.sendall, args=(request * count,)).start()
    while left:
        for client in select.select(list(left), [], [], PATIENCE_S)[0]:
            line = read_line(client)
            left[client] -= line.count(b"\n")
            for answer in line.splitlines():
                check(answer, True)
            if left[client] == 0:
                del left[client]
    for client in clients:
        client.close()
    return Counter(answers=8 * count)


def stall(path: str, count: int) -> Counter:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    clients = [connect(path) for _ in range(count)]
    for client in clients:
        client.sendall(b'{"command":')
    print("ready", file=sys.stderr, flush=True)
    signal.sigwait({signal.SIGTERM})
    return Counter(clients=len(clients))


def main() -> None:
    path, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    print(json.dumps({"abuse": abuse, "crowd": crowd, "rush": rush, "stall": stall}[what](path, count)))


if __name__ == "__main__":
    main()
