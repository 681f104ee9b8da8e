"""prometheus-elector: of several identical Prometheus replicas, exactly one writes.

Each module says what belongs in it, each folder what it is about. Folders are layers: a folder
imports only from folders that come before it in the order of ``tests/layers.py``.
"""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11) or not sys.platform.startswith("linux"):
    here = f"{sys.platform} with Python {sys.version.partition(' ')[0]}"
    raise SystemExit(f"prometheus-elector needs Linux and Python 3.11 or later; here is {here}")
