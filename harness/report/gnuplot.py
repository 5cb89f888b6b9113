"""Pictures: what gnuplot is told, twice, and what becomes of it when that fails."""

import subprocess
from pathlib import Path

from harness.result.documents import Faulty
from harness.verdict.outcome import INCONCLUSIVE, INVALID

BLUE, RED, GREY, GREEN, BROWN = "#1f6fb4", "#b03a2e", "#777777", "#2e7d4f", "#8a5a00"  # told apart by whoever sees colours otherwise
TERMINALS = (("svg", "svg size {width},{height} dynamic background 'white' font 'sans,12'"),
             ("png", "pngcairo size {width},{height} background 'white' font 'sans,12'"))
ERRORS = (subprocess.CalledProcessError, OSError, Faulty, KeyError, TypeError, ValueError)  # of who draws a file


def quote(text: str) -> str:
    """Within single quotes."""
    return text.replace("'", "''")


def draw(folder: Path, stem: str, width: int, height: int, script: str) -> list[Path]:
    """FOLDER/STEM.svg and .png, each whole or not at all; returns their paths."""
    paths = []
    for suffix, terminal in TERMINALS:
        path, temporary = folder / f"{stem}.{suffix}", folder / f".{stem}.tmp.{suffix}"
        head = f"set terminal {terminal.format(width=width, height=height)}\nset output '{quote(str(temporary))}'\n"
        try:
            subprocess.run(["gnuplot"], input=head + script, text=True, check=True, capture_output=True)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        paths.append(path)
    return paths


def failed(error: Exception) -> tuple[str, str]:
    """(the word of outcome.py, why) of one of ERRORS."""
    if isinstance(error, subprocess.CalledProcessError):
        return INVALID, f"gnuplot: {error.stderr.strip()}"
    if isinstance(error, FileNotFoundError) and error.filename == "gnuplot":
        return INCONCLUSIVE, "gnuplot is not installed; on Debian: apt install gnuplot-nox"
    return INVALID, str(error) or repr(error)
