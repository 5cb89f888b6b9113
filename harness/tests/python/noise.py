"""Noise that was never recorded: for tests, a series as the machine might have left it."""

from datetime import datetime, timedelta, timezone

import numpy as np


def synthetic(runs: int = 400, sd: float = 0.03, memory: float = 0.3, bursts: float = 0.02, drift: float = 0.05,
              levels: float = 0.0, metric: str = "egress_pps", seed: int = 1, twins: bool = False) -> dict:
    """A noise file. Runs remember the one before (AR(1)), now and then one loses 15 %, the speed drifts
    slowly, and with `levels` it also changes between two that lie so far apart, every ten runs or so."""
    rng = np.random.default_rng(seed)
    speed, last = np.empty(runs), 0.0
    for i in range(runs):
        last = memory * last + (1 - memory**2) ** 0.5 * rng.standard_normal()
        speed[i] = sd * last
    speed += np.log(0.85) * (rng.random(runs) < bursts)
    speed += drift * np.sin(np.linspace(0, 2 * np.pi, runs))
    speed += levels * (np.cumsum(rng.random(runs) < 0.1) % 2)
    start = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
    values = 300_000 * np.exp(speed) if metric == "egress_pps" else 2_000 * np.exp(-speed)
    return {
        "schema": 1, "profile": {"id": "synthetic-2c"}, "scenario": "fanout-3", "metric": metric,
        "twins": twins,
        "runs": [{"utc": (start + timedelta(seconds=4 * i)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                  "value": float(value), "control": float(750_000 * (1 + 0.01 * rng.standard_normal()))}
                 for i, value in enumerate(values)],
    }
