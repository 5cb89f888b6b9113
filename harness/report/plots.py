"""plots.py HISTORY-FOLDER PLOT-FOLDER: draws the floor gate's history with gnuplot.

One picture per machine profile and scenario, PLOT-FOLDER/PROFILE-SCENARIO.{svg,png}: relay 1's egress
rate (every round as a dot, the median with its 99 % bounds as a bar) and its buffer exhaustion over the
runs, with PHASE4's figures and the tiers as lines and the commits on the axis.
"""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from harness import ROOT
from harness.history import history
from harness.result.documents import Faulty
from harness.verdict.outcome import INVALID, STATUS

SHOWN = 60  # the newest runs; older ones stay in the history
BASELINES = ROOT / "baselines"

SCRIPT = """
set terminal {terminal}
set output '{output}'
set multiplot layout 2,1 margins 0.11,0.88,0.15,0.90 spacing 0.03 title \\
  '{title}' font ',15' noenhanced
set style line 1 lc rgb '#1f6fb4' pt 7 ps 0.9 lw 1.6
set style line 2 lc rgb '#9ec5e8' pt 7 ps 0.35
set style line 3 lc rgb '#b03a2e' pt 7 ps 0.9 lw 1.6
set style line 4 lc rgb '#e6b0aa' pt 7 ps 0.35
set grid ytics lc rgb '#dddddd' lw 1
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set xrange [0.4:{last}.6]
unset key
set format x ''
set ytics format '%.0fk'
set ylabel "relay 1 egress (packets/s)" offset -1
set yrange [0:{egress_top}]
{egress_lines}
plot '{rounds}' using 1:($2/1000) with points ls 2, \\
     '{runs}' using 1:($2/1000):($3/1000):($4/1000) with yerrorbars ls 1, \\
     '{runs}' using 1:($2/1000) with lines ls 1
unset arrow
unset label
set ytics format '%.0f %%'
set ylabel "relay 1 buffer exhaustion" offset -1
set yrange [0:{exhaustion_top}]
set xtics rotate by 60 right font ',9' noenhanced ({xtics})
{exhaustion_lines}
plot '{rounds}' using 1:($3*100) with points ls 4, \\
     '{runs}' using 1:($5*100):($6*100):($7*100) with yerrorbars ls 3, \\
     '{runs}' using 1:($5*100) with lines ls 3
unset multiplot
"""


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


def quote(text: str) -> str:
    return text.replace("'", "''")


def draw(profile: str, scenario: str, entries: list[dict], folder: Path) -> list[Path]:
    """The pictures of one profile and scenario; returns their paths."""
    shown = entries[-SHOWN:]
    baseline = json.loads((BASELINES / f"{shown[-1]['baseline']}.json").read_text())
    first = [entry["hops"][0] for entry in shown]
    egress_levels = [("PHASE4", baseline["figures"]["relay1_egress_pps"] / 1000)] + [
        (name, tier["egress_pps_min"] / 1000) for name, tier in baseline["tiers"].items()]
    exhaustion_levels = [("PHASE4", baseline["figures"]["relay1_exhaustion_ratio"] * 100)] + [
        (name, tier["exhaustion_ratio_max"] * 100) for name, tier in baseline["tiers"].items()]
    egress_top = 1.12 * max([level for _, level in egress_levels] + [
        sample / 1000 for hop in first for sample in hop["egress_pps"]["samples"]])
    exhaustion_top = min(100.0, 1.12 * max([level for _, level in exhaustion_levels] + [
        sample * 100 for hop in first for sample in hop["buffer_exhaustion_ratio"]["samples"]]))

    def bounds(summary: dict) -> str:
        lower = summary["lower"] if summary["lower"] is not None else min(summary["samples"])
        upper = summary["upper"] if summary["upper"] is not None else max(summary["samples"])
        return f"{summary['median']} {lower} {upper}"

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with tempfile.TemporaryDirectory() as scratch:
        runs, rounds = Path(scratch) / "runs", Path(scratch) / "rounds"
        runs.write_text("\n".join(
            f"{x} {bounds(hop['egress_pps'])} {bounds(hop['buffer_exhaustion_ratio'])}"
            for x, hop in enumerate(first, 1)) + "\n")
        rounds.write_text("\n".join(
            f"{x} {egress} {exhaustion}" for x, hop in enumerate(first, 1)
            for egress, exhaustion in zip(hop["egress_pps"]["samples"],
                                          hop["buffer_exhaustion_ratio"]["samples"])) + "\n")
        xtics = ", ".join(
            f"'{quote(entry['commit'][:8])}{'+' if entry['dirty'] else ''} {entry['utc'][5:10]}' {x}"
            for x, entry in enumerate(shown, 1))
        for suffix, terminal in (
                ("svg", "svg size 1100,680 dynamic background 'white' font 'sans,12'"),
                ("png", "pngcairo size 1100,680 background 'white' font 'sans,12'")):
            path = folder / f"{profile}-{scenario}.{suffix}"
            temporary = folder / f".{path.stem}.tmp.{suffix}"
            script = SCRIPT.format(
                terminal=terminal, output=quote(str(temporary)), title=quote(f"{scenario} on {profile}"),
                last=len(shown), egress_top=egress_top, exhaustion_top=exhaustion_top,
                egress_lines=level_lines(egress_levels, egress_top),
                exhaustion_lines=level_lines(exhaustion_levels, exhaustion_top),
                rounds=quote(str(rounds)), runs=quote(str(runs)), xtics=xtics)
            try:
                subprocess.run(["gnuplot"], input=script, text=True, check=True, capture_output=True)
                temporary.rename(path)
            finally:
                temporary.unlink(missing_ok=True)
            paths.append(path)
    return paths


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: plots.py HISTORY-FOLDER PLOT-FOLDER", file=sys.stderr)
        return 64
    try:
        groups = defaultdict(list)
        for where, entry in history.read(Path(sys.argv[1])):
            try:
                if "hops" in entry:  # INVALID has no figures to draw
                    groups[entry["profile"]["id"], entry["scenario"]].append(entry)
            except (KeyError, TypeError) as error:
                raise Faulty(f"{where}: the entry lacks what a plot needs: {error!r}; mend it or remove it") from error
        if not groups:
            print(f"plots.py: no history in {sys.argv[1]}; run: sudo harness/bench gate",
                  file=sys.stderr)
            return 1
        for (profile, scenario), entries in sorted(groups.items()):
            for path in draw(profile, scenario, entries, Path(sys.argv[2])):
                print(path)
    except subprocess.CalledProcessError as error:
        print(f"plots.py: gnuplot: {error.stderr.strip()}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print("plots.py: gnuplot is not installed; on Debian: apt install gnuplot-nox"
              if error.filename == "gnuplot" else f"plots.py: {error}", file=sys.stderr)
        return 1
    except Faulty as fault:
        print(f"plots.py: {fault}", file=sys.stderr)
        return STATUS[INVALID]
    except (OSError, ValueError) as error:
        print(f"plots.py: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError) as error:
        print(f"plots.py: an entry of the history lacks what a plot needs: {error!r}",
              file=sys.stderr)
        return STATUS[INVALID]
    return 0


if __name__ == "__main__":
    sys.exit(main())
