"""The threads that keep files of targets and rules up to date, one thread for each feed.

Each thread fetches its URL at the interval and on request, and reports the result. A change of
rules is followed by a reload, which the supervisor's loop plans. Rules are not fetched before
Prometheus has been ready once: Prometheus exits if it refuses rules at its first load.

Guarantee: only a complete, well-formed answer changes the file. Rules that Prometheus refuses are
replaced by the last good ones. The election does not depend on these threads.

Limitation: whether Prometheus can scrape the targets is not checked.
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
from wrapper.base.shown_text import in_short
from wrapper.model.events import Event, FeedReported
from wrapper.model.fetched_file import Feed, FeedState, FileKind
from wrapper.options.settings import FeedOptions
from wrapper.targets.answer_check import (
    EMPTY_SHARE,
    Content,
    Unacceptable,
    may_replace,
    read_answer,
)
from wrapper.targets.fetch import NO_VALIDATORS, TOO_LARGE, Fetcher, FetchFailed
from wrapper.targets.fetch_requests import Done, FetchRequest, FetchRequests
from wrapper.targets.rule_loader import UNCONFIRMED, RuleLoader, RulesRefused
from wrapper.targets.shard_check import ShardCheck
from wrapper.targets.target_file import Failed, FeedFile

LOG = logging.getLogger(__name__)
MODE = 0o644  # as Promgen's own files: Prometheus may run as another user
JITTER = 0.1  # part of the interval, added or subtracted at random
RETRY_S = 5.0  # first pause after a failure; it doubles up to the interval
REFUSED_S = 3600.0  # refused rules are tried again after this: the cause may be gone
EMPTY = "empty"  # reason of a failure: the answer is empty, but the file is not
_STAYS = "file not updated, it keeps its last good content"
_MISSING = "file not written, there is none yet"
_UNSURE = "file updated, but Prometheus may not have loaded it"


@dataclass(frozen=True, slots=True)
class FetchParts:
    """The parts that all feeds share.

    - ``fetcher``: fetches a feed;
    - ``rules``: loads new rules;
    - ``report``: gets an event after each fetch;
    - ``ready``: set once Prometheus has been ready; from then on, bad rules do not end it;
    - ``shards``: checks whether the configured shard exists.
    """

    fetcher: Fetcher
    rules: RuleLoader
    report: Callable[[Event], None]
    ready: threading.Event
    shards: ShardCheck = field(default_factory=ShardCheck)


@dataclass(frozen=True, slots=True)
class RefusedContent:
    """The digest of refused content, which is not tried again before ``until``."""

    digest: str
    reason: str
    until: float

    def is_about(self, data: bytes, now: float) -> bool:
        """Return whether this content is to be refused without another attempt."""
        return now < self.until and self.digest == _digest(data)


class FeedKeeper:
    """Keeps one file up to date with its URL."""

    def __init__(self, feed: Feed, options: FeedOptions, parts: FetchParts) -> None:
        """Take the feed, its options and the shared parts. ``run`` is the thread's body."""
        self.feed = feed
        self._options = options
        self._parts = parts
        self._file = FeedFile(feed.path, feed.kind, options.largest)
        self._requests = FetchRequests()
        self._is_ended = False
        self._mode = MODE
        self._validators = NO_VALIDATORS
        self._held: Content | None = None
        self._empty_since: float | None = None
        self._refused: RefusedContent | None = None
        self._is_settled = True
        self._failures = 0
        self.unannounced_changes = 0  # changes that scheduled fetches have found
        self._failed_as = ""
        self._said = ""
        self.state = FeedState(feed.path, feed.source, feed.kind.value)

    def ask(self, mode: int | None, done: Done) -> None:
        """Request a fetch. The thread calls ``done`` after it. Requests may share one fetch."""
        self._requests.put(mode, done)

    def end(self) -> None:
        """Stop fetching."""
        self._is_ended = True
        self._requests.end()

    def run(self) -> None:
        """Fetch now, then at the interval and on request, until ``end``."""
        self._look_at_file()
        if self.feed.kind is FileKind.RULES:
            self._parts.ready.wait()
        requests: Sequence[FetchRequest] = ()
        while not self._is_ended:
            problem = self.update(requests)
            self._parts.report(FeedReported(asdict(self.state)))
            for request in requests:
                request.done("" if self._is_settled else problem)
            self._requests.fetched()
            requests = self._requests.wait(self._next_at())

    def once(self) -> str:
        """Fetch once; return why that failed, "" if it succeeded."""
        self._look_at_file()
        return self.update()

    def _look_at_file(self) -> None:
        """Remove what killed processes have left beside the file, and record its content.

        If it cannot be read, the first fetch reports why.
        """
        self._file.remove_leftovers()
        with suppress(Exception):
            self._held = self._counts(self._file.content())
        if self._held is not None:
            groups, targets = self._held.groups, self._held.targets
            self.state = replace(self.state, groups=groups, targets=targets)

    def _next_at(self) -> float:
        """Return the time of the next scheduled fetch."""
        interval_s = self._options.interval_s
        if self._failed_as == EMPTY and self._empty_since is not None:
            share = random.uniform(EMPTY_SHARE, EMPTY_SHARE + JITTER)  # noqa: S311 - no secret
            return self._empty_since + interval_s * share
        if self._failures:
            interval_s = backoff_s(self._failures, min(RETRY_S, interval_s), interval_s)
        return clock.now() + interval_s * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311

    # --- one fetch ---

    def update(self, requests: Sequence[FetchRequest] = ()) -> str:
        """Fetch, and update the file; return why that failed, "" if it succeeded."""
        for request in requests:
            self._set_mode(request.mode)
        was_as_left = self._file.is_as_left()
        self._is_settled = False
        try:
            has_changed = self._fetch_and_write()
        except (FetchFailed, Unacceptable) as error:
            # An immediate retry would get the same answer, so only scheduled fetches try again.
            self._is_settled = isinstance(error, Unacceptable) or error.reason == TOO_LARGE
            if error.reason != EMPTY:
                self._empty_since = None
            return self._failed(error.reason, str(error))
        except Failed as error:
            self._is_settled = isinstance(error, RulesRefused)
            return self._failed(error.reason, str(error))
        except Exception as error:  # noqa: BLE001 - one bad answer must not end the thread
            problem = f"unexpected error ({type(error).__name__}): please report it"
            return self._failed("error", problem)
        self._is_settled = True
        if has_changed and was_as_left and not requests:
            self.unannounced_changes += 1
        self._succeeded(has_changed=has_changed)
        return ""

    def _set_mode(self, mode: int | None) -> None:
        """Set the file's permissions; the next fetch applies them, also to unchanged content."""
        if mode is not None and mode != self._mode:
            self._mode, self._validators = mode, NO_VALIDATORS

    def _fetch_and_write(self) -> bool:
        is_in_force = self._file.is_as_left() and not self._file.is_unsettled
        known = self._validators if is_in_force else NO_VALIDATORS
        fetched = self._parts.fetcher.fetch(self.feed, known)
        if fetched.body is None:
            return False
        self._validators = NO_VALIDATORS  # until the file has this answer
        content = self._judged(fetched.body)
        has_changed = self._put_in_force(content)
        self._held = self._counts(content)
        self._validators = fetched.validators
        return has_changed

    def _judged(self, body: bytes) -> Content:
        """Return the file's new content; raise Unacceptable, or RulesRefused as the last time."""
        shard = self._options.shard
        content = read_answer(self.feed.kind, body, shard)
        has_none = self._held is not None and self._held.groups == 0
        may_be_none = has_none or self._options.allows_empty
        self._parts.shards.check(self.feed.path, shard, content, may_be_none=may_be_none)
        if self._refused is not None and self._refused.is_about(content.data, clock.now()):
            raise RulesRefused("refused", self._refused.reason)
        self._check_empty(content)
        return content

    def _check_empty(self, content: Content) -> None:
        """Raise Unacceptable if the answer became empty too recently, and the file is not empty."""
        now = clock.now()
        since = None if not content.is_empty else self._empty_since
        enough_s = self._options.interval_s * EMPTY_SHARE
        self._empty_since = (since or now) if content.is_empty else None
        is_confirmed = self._options.allows_empty or (since is not None and now - since >= enough_s)
        if not may_replace(content, self._held, is_confirmed=is_confirmed):
            later = "" if self._options.is_once else f"if it still is {enough_s:g} s later, or "
            text = f"the answer is suddenly empty: accepted {later}with --targets-allow-empty"
            raise Unacceptable(EMPTY, text)

    def _put_in_force(self, content: Content) -> bool:
        """Write the file, and load rules; return whether the file has changed; raise Failed."""
        if self.feed.kind is not FileKind.RULES:
            return self._file.write_if_changed(content.data, self._mode)
        try:
            return self._parts.rules.load(self._file, content.data, self._mode)
        except RulesRefused as error:
            self._refused = RefusedContent(
                _digest(content.data), str(error), clock.now() + REFUSED_S
            )
            raise

    # --- state and logs ---

    @staticmethod
    def _counts(content: Content | None) -> Content | None:
        """Return the content's numbers without its bytes, which need not stay in memory."""
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
            extra = {"file": self.feed.path, "url": self.feed.source, "reason": text}
            stays = _STAYS if self._file.exists else _MISSING
            LOG.warning(_UNSURE if reason == UNCONFIRMED else stays, extra=extra)
        self._said = text
        return text


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
