"""How old samples repeatedly are when they arrive, because Prometheus lags; pure.

A Prometheus with too little CPU reads its WAL late each time. A pause of the machine makes requests
late only once, so an age counts once it is seen again.

Limitation: a lag of more than ``MOST_S`` does not count. If requests then have no sample
within the window, a hand-over waits until such requests stop.
"""

from __future__ import annotations

from collections import deque

MOST_S = 5.0  # beyond the usual age
SEEN_S = 120.0  # two scrapes: most jobs scrape at least once a minute


class Lag:
    """The ages of late samples at their arrival; see the module. All times are in seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=100)  # (since when, the largest age)

    def saw(self, now: float, age_s: float, usual_s: float) -> None:
        """Record the age of a request's late samples; ages up to ``usual_s`` are not late."""
        if not usual_s < age_s <= usual_s + MOST_S:
            return
        since, largest_s = self._seen[-1] if self._seen else (float("-inf"), 0.0)
        if now < since + usual_s:
            self._seen[-1] = (since, max(largest_s, age_s))
        else:
            self._seen.append((now, age_s))

    def longest_age_s(self, now: float, usual_s: float) -> float:
        """Return the age that samples reach repeatedly, at least ``usual_s``."""
        ages = sorted(age_s for since, age_s in self._seen if since > now - SEEN_S)
        return max([usual_s, *ages[-2:-1]])
