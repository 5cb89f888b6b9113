"""start.py MODULE ARGUMENT...: runs a module of the package harness of this tree, and not of the folder that it is called in. (PYTHONPATH
cannot name a tree whose path has a colon.)"""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
