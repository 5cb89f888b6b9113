"""plots.py HISTORY-FOLDER PLOT-FOLDER: draws the history with gnuplot.

PLOT-FOLDER/reference-SCENARIO.{svg,png}: how fast each commit was beside the pinned reference, on whichever machine, with the
bounds of the comparison as a bar; beside the first reference there was, when it has moved since.
PLOT-FOLDER/PROFILE-SCENARIO.{svg,png}: of the floor gate, one picture per machine profile, a panel for each figure: relay 1's
egress rate and its buffer exhaustion, and what a forwarded packet costs the whole machine, over the
runs (every round as a dot, the median with its 99 % bounds as a bar), with PHASE4's figures and the tiers as lines. The commits are
on the axis. What cannot be drawn is named on stderr and left out. Exits with 4 when there is nothing to draw, or
nothing to draw with, with 5 when something is broken.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness import ROOT
from harness.history import history
from harness.report import gnuplot
from harness.report.gnuplot import quote
from harness.result.documents import read
from harness.verdict.outcome import INCONCLUSIVE, PASS, STATUS

SHOWN = 60  # the newest runs; older ones stay in the history
BASELINES = ROOT / "baselines"


@dataclass(frozen=True)
class Panel:
    label: str
    format: str  # of the numbers on its axis
    scale: float
    colours: tuple[str, str]  # of medians and of rounds
    summary: Callable[[dict], dict | None]  # of an entry: {median, lower, upper, samples}; None: it has none
    levels: Callable[[dict], dict[str, float]]  # of a baseline
    most: float | None = None  # that its axis shows
    near: tuple[float, float] | None = None  # what it shows at least, instead of all from 0 on


def cost_of(entry: dict) -> dict | None:
    return (entry.get("machine") or {}).get("cost_ns_per_forwarded_packet")


def beside_reference(entry: dict) -> dict:
    """Of head, in terms of the first reference; the comparison was with the one of that day."""
    speed, then = 1.0 + entry["since_first"], (1.0 + entry["since_first"]) / (1.0 + entry["estimate"])
    lower, upper = (None if entry[key] is None else then * (1.0 + entry[key]) for key in ("lower", "upper"))
    return {"median": speed, "lower": lower, "upper": upper, "samples": [speed]}


REFERENCE = (Panel("speed beside the reference", "%.0f %%", 100, ("#1f6fb4", "#9ec5e8"), beside_reference,
                   lambda _: {"first reference": 1.0}, near=(94.0, 106.0)),)
FLOOR = (
    Panel("relay 1 egress (packets/s)", "%.0fk", 1e-3, ("#1f6fb4", "#9ec5e8"), lambda entry: entry["hops"][0]["egress_pps"],
          lambda baseline: {"PHASE4": baseline["figures"]["relay1_egress_pps"]}
          | {name: tier["egress_pps_min"] for name, tier in baseline["tiers"].items()}),
    Panel("relay 1 buffer exhaustion", "%.0f %%", 100, ("#b03a2e", "#e6b0aa"),
          lambda entry: entry["hops"][0]["buffer_exhaustion_ratio"],
          lambda baseline: {"PHASE4": baseline["figures"]["relay1_exhaustion_ratio"]}
          | {name: tier["exhaustion_ratio_max"] for name, tier in baseline["tiers"].items()}, 100.0),
    Panel("machine, per packet (us)", "%.1f", 1e-3, ("#2e7d4f", "#a9d5bb"), cost_of, lambda _: {}),
)

HEAD = """
set multiplot layout {panels},1 margins 0.11,0.88,{bottom},{top} spacing 0.03 title \\
  '{title}' font ',15' noenhanced
set grid ytics lc rgb '#dddddd' lw 1
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set xrange [0.4:{last}.6]
unset key
set format x ''
"""
PANEL = """
set ytics format '{format}'
set ylabel "{label}" offset -1
set yrange [{least}:{most}]
unset arrow
unset label
{levels}
plot '{rounds}' using 1:2 with points lc rgb '{faint}' pt 7 ps 0.35, \\
     '{runs}' using 1:2:3:4 with yerrorbars lc rgb '{full}' pt 7 ps 0.9 lw 1.6, \\
     '{runs}' using 1:2 with lines lc rgb '{full}' lw 1.6
