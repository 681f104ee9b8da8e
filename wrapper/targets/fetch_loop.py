"""The threads that keep files of targets and rules as their URLs say: a thread for each feed.

Each fetches at its interval, or when it is asked to, and reports how it went. What is no good
answer changes nothing. New rules are followed by a reload, of which the supervisor's loop decides;
what Prometheus refuses is taken out of its file again. They wait until it has been ready once,
since rules that it refuses at its first load would end it. Nothing here touches the election, nor a
Prometheus otherwise than by its files. Where it ends: targets that Prometheus cannot scrape.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace

from wrapper.base import clock
from wrapper.base.backoff import backoff_s
from wrapper.model.events import Event, FeedReported
from wrapper.model.fetched_file import Feed, FeedState, FileKind, in_short
from wrapper.options.settings import FeedTerms
from wrapper.targets.answer_check import (
    EMPTY_SHARE,
    Content,
    Unacceptable,
    may_replace,
    read_answer,
)
from wrapper.targets.fetch import NO_VALIDATORS, TOO_LARGE, Fetcher, FetchFailed
from wrapper.targets.fetch_requests import Done, FetchRequest, FetchRequests
from wrapper.targets.rule_loads import UNCONFIRMED, Blamed, RuleLoads
from wrapper.targets.shard_names import ShardCheck
from wrapper.targets.target_file import Failed, FeedFile

LOG = logging.getLogger(__name__)
MODE = 0o644  # Promgen's own; another user's Prometheus may read it
JITTER = 0.1  # of the interval, either way
RETRY_S = 5.0  # after a failure, doubling up to the interval
BLAME_S = 3600.0  # then refused rules are tried again: the reason may have passed
EMPTY = "empty"  # why it failed: suddenly nothing came
_STAYS = "what was fetched before stays"
_UNSURE = "what was fetched may not be in force"


@dataclass(frozen=True, slots=True)
class FetchParts:
    """What all feeds work with.

    ``ready`` is set once Prometheus can refuse rules without being ended by them. ``shards`` judges
    whether the shard that is wanted can be meant.
    """

    fetcher: Fetcher
    rules: RuleLoads
    report: Callable[[Event], None]
    ready: threading.Event
    shards: ShardCheck = field(default_factory=ShardCheck)


@dataclass(frozen=True, slots=True)
class Blame:
    """What Prometheus has refused, by its digest, and until when that is not tried again."""

    digest: str
    reason: str
    until: float

    def is_about(self, data: bytes, now: float) -> bool:
        """Tell whether this is to be refused unseen."""
        return now < self.until and self.digest == _digest(data)


class FeedKeeper:
    """Keeps one file as its URL says."""

    def __init__(self, feed: Feed, terms: FeedTerms, parts: FetchParts) -> None:
        """Prepare; ``run`` is the thread's body."""
        self.feed = feed
        self._terms = terms
        self._parts = parts
        self._file = FeedFile(feed.path, feed.kind, terms.largest)
        self._requests = FetchRequests()
        self._is_ended = False
        self._mode = MODE
        self._validators = NO_VALIDATORS
        self._held: Content | None = None
        self._empty_since: float | None = None
        self._blamed: Blame | None = None
        self._is_settled = True
        self._failures = 0
        self.unasked_changes = 0  # found at the interval, of what the URL says
        self._failed_as = ""
        self._said = ""
        self.state = FeedState(feed.path, feed.source, feed.kind.value)

    def ask(self, mode: int | None, done: Done) -> None:
        """Have it fetched soon, once for all who ask; ``done`` is called from its thread."""
        self._requests.put(mode, done)

    def end(self) -> None:
        """Fetch no more."""
        self._is_ended = True
        self._requests.end()

    def run(self) -> None:
        """Fetch at once, then at the interval, and when asked to, until ``end``."""
        self._look_at_file()
        if self.feed.kind is FileKind.RULES:
            self._parts.ready.wait()
        requests: Sequence[FetchRequest] = ()
        while not self._is_ended:
            problem = self.bring(requests)
            self._parts.report(FeedReported(asdict(self.state)))
            for request in requests:
                request.done("" if self._is_settled else problem)
            self._requests.fetched()
            requests = self._requests.wait(self._next_at())

    def once(self) -> str:
        """Fetch once; return why that failed, "" when it has not."""
        self._look_at_file()
        return self.bring()

    def _look_at_file(self) -> None:
        """Remember what it holds; what keeps it from being read is told by the first round."""
        with suppress(Exception):
            self._held = self._counts(self._file.content())
        if self._held is not None:
            groups, targets = self._held.groups, self._held.targets
            self.state = replace(self.state, groups=groups, targets=targets)

    def _next_at(self) -> float:
        """Return when to fetch though nobody asks."""
        interval_s = self._terms.interval_s
        if self._failed_as == EMPTY and self._empty_since is not None:
            share = random.uniform(EMPTY_SHARE, EMPTY_SHARE + JITTER)  # noqa: S311 - no secret
            return self._empty_since + interval_s * share
        if self._failures:
            interval_s = backoff_s(self._failures, min(RETRY_S, interval_s), interval_s)
        return clock.now() + interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    # --- one round ---

    def bring(self, requests: Sequence[FetchRequest] = ()) -> str:
        """Bring the file to what the URL says now; return why that failed, "" when it has not."""
        for request in requests:
            self._set_mode(request.mode)
        was_as_left = self._file.is_as_left()
        self._is_settled = False
        try:
            has_changed = self._bring()
        except (FetchFailed, Unacceptable) as error:
            # An answer that came is the same a moment later: the interval looks again.
            self._is_settled = isinstance(error, Unacceptable) or error.reason == TOO_LARGE
            if error.reason != EMPTY:
                self._empty_since = None
            return self._failed(error.reason, str(error))
        except Failed as error:
            self._is_settled = isinstance(error, Blamed)
            return self._failed(error.reason, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, it shall not end the thread
            return self._failed(
                "error", f"it could not be fetched ({type(error).__name__}): please report it"
            )
        self._is_settled = True
        if has_changed and was_as_left and not requests:
            self.unasked_changes += 1
        self._succeeded(has_changed=has_changed)
        return ""

    def _set_mode(self, mode: int | None) -> None:
        """Have the file written with these permissions, also where its content stays."""
        if mode is not None and mode != self._mode:
            self._mode, self._validators = mode, NO_VALIDATORS

    def _bring(self) -> bool:
        is_in_force = self._file.is_as_left() and not self._file.is_unsettled
        known = self._validators if is_in_force else NO_VALIDATORS
        fetched = self._parts.fetcher.fetch(self.feed, known)
        if fetched.body is None:
            return False
        self._validators = NO_VALIDATORS  # until this one stands in the file
        content = self._judged(fetched.body)
        has_changed = self._put_in_force(content)
        self._held = self._counts(content)
        self._validators = fetched.validators
        return has_changed

    def _judged(self, body: bytes) -> Content:
        """Return what may become the file; raise Unacceptable."""
        shard = self._terms.shard
        content = read_answer(self.feed.kind, body, shard)
        has_none = self._held is not None and self._held.groups == 0
        may_be_none = has_none or self._terms.allows_empty
        self._parts.shards.check(self.feed.path, shard, content, may_be_none=may_be_none)
        if self._blamed is not None and self._blamed.is_about(content.data, clock.now()):
            raise Blamed("refused", self._blamed.reason)
        self._check_empty(content)
        return content

    def _check_empty(self, content: Content) -> None:
        """Raise Unacceptable for what is suddenly empty, and has not been for long enough."""
        now = clock.now()
        since = None if not content.is_empty else self._empty_since
        enough_s = self._terms.interval_s * EMPTY_SHARE
        self._empty_since = (since or now) if content.is_empty else None
        is_confirmed = self._terms.allows_empty or (since is not None and now - since >= enough_s)
        if not may_replace(content, self._held, is_confirmed=is_confirmed):
            later = "" if self._terms.is_once else f"where it still is {enough_s:g} s later, or "
            text = f"the answer is suddenly empty: believed {later}with --targets-allow-empty"
            raise Unacceptable(EMPTY, text)

    def _put_in_force(self, content: Content) -> bool:
        """Have the file hold this, rules in force; tell whether it has changed; raise Failed."""
        if self.feed.kind is not FileKind.RULES:
            return self._file.bring(content.data, self._mode)
        try:
            return self._parts.rules.load(self._file, content.data, self._mode)
        except Blamed as error:
            self._blamed = Blame(_digest(content.data), str(error), clock.now() + BLAME_S)
            raise

    # --- what is said of it ---

    @staticmethod
    def _counts(content: Content | None) -> Content | None:
        """Return what is remembered of a file: its numbers, not its bytes."""
        return None if content is None else replace(content, data=b"")

    def _succeeded(self, *, has_changed: bool) -> None:
        now, held = clock.wall(), self._held or Content(b"", 0, 0)
        self._failures, self._failed_as = 0, ""
        self.state = replace(
            self.state,
            groups=held.groups,
            targets=held.targets,
            last_success_time=now,
            last_change_time=now if has_changed else self.state.last_change_time,
            problem="",
        )
        extra = {"file": self.feed.path, "groups": held.groups, "targets": held.targets}
        if has_changed:
            LOG.info("file written: its content has changed", extra=extra)
        elif self._said:
            LOG.info("fetching the file works again", extra=extra)
        self._said = ""

    def _failed(self, reason: str, problem: str) -> str:
        text = in_short(problem)
        self._failures, self._failed_as = self._failures + 1, reason
        errors = {**self.state.errors, reason: self.state.errors.get(reason, 0) + 1}
        self.state = replace(self.state, problem=text, errors=errors)
        if text != self._said:
            extra = {"file": self.feed.path, "source": self.feed.source, "reason": text}
            LOG.warning(_UNSURE if reason == UNCONFIRMED else _STAYS, extra=extra)
        self._said = text
        return text


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
