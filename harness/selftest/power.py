"""Replays recorded noise through the paired gate and reports how often it would be right.

python3 -m harness.selftest.power NOISE.json... --out FOLDER, in the root of the tree

Each noise file is a series of consecutive runs of one and the same build:

  {"schema": 1,
   "profile": {"id": "amd-epyc-2c-linux6.18.44", ...},   the machine, as in result.json
   "scenario": "fanout-3",
   "metric": "egress_pps" or "cpu_ns_per_packet",
   "twins": true,       the first and second run were made at the same time, the third and fourth, ...
   "runs": [{"utc": "2026-11-20T15:34:54Z", "value": 312345.6, "control": 748000.0}, ...]}

in the order in which they were run; `value` is the metric of a run, `control` the rate of a control
beside it, or null where none was taken. How long a pair takes is read off the times, or in "pair_seconds". At least 48 runs are needed; below 200 the replayed sittings have
much in common.

Writes to the folder of --out:
  power.json               all figures
  power.md                 the report: the rule in force, the candidates, which one this noise favours and why
  power-N.svg, power-N.png operating curves of the rule in force, one picture for each noise file
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import comb
from pathlib import Path

import numpy as np

from harness.result.documents import Faulty, write_json, write_text
from harness.selftest import replay
from harness.verdict import stats
from harness.verdict.paired import paired

LOSSES = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.10, 0.15)
SLOW_SHARE, SLOW_BY = 0.25, 0.50  # a head that is slow now and then: in so many of its runs, by so much
SOME_RUNS = 200

# What is demanded of the gate: (at this loss, or SLOW; this figure, at most or at least, this much)
SLOW = "slow now and then"
DEMANDS = {
    "false alarms at no loss": (0.0, "REGRESSION", "at most", 0.005),
    "inconclusive at no loss": (0.0, "INCONCLUSIVE", "at most", 0.10),
    "REGRESSION at 6 % loss": (0.06, "REGRESSION", "at least", 0.95),
    "PASS at 3 % loss, the tolerance": (0.03, "PASS", "at most", 0.02),
    "PASS at half the speed in a quarter of the runs": (SLOW, "PASS", "at most", 0.10),
    "median minutes at no loss": (0.0, "minutes_median", "at most", 4.0),
}

PLOT = """
set terminal {terminal}
set output '{output}'
set multiplot layout 2,1 margins 0.10,0.77,0.10,0.88 spacing 0.04 title \\
  '{title}' font ',14' noenhanced
set grid ytics lc rgb '#dddddd' lw 1
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set xrange [-0.3:15.3]
set xtics ({xtics})
set key at graph 1.02, first {key_top} left top Left reverse samplen 2 spacing 1.25 noenhanced
set arrow from first {tolerance}, graph 0 to first {tolerance}, graph 1 nohead lw 1.2 dt 2 \
  lc rgb '#777777' back
set label 'tolerance' at first {tolerance}, graph 1.035 center font ',10' textcolor rgb '#444444'
set format x ''
set ytics format '%.0f %%'
set ylabel 'share of {sittings} sittings' offset -0.5
set yrange [-2:102]
plot '{data}' using 1:2 with linespoints lw 2 pt 7 ps 0.7 lc rgb '#2e8b57' title 'PASS', \\
     '' using 1:3 with linespoints lw 2 pt 7 ps 0.7 lc rgb '#b03a2e' title 'REGRESSION', \\
     '' using 1:4 with linespoints lw 2 pt 7 ps 0.7 lc rgb '#8a8a8a' title 'INCONCLUSIVE', \\
     '' using 1:7 with linespoints lw 1.4 dt 3 pt 6 ps 0.7 lc rgb '#2e8b57' title 'PASS, bursts', \\
     '' using 1:8 with linespoints lw 1.4 dt 3 pt 6 ps 0.7 lc rgb '#b03a2e' title 'REGRESSION, bursts', \\
     '' using 1:9 with linespoints lw 1.4 dt 3 pt 6 ps 0.7 lc rgb '#8a8a8a' title 'INCONCLUSIVE, bursts'
