"""prometheus-elector: of several identical Prometheus replicas, exactly one writes.

Each module says what belongs in it. Folders say what they are about; what a module may know is
another matter: it imports only from the layers above its own: values, pure rules, adapters, actors,
edge (``tests/layers.py`` holds the table).
"""

import sys

__version__ = "0.1.0"

if sys.version_info < (3, 11) or not sys.platform.startswith("linux"):
    here = f"{sys.platform} with Python {sys.version.partition(' ')[0]}"
    raise SystemExit(f"prometheus-elector needs Linux and Python 3.11 or later; here is {here}")
