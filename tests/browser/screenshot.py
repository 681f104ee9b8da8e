"""Make the README's picture: the status page of a real replica that has just taken over.

scripts/screenshot [FILE]
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

from tests.browser.chromium import PATIENCE_S, Chromium
from tests.real.parts import WriteLog
from tests.real.test_commands import Pair
from tests.support import let_pass, wait_until

PICTURE = Path(__file__).parents[2] / "wrapper/docs/status.png"
WIDTH, HEIGHT = 960, 1080
LED_FOR_S = 6.0
SHOWN = (
    ".role.leader",
    "#hand-overs tr:nth-child(3)",
    "[data-part=rendered] pre",
    "[data-part=replicas] tbody tr:nth-child(2) .role",
    "[data-part=replicas] tbody tr:nth-child(2) td:nth-child(4)",
)
AGREE = "document.querySelector('[data-part=replicas]').innerText.includes('nobody')"


def main(path: Path) -> None:
    """Start two replicas, make both hand over, and take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), WriteLog()
        pair = Pair(folder, log, names=("prometheus-0", "prometheus-1"))
        browser = Chromium(folder)
        try:
            first, second = pair.start()
            for leader, follower in ((first, second), (second, first)):
                let_pass(LED_FOR_S)
                os.kill(leader.pid, signal.SIGUSR1)
                follower.await_leader(PATIENCE_S)
            let_pass(LED_FOR_S)
            tab = browser.open(f"{first.api}/_elector/", width=WIDTH, height=HEIGHT)
            for selector in SHOWN:
                wait_until(lambda s=selector: tab.text(s), PATIENCE_S, f"{selector} is shown")  # type: ignore[misc]
            wait_until(lambda: not tab.value(AGREE), PATIENCE_S, "both know who leads")
            path.write_bytes(tab.screenshot())
        finally:
            browser.close()
            pair.close()
            log.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else PICTURE)