unset label
set format x '%.0f %%'
set ytics format '%g'
set xlabel 'true loss'
set ylabel 'minutes until the verdict' offset -0.5
set yrange [0:{minutes_top}]
set key at graph 1.02, first {minutes_top}
plot '{data}' using 1:5 with linespoints lw 2 pt 7 ps 0.7 lc rgb '#1f6fb4' title 'median', \\
     '' using 1:6 with linespoints lw 1.4 pt 7 ps 0.4 lc rgb '#9ec5e8' title '9 of 10 within', \\
     '' using 1:10 with linespoints lw 1.4 dt 3 pt 6 ps 0.7 lc rgb '#1f6fb4' title 'median, bursts', \\
     '' using 1:11 with linespoints lw 1.4 dt 3 pt 6 ps 0.4 lc rgb '#9ec5e8' title '9 of 10, bursts'
unset multiplot
"""


def operating_curve(sittings: np.ndarray, losses: Sequence[float], rule: paired.Rule, pair_seconds: float) -> list[dict]:
    """What became of the sittings, one row for each loss."""
    rows = []
    for loss, found in zip(losses, replay.replay(sittings, losses, rule)):
        minutes = found["pairs"] * pair_seconds / 60
        rows.append({
            "loss": loss,
            **{name: float((found["verdict"] == i).mean()) for i, name in enumerate(replay.VERDICTS)},
            "unconfirmed": float(found["unconfirmed"].mean()),
            "pairs_mean": float(found["pairs"].mean()),
            "minutes_median": float(np.median(minutes)),
            "minutes_90": float(np.quantile(minutes, 0.9)),
        })
    return rows


def replay_all(noises: list[replay.Noise], options: argparse.Namespace) -> list[dict]:
    """Every noise, as recorded and with bursts, through every candidate. All candidates meet the same
    sittings."""
    rng = np.random.default_rng(options.seed)
    runs = 2 * max(replay.pairs_needed(rule) for rule in replay.CANDIDATES.values())
    cases = []
    for i, noise in enumerate(noises):
        recorded = replay.resample(noise.log_speed(), runs, options.sittings, rng, noise.twins)
        disturbed = replay.add_bursts(recorded, options.burst_probability, options.burst_slowdown, rng)
        for bursts, speeds in ((False, recorded), (True, disturbed)):
            sittings = replay.observations(speeds)
            slow = replay.slow_now_and_then(sittings, SLOW_SHARE, SLOW_BY, rng)
            cases += [{"noise": i, "bursts": bursts, "candidate": name,
                       "curve": operating_curve(sittings, LOSSES, rule, noise.pair_seconds),
                       "slow": operating_curve(slow, (0.0,), rule, noise.pair_seconds)[0]}
                      for name, rule in replay.CANDIDATES.items()]
    return cases


def at(case: dict, loss: float | str, figure: str) -> float:
    if loss == SLOW:
        return case["slow"][figure]
    return next(row[figure] for row in case["curve"] if row["loss"] == loss)


def unmet(case: dict) -> list[str]:
    """The demands that a candidate misses in this case. Time is demanded at the usual noise only, so not
    where bursts are added."""
    missed = []
    for name, (loss, figure, sense, bound) in DEMANDS.items():
        if case["bursts"] and figure == "minutes_median":
            continue
        value = at(case, loss, figure)
        if value > bound if sense == "at most" else value < bound:
            missed.append(name)
    return missed


def rank(cases: list[dict]) -> list[dict]:
    """The candidates, best first: by demands missed over all cases, then by time at no loss."""
    ranking = []
    for name in replay.CANDIDATES:
        mine = [case for case in cases if case["candidate"] == name]
        ranking.append({"candidate": name, "missed": sum(len(unmet(case)) for case in mine),
                        "pairs_mean": float(np.mean([at(case, 0.0, "pairs_mean") for case in mine]))})
    return sorted(ranking, key=lambda entry: (entry["missed"], entry["pairs_mean"]))


def chance_of_30(case: dict) -> float:
    """That of 30 sittings without a loss none ends in REGRESSION and at most three are inconclusive."""
    passed, open_ = at(case, 0.0, "PASS"), at(case, 0.0, "INCONCLUSIVE")
    return sum(comb(30, k) * open_**k * passed ** (30 - k) for k in range(4))


def percent(value: float, digits: int = 2) -> str:
    return f"{value * 100:.{digits}f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def label(case: dict) -> str:
    return f"{case['noise'] + 1}{', bursts' if case['bursts'] else ''}"


def report_noise(found: dict) -> str:
    rows = []
    for i, noise in enumerate(found["noise"], 1):
        unfit = ", ".join("?" if share is None else percent(share, 0) for share in noise["unfit"].values())
        rows.append([str(i), Path(noise["file"]).name, str(noise["profile"].get("id", "?")),
                     noise["scenario"], noise["metric"], str(noise["runs"]),
                     "at the same time" if noise["twins"] else "in turn", f"{noise['pair_seconds']:.1f} s",
                     f"{noise['first_utc']} to {noise['last_utc']}", percent(noise["sd"], 1),
                     percent(noise["pair_sd"], 1), f"{noise['autocorrelation']:.2f}", unfit])
    text = table(["", "file", "machine", "scenario", "metric", "runs", "runs of a pair", "a pair takes", "when", "runs vary by", "pairs vary by",
                  "autocorrelation", f"unfit after {', '.join(map(str, paired.RULE.looks))} pairs"], rows)
    text += ("\nruns, pairs vary by: standard deviation of the logarithm of a run, and of an observation. "
             "autocorrelation: of neighbouring runs. unfit: of all series of as many "
             "controls as stand beside so many pairs, those that spread or drift too far; such a sitting says UNFIT, which "
             "the shares below leave out.\n")
    few = [str(i) for i, noise in enumerate(found["noise"], 1) if noise["runs"] < SOME_RUNS]
    if few:
        text += (f"\nNoise {', '.join(few)}: fewer than {SOME_RUNS} runs. The replayed sittings have much in "
                 "common; take the shares below with care.\n")
    return text


def report_demands(found: dict, in_force: list[dict]) -> str:
    rows = []
    for name, (loss, figure, sense, bound) in DEMANDS.items():
        minutes = figure == "minutes_median"
        row = [name, f"{sense} {bound:g}" if minutes else f"{sense} {bound * 100:g} %"]
        for case in in_force:
            value = at(case, loss, figure)
            shown = f"{value:.1f}" if minutes else percent(value)
            row.append(f"**{shown}**" if name in unmet(case) else shown)
        rows.append(row)
    rows.append(["chance that 30 sittings at no loss bring no REGRESSION and at most 3 inconclusive", ""]
                + [percent(chance_of_30(case)) for case in in_force])
    return (table(["", "demanded"] + [f"noise {label(case)}" for case in in_force], rows)
            + f"\nBold: not met. Shares of {found['sittings']:,} sittings, drawn from the stretches of "
              f"{replay.BLOCK_RUNS} runs in each recording. It has few that are independent of each other: "
              + ", ".join(f"{noise['runs'] // replay.BLOCK_RUNS} in noise {i}" for i, noise in enumerate(found["noise"], 1))
              + ". So many sittings tell exactly what the rule makes of that noise; what noise there may be, they tell no "
                "better than the stretches do. Time is not demanded where bursts are added.\n")


def report_curves(in_force: list[dict]) -> str:
    return "\n".join(f"Noise {label(case)}:\n\n" + table(
        ["true loss", "PASS", "REGRESSION", "INCONCLUSIVE", "of these not confirmed", "minutes, median",
         "9 of 10 within"],
        [[what, *(percent(row[name]) for name in replay.VERDICTS), percent(row["unconfirmed"]),
          f"{row['minutes_median']:.1f}", f"{row['minutes_90']:.1f}"]
         for what, row in [*((percent(row["loss"], 0), row) for row in case["curve"]),
                             (f"{percent(SLOW_BY, 0)} in {percent(SLOW_SHARE, 0)} of the runs", case["slow"])]])
        for case in in_force)


def report_candidates(found: dict) -> str:
    rows = []
    for case in found["cases"]:
        rows.append([label(case), f"`{case['candidate']}`", percent(at(case, 0.0, "REGRESSION")),
                     percent(at(case, 0.0, "INCONCLUSIVE")), percent(at(case, 0.06, "REGRESSION")),
                     percent(at(case, 0.03, "PASS")), percent(at(case, 0.03, "REGRESSION")), percent(at(case, SLOW, "PASS")),
                     f"{at(case, 0.0, 'minutes_median'):.1f}", f"{at(case, 0.06, 'minutes_median'):.1f}",
                     "; ".join(unmet(case)) or "none"])
    names = table(["candidate", "estimate and bounds", "looks"],
                  [[f"`{name}`", stats.ESTIMATORS[name].title, ", ".join(map(str, rule.looks))]
                   for name, rule in replay.CANDIDATES.items()])
    return names + "\n" + table(
        ["noise", "candidate", "false alarms at 0", "inconclusive at 0", "REGRESSION at 6 %", "PASS at 3 %",
         "REGRESSION at 3 %", "PASS when slow now and then", "minutes at 0", "minutes at 6 %", "demands missed"], rows)


def reasons(found: dict) -> str:
    best, second = found["ranking"][:2]
    cases = len(found["cases"]) // len(replay.CANDIDATES)
    text = (f"The fewest missed demands over {cases} cases, then the fewest pairs at no loss, decide. "
            f"This noise favours `{best['candidate']}`: {best['missed']} missed, "
            f"{best['pairs_mean']:.1f} pairs on average at no loss; next is `{second['candidate']}`: "
            f"{second['missed']} missed, {second['pairs_mean']:.1f} pairs. ")
    if best["candidate"] == paired.RULE.estimator:
        return text + "It is the one in force.\n"
    mine = next(entry for entry in found["ranking"] if entry["candidate"] == paired.RULE.estimator)
    return text + (f"In force is `{mine['candidate']}` ({mine['missed']} missed, {mine['pairs_mean']:.1f} "
                   f"pairs): change `Rule.estimator` in harness/verdict/paired/paired.py, or say here why not.\n")


def report(found: dict, pictures: list[Path]) -> str:
    rule = paired.RULE
    in_force = [case for case in found["cases"] if case["candidate"] == rule.estimator]
    shown = "\n".join(f"![Operating curves, noise {i}]({picture.name})\n"
                      for i, picture in enumerate(pictures, 1))
    shares = ", ".join(f"{share:g}" for share in rule.shares())
    split = ", ".join(f"{share:g} ({test})" for test, share in paired.SPLIT.items())
    return f"""# What the paired gate can see

