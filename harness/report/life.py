"""life.py AGE.json FOLDER: how a relay grew old, FOLDER/life.{svg,png}: its speed beside fresh ones, what its loads lost and cost, and its
memory, over the packets that it had received. Exits with 4 when there is nothing to draw with."""

import sys
import tempfile
from pathlib import Path

from harness.report.gnuplot import BLUE, BROWN, ERRORS, GREEN, GREY, RED, draw, failed, quote
from harness.result.documents import read
from harness.verdict.outcome import PASS, STATUS, USAGE

SCRIPT = """
set multiplot layout 3,1 margins 0.10,0.91,0.08,0.90 spacing 0.09 title '{title}' font ',15' noenhanced
set grid lc rgb '#dddddd' lw 1
set border 3 lc rgb '#888888'
set tics nomirror textcolor rgb '#333333'
set key at graph 0, 1.13 left horizontal reverse Left font ',11' noenhanced
set xrange [0:{last}]
set format x ''
set key at graph 0, 1.13 left horizontal
set ylabel 'beside a fresh relay (%)'
plot -{tolerance} with filledcurves y1=0 fc rgb '#eeeeee' title 'allowed', \\
     0 with lines lc rgb '{grey}' lw 1 notitle, \\
     {pairs}
set key at graph 0, 1.13 left horizontal
set yrange [0:*]
set ylabel 'lost by its loads (%)'
plot '{loads}' using 1:2 with linespoints lc rgb '{red}' pt 7 ps 0.6 lw 1.4 title 'of the packets of each load'
set format x '%g'
set xlabel 'minutes since it was started'
set key at graph 0, 1.13 left horizontal
set ylabel 'memory of its own (MiB)'
set y2tics
set y2label 'descriptors'
set y2range [0:*]
plot '{processes}' using 1:2 with linespoints lc rgb '{blue}' pt 7 ps 0.5 lw 1.4 title 'memory', \\
     '{processes}' using 1:3 axes x1y2 with lines lc rgb '{brown}' lw 1.2 dt 2 title 'descriptors (right)'
unset multiplot
"""
COLOURS = {"young": GREEN, "between": BLUE, "old": BROWN, "confirmation": RED}


def minutes(document: dict) -> dict[str, float]:
    """Run -> when it ended, in the life of the relay."""
    begun = document["processes"][0]["uptime_ms"]
    return {one["when"]: (one["uptime_ms"] - begun) / 60000 for one in document["processes"]}


def script(document: dict, scratch: Path) -> str:
    when = minutes(document)
    files = {"loads": [(when[row["load"]], 100 * (row["loss_ratio"] or 0.0)) for row in document["loads"] if row["load"] in when],
             "processes": [(when[one["when"]], one["own_bytes"] / (1 << 20), one["descriptors"]) for one in document["processes"]]}
    for block in COLOURS:
        files[block] = [(when[row["pair"]], 100 * row["change"]) for row in document["pairs"].get(block, ())
                        if row["pair"] in when and row["change"] is not None]
    for name, rows in files.items():
        (scratch / name).write_text("".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in rows), encoding="utf-8")
    pairs = [f"'{quote(str(scratch / block))}' using 1:2 with points pt 7 ps 0.9 lc rgb '{colour}' title '{block}'"
             for block, colour in COLOURS.items() if files[block]]
    title = (f"{document['scenario']}: {document['verdict']}; mcrelay {document['commit'][:8]}, "
             f"{document['counters']['packets'] / 1e6:,.0f}M packets in {document['seconds'] / 60:.0f} min")
    return SCRIPT.format(title=quote(title), last=max(when.values()) or 1, tolerance=100 * (document["tolerance"] or 0.0), grey=GREY, red=RED, blue=BLUE,
                         brown=BROWN, loads=quote(str(scratch / "loads")), processes=quote(str(scratch / "processes")),
                         pairs=", \\\n     ".join(pairs) or "NaN notitle")


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: life.py AGE.json FOLDER", file=sys.stderr)
        return USAGE
    try:
        document = read(Path(sys.argv[1]), "age")
        with tempfile.TemporaryDirectory() as scratch:
            for path in draw(Path(sys.argv[2]), "life", 1000, 900, script(document, Path(scratch))):
                print(path)
    except ERRORS as error:
        word, said = failed(error)
        print(f"life.py: {said}", file=sys.stderr)
        return STATUS[word]
    return STATUS[PASS]


if __name__ == "__main__":
    sys.exit(main())
