"""curve.py CAPACITY.json FOLDER: the operating curve, FOLDER/curve.{svg,png}: what passes and what is lost over what is offered, with
the bounds of each goal, where PHASE4 was, and how long packets took at some of it. Exits with 4 when there is nothing to draw with."""

import sys
import tempfile
from pathlib import Path

from harness import ROOT
from harness.report import gnuplot
from harness.report.gnuplot import BLUE, BROWN, GREEN, GREY, RED, quote
from harness.result.documents import read, read_json
from harness.verdict.outcome import PASS, STATUS, USAGE

GOAL_COLOURS = {"ndr": GREEN, "pdr": BROWN}
QUANTILES = (("p50", "median", BLUE), ("p99", "99 %", BROWN), ("p99_9", "99.9 %", RED))

HEAD = """
set multiplot layout {panels},1 margins 0.11,0.96,0.08,0.90 spacing 0.11 title '{title}' font ',15' noenhanced
set grid lc rgb '#dddddd' lw 1
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set key top left reverse Left font ',11' noenhanced
"""
RATES = """
set xrange [0:{most}]
set yrange [0:{most}]
set xlabel 'offered (1,000 packets/s)'
set ylabel "passed on (1,000 packets/s)"
{marks}
plot x with lines lc rgb '{grey}' dt 2 title 'all of it', \\
     '{curve}' using 1:2 with linespoints lc rgb '{blue}' pt 7 ps 0.6 lw 1.6 title 'passed on, medians'{phase4}
unset arrow
unset label
set yrange [0:{loss}]
set ylabel "lost (%)"
plot '{curve}' using 1:3 with linespoints lc rgb '{red}' pt 7 ps 0.6 lw 1.6 title 'lost, medians'
"""
LATENCY = """
set xrange [0:100]
set yrange [*:*]
set logscale y
set xlabel 'offered (% of the lower bound)'
set ylabel "on the way (us)"
plot {lines}
unset logscale y
"""


def marks(goals: dict) -> str:
    """The bounds of each goal as lines across the panel."""
    lines = []
    for height, (name, goal) in enumerate(goals.items()):
        for key in ("lower_pps", "upper_pps"):
            if goal[key] is not None:
                x = goal[key] / 1000
                lines.append(f"set arrow from {x}, graph 0 to {x}, graph 1 nohead lc rgb '{GOAL_COLOURS[name]}' lw 1.2 dt 3")
        if goal["lower_pps"] is not None:
            lines.append(f"set label '{name} {goal['lower_pps'] / 1000:,.0f}k ' at {goal['lower_pps'] / 1000}, graph {0.12 + 0.1 * height} right "
                         f"font ',11' textcolor rgb '{GOAL_COLOURS[name]}'")
    return "\n".join(lines)


def script(document: dict, scratch: Path, phase4: dict | None) -> str:
    rows = [(one["load_pps"] / 1000, one["passed_on_pps"] / 1000, 100 * one["loss_ratio"]) for one in document["curve"]]
    curve = scratch / "curve"
    curve.write_text("".join(f"{x} {y} {loss}\n" for x, y, loss in rows), encoding="utf-8")
    point = ""
    if phase4:
        place = scratch / "phase4"
        place.write_text(f"{phase4['offered'] / 1000} {phase4['egress'] / 1000}\n", encoding="utf-8")
        point = f", \\\n     '{quote(str(place))}' using 1:2 with points lc rgb '{RED}' pt 9 ps 1.4 title 'PHASE4'"
    most = 1.05 * max([x for x, _, _ in rows] + ([phase4["offered"] / 1000] if phase4 else []))
    text = RATES.format(most=most, marks=marks(document["goals"]), grey=GREY, blue=BLUE, red=RED, curve=quote(str(curve)), phase4=point,
                        loss=max(1.0, 1.1 * max(loss for _, _, loss in rows)))
    heard = [one for one in document["latency"] if one["latency_ns"]]
    if heard:
        lines = []
        for key, title, colour in QUANTILES:
            path = scratch / key
            path.write_text("".join(f"{100 * one['share']} {one['latency_ns'][key] / 1000}\n" for one in heard), encoding="utf-8")
            lines.append(f"'{quote(str(path))}' using 1:2 with linespoints lc rgb '{colour}' pt 7 ps 0.8 lw 1.6 title '{title}'")
        text += LATENCY.format(lines=", \\\n     ".join(lines))
    return text


def draw(document: dict, folder: Path, phase4: dict | None) -> list[Path]:
    """Returns the pictures' paths."""
    panels = 3 if any(one["latency_ns"] for one in document["latency"]) else 2
    title = f"{document['scenario']}: {document['sut']['name']} {document['commit'][:8]} on {document['profile']['id']}"
    with tempfile.TemporaryDirectory() as scratch:
        text = HEAD.format(panels=panels, title=quote(title)) + script(document, Path(scratch), phase4)
        return gnuplot.draw(folder, "curve", 1000, 320 * panels, text + "unset multiplot\n")


def phase4_of(document: dict) -> dict | None:
    """Where PHASE4 was, of relay 1 with one output: what it was offered, and what it passed on."""
    if document["outputs"] != 1:
        return None
    baseline = read(ROOT / "baselines/phase4.json", "floor")
    return {"offered": float(baseline["figures"]["generator_pps"]), "egress": baseline["figures"]["relay1_egress_pps"]}


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: curve.py CAPACITY.json FOLDER", file=sys.stderr)
        return USAGE
    try:
        document = read_json(Path(sys.argv[1]))
        for path in draw(document, Path(sys.argv[2]), phase4_of(document)):
            print(path)
    except gnuplot.ERRORS as error:
        word, said = gnuplot.failed(error)
        print(f"curve.py: {said}", file=sys.stderr)
        return STATUS[word]
    return STATUS[PASS]


if __name__ == "__main__":
    sys.exit(main())