{found['sittings']:,} sittings for each row, replayed from recorded noise by `python3 -m harness.selftest.power`, seed
{found['seed']}. Bursts: on top of what was recorded, each run is
slowed by {percent(found['burst_slowdown'], 0)} with a probability of {percent(found['burst_probability'], 0)}.

## Noise

{report_noise(found)}
## The rule in force

`{rule.estimator}`: {stats.ESTIMATORS[rule.estimator].title}. Tolerance {percent(rule.tolerance, 0)}; looks after
{', '.join(map(str, rule.looks))} pairs; error {percent(rule.error, 0)} of the first block and
{percent(rule.confirmation_error, 0)} of the confirmation, shared between the tests as {split} and between the looks
as {shares}. Slow now and then: by {percent(SLOW_BY, 0)} in {percent(SLOW_SHARE, 0)} of the runs, and no slower in the others; the
test of the tails tells when pairs lie {percent(paired.FAR, 0)} from the typical one. No recording has lost packets: what they add is
not in these figures, and cannot be more than their share of the error.

{report_demands(found, in_force)}
{shown}
{report_curves(in_force)}
## The candidates

{report_candidates(found)}
At 3 % the loss is exactly the tolerance: the hardest case, in which the first block may be wrong in
{percent(rule.error, 0)} of sittings either way.

