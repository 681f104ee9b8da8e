"""prometheus-elector with a planted error, which is raised once a file exists.

Usage: python -m tests.real.planted ARGUMENTS, with PLANTED_IN=MODULE:NAME (the function or class
that raises) and PLANTED_FILE.
"""

from __future__ import annotations

import importlib
import os
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

from wrapper.__main__ import main


def plant(place: str, file: Path) -> None:
    """Make a function or class raise when it is called and the file exists."""
    module, _, name = place.partition(":")
    owner_name, _, last = name.rpartition(".")
    found: Any = importlib.import_module(module)
    owner = attrgetter(owner_name)(found) if owner_name else found
    real = getattr(owner, last)

    def planted(*args: Any, **keywords: Any) -> Any:
        if file.exists():
            raise RuntimeError("planted")
        return real(*args, **keywords)

    setattr(owner, last, planted)


if __name__ == "__main__":
    plant(os.environ.pop("PLANTED_IN"), Path(os.environ.pop("PLANTED_FILE")))
    sys.exit(main())
