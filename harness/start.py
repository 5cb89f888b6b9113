"""start.py MODULE ARGUMENT...: runs a module of the package harness of this tree, and not of the folder that it is called in. (PYTHONPATH
cannot name a tree whose path has a colon.) What cannot be printed, or written where the module has no better words for it, is
one line on stderr, and exit status 4; a reader that has seen enough is none."""

import os
import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
del sys.argv[0]
try:
    try:
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    finally:
        if sys.stdout is not None:  # closed
            sys.stdout.flush()
except OSError as error:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left is not tried again
    if isinstance(error, BrokenPipeError):
        sys.exit(141)
    print(f"bench: {error}; is a disk full, or a folder read-only?", file=sys.stderr)
    sys.exit(4)