{reasons(found)}"""


def quote(text: str) -> str:
    return text.replace("'", "''")


def draw(found: dict, number: int, folder: Path) -> Path:
    """power-N.svg and power-N.png of one noise; returns the picture for the report."""
    recorded, disturbed = (next(case["curve"] for case in found["cases"] if case["noise"] == number
                                and case["bursts"] == bursts and case["candidate"] == paired.RULE.estimator)
                           for bursts in (False, True))
    noise = found["noise"][number]
    top = 1.1 * max(row["minutes_90"] for row in recorded + disturbed)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"
        data.write_text("\n".join(" ".join(str(value) for value in (
            quiet["loss"] * 100, *(part[key] * scale for part in (quiet, burst) for key, scale in (
                ("PASS", 100), ("REGRESSION", 100), ("INCONCLUSIVE", 100), ("minutes_median", 1),
                ("minutes_90", 1))))) for quiet, burst in zip(recorded, disturbed)) + "\n")
        for suffix, terminal in (
                ("svg", "svg size 1100,680 dynamic background 'white' font 'sans,12'"),
                ("png", "pngcairo size 1100,680 background 'white' font 'sans,12'")):
            path = folder / f"power-{number + 1}.{suffix}"
            temporary = folder / f".{path.stem}.tmp.{suffix}"
            script = PLOT.format(
                terminal=terminal, output=quote(str(temporary)), data=quote(str(data)),
                title=quote(f"{noise['scenario']}, {noise['metric']}, {paired.RULE.estimator}: noise "
                            f"{number + 1}, pairs vary by {percent(noise['pair_sd'], 1)}"),
                xtics=", ".join(f"{loss * 100:g}" for loss in LOSSES), key_top=102, minutes_top=top,
                tolerance=paired.RULE.tolerance * 100, sittings=f"{found['sittings']:,}")
            try:
                subprocess.run(["gnuplot"], input=script, text=True, check=True, capture_output=True)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
    return path


def parse_options() -> argparse.Namespace:
    def number(low: float, high: float, kind=float):
        def check(text: str):
            value = kind(text)
            if not low <= value <= high:
                raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
            return value
        return check

    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("noise", nargs="+", type=Path, metavar="NOISE.json")
    parser.add_argument("--out", required=True, type=Path, help="folder for the report")
    parser.add_argument("--sittings", type=number(100, 1_000_000, int), default=10_000, help="default 10000")
    parser.add_argument("--seed", type=int, default=1, help="default 1")
    parser.add_argument("--burst-probability", type=number(0, 1), default=0.05, help="of a run (default 0.05)")
    parser.add_argument("--burst-slowdown", type=number(0, 0.99), default=0.20,
                        help="of a run in a burst (default 0.2)")
    parser.error = lambda message: parser.exit(64, f"power: {message}; see 'python3 -m harness.selftest.power --help'\n")
    return parser.parse_args()


def main() -> int:
    options = parse_options()
    try:
        noises = [replay.load(path) for path in options.noise]
        options.out.mkdir(parents=True, exist_ok=True)
        cases = replay_all(noises, options)
        found = {"schema": 1, "sittings": options.sittings, "seed": options.seed,
                 "burst_probability": options.burst_probability,
                 "burst_slowdown": options.burst_slowdown, "in_force": paired.RULE.estimator,
                 "noise": [replay.describe(noise) for noise in noises], "ranking": rank(cases), "cases": cases}
        write_json(options.out / "power.json", found)
        pictures = [draw(found, number, options.out) for number in range(len(noises))]
        write_text(options.out / "power.md", report(found, pictures))
    except Faulty as error:
        print(f"power: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"power: gnuplot: {error.stderr.strip()}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print("power: gnuplot is not installed; run: sudo ci/setup" if error.filename == "gnuplot"
              else f"power: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"power: {error}", file=sys.stderr)
        return 1
    print(options.out / "power.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
