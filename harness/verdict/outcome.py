"""What can come of a measurement: the words, in every JSON file and table, and the exit status of each. The only place
that knows which belongs to which; host/common.bash has the numbers for bash."""

from collections.abc import Iterable

PASS, WAIVED, REGRESSION = "PASS", "WAIVED", "REGRESSION"
INCONCLUSIVE = "INCONCLUSIVE"  # this sitting cannot tell
UNFIT = "UNFIT"                # this machine, at this time, cannot tell
INVALID = "INVALID"            # the measurement itself is broken
MORE = "MORE"                  # no verdict yet: more has to be measured

STATUS = {PASS: 0, WAIVED: 0, REGRESSION: 3, INCONCLUSIVE: 4, UNFIT: 4, INVALID: 5, MORE: 10}
USAGE = 64
WORST_FIRST = (INVALID, REGRESSION, UNFIT, INCONCLUSIVE, WAIVED, PASS)


def worst(words: Iterable[str]) -> str:
    """Of several verdicts, the one that all of them together are."""
    found = set(words)
    return next(word for word in WORST_FIRST if word in found)


def word_of(status: int) -> str:
    """What bench ended with, as a word: the plainest of those that share the status, or the number of none."""
    return next((word for word in (PASS, REGRESSION, INCONCLUSIVE, INVALID) if STATUS[word] == status), str(status))