"""
PANEL_PIXELS, FRAME_PIXELS = 250, 180


def level_lines(levels: list[tuple[str, float]], top: float) -> str:
    """Horizontal lines at the levels, labelled at the right, the labels kept apart."""
    lines, lowest = [], -1.0
    for name, y in sorted(levels, key=lambda level: level[1]):
        style = "lw 2 dt 1 lc rgb '#444444'" if name == "PHASE4" else "lw 1.2 dt 2 lc rgb '#777777'"
        place = max(y, lowest + top * 0.065)
        lowest = place
        lines.append(f"set arrow from graph 0, first {y} to graph 1, first {y} nohead {style} back")
        lines.append(f"set label '{name}' at graph 1.01, first {place} font ',10' "
                     f"textcolor rgb '#444444'")
    return "\n".join(lines)


def run_row(summary: dict) -> list[float]:
    """Median and bounds; where the rounds were too few for bounds, the least and the most of them."""
    samples = [float(one) for one in summary["samples"]]
    return [float(summary["median"]), float(min(samples) if summary["lower"] is None else summary["lower"]),
            float(max(samples) if summary["upper"] is None else summary["upper"])]


def panels_of(entry: dict) -> tuple[Panel, ...]:
    """None: INVALID has no figures to draw."""
    if entry.get("gate") == "reference":
        return REFERENCE
    return FLOOR if "hops" in entry else ()


def name_of(entry: dict) -> str:
    """Of the picture that an entry belongs to. What it lacks for that is an exception that says what."""
    for panel in panels_of(entry):
        summary = panel.summary(entry)
        if summary is not None:
            run_row(summary)
    reference = panels_of(entry) == REFERENCE
    if not isinstance(entry["dirty"], bool):
        raise TypeError("'dirty' is neither true nor false")
    words = [entry[key] for key in ("commit", "utc", "scenario", *([] if reference else ["baseline"]))] + [entry["profile"]["id"]]
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"{word!r} is no name")
    return f"{'reference' if reference else entry['profile']['id']}-{entry['scenario']}"


def panel_script(panel: Panel, shown: list[dict], baseline: dict | None, scratch: Path) -> str:
    """Writes what gnuplot reads of one panel, and returns what it is told."""
    runs, rounds = (scratch / f"{panel.label.split('(')[0].strip()} {what}" for what in ("runs", "rounds"))
    levels = [(name, level * panel.scale) for name, level in panel.levels(baseline).items()]
    run_lines, round_lines, heights = [], [], [level for _, level in levels]
    for x, entry in enumerate(shown, 1):
        summary = panel.summary(entry)
        if summary is None:
            run_lines.append("")  # a gap in the line
            continue
        row = [value * panel.scale for value in run_row(summary)]
        run_lines.append(" ".join(map(str, [x, *row])))
        round_lines += [f"{x} {sample * panel.scale}" for sample in summary["samples"]]
        heights += row if panel.near else [sample * panel.scale for sample in summary["samples"]]
    runs.write_text("\n".join(run_lines) + "\n", encoding="utf-8")
    rounds.write_text("\n".join(round_lines) + "\n", encoding="utf-8")
    least, most = 0.0, min(1.12 * max(heights, default=0.0) or 1.0, panel.most or float("inf"))
    if panel.near:
        least, most = min(panel.near[0], *heights) - 1.0, max(panel.near[1], *heights) + 1.0
    return PANEL.format(format=panel.format, label=panel.label, least=least, most=most, levels=level_lines(levels, most - least),
                        rounds=quote(str(rounds)), runs=quote(str(runs)), full=panel.colours[0], faint=panel.colours[1])


def draw(name: str, entries: list[dict], folder: Path) -> list[Path]:
    """One picture, in both formats; returns their paths."""
    shown, last = entries[-SHOWN:], entries[-1]
    reference = panels_of(last) == REFERENCE
    title = f"{last['scenario']} {'beside the reference, all machines' if reference else 'on ' + last['profile']['id']}"
    baseline = None if reference else read(BASELINES / f"{last['baseline']}.json", "floor")
    panels = [panel for panel in panels_of(last) if any(panel.summary(entry) for entry in shown)]
    height = FRAME_PIXELS + PANEL_PIXELS * len(panels)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        xtics = ", ".join(
            f"'{quote(entry['commit'][:8])}{'+' if entry['dirty'] else ''} {entry['utc'][5:10]}' {x}"
            for x, entry in enumerate(shown, 1))
        told = [panel_script(panel, shown, baseline, Path(scratch)) for panel in panels]
        told[-1] = f"set xtics rotate by 60 right font ',9' noenhanced ({xtics})" + told[-1]
        head = HEAD.format(title=quote(title), last=len(shown), panels=len(panels), bottom=f"{102 / height:.3f}", top=f"{1 - 68 / height:.3f}")
        return gnuplot.draw(folder, name, 1100, height, head + "".join(told) + "unset multiplot\n")


def pictures(folder: Path) -> tuple[dict[str, list[dict]], list[str]]:
    """({name: entries, oldest first}, what is left out: a line each)"""
    entries, warnings = history.read(folder)
    groups = defaultdict(list)
    for where, entry in entries:
        try:
            if panels_of(entry):
                groups[name_of(entry)].append(entry)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            warnings.append(f"{where}: left out, the entry lacks what a plot needs: {error!r}; mend it or remove it")
    return groups, warnings


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: plots.py HISTORY-FOLDER PLOT-FOLDER", file=sys.stderr)
        return 64
    try:
        groups, warnings = pictures(Path(sys.argv[1]))
        history.warn(warnings)
        for name, entries in sorted(groups.items()):
            for path in draw(name, entries, Path(sys.argv[2])):
                print(path)
        if groups:
            return STATUS[PASS]
        word, said = INCONCLUSIVE, f"no history in {sys.argv[1]}; run: sudo harness/bench gate"
    except gnuplot.ERRORS as error:
        word, said = gnuplot.failed(error)
    print(f"plots.py: {said}", file=sys.stderr)
    return STATUS[word]


if __name__ == "__main__":
    sys.exit(main())
