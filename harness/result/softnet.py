"""What the kernel's receive queues, one for each CPU, did over a run: /proc/net/softnet_stat before and after. They are the machine's, and
whatever else it receives goes through them as well."""

from pathlib import Path

from harness.result.documents import Faulty

DROPPED, SQUEEZED, CPU = 1, 2, 12  # columns, hexadecimal: packets that found a queue full; times that a queue's turn was over too soon


def rows(path: Path) -> dict[int, tuple[int, int]]:
    """CPU -> (dropped, squeezed)"""
    found = {}
    try:
        for line in path.read_text().splitlines():
            words = [int(word, 16) for word in line.split()]
            found[words[CPU]] = words[DROPPED], words[SQUEEZED]
    except (OSError, ValueError, IndexError) as error:
        raise Faulty(f"{path}: {error!r}") from error
    return found


def softnet(raw: Path) -> dict:
    """{"softnet": {"dropped", "squeezed"}} of all CPUs; nothing of a run from before it was recorded. A counter is of 32 bits."""
    before, after = raw / "softnet.before.txt", raw / "softnet.after.txt"
    if not before.exists():
        return {}
    first, last = rows(before), rows(after)
    change = [sum((last[cpu][i] - first.get(cpu, (0, 0))[i]) % (1 << 32) for cpu in last) for i in (0, 1)]
    return {"softnet": {"dropped": change[0], "squeezed": change[1]}}
