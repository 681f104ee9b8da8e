"""The status page in a real browser: live updates, no errors, accessible by axe and keyboard."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import PATIENCE_S, Chromium, Tab
from tests.real.parts import WriteLog
from tests.real.test_commands import Pair
from tests.support import free_port, let_pass, wait_until
from tests.web.conftest import Upstream, Web, following, leading, say
from tests.web.test_page import EVIL
from tests.web.test_protection import running
from tests.web.test_status import FULL
from wrapper.configuration.config_view import ConfigView, ConfigViewWriter
from wrapper.model.roles import Role
from wrapper.model.snapshot import HandOver

AXE = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
OUTLINED = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
IS_LIVE = "document.getElementById('lost').hidden"
FOCUSED = "document.activeElement.tagName + ' ' + document.activeElement.innerText.slice(0, 30)"


def history(now: float) -> tuple[HandOver, ...]:
    """Return two days of hand-overs."""
    return (
        HandOver(now - 170_000, "prometheus-1", "", "prometheus-1 held the lease when"),
        HandOver(now - 80_000, "", "prometheus-1", "prometheus-1 did not renew the lease for 15 s"),
        HandOver(now - 79_000, "prometheus-0", "", f"prometheus-0 acquired the lease {EVIL}"),
    )


EVERYTHING: dict[str, Any] = {
    **FULL,
    "history": history(time.time()),
    "configuration_is_valid": False,
    "configuration_problem": "elector.yml:3:7: mapping values are not allowed here",
    "lease_problem": "no answer from the API server",
}
EXHIBIT = ConfigView("a: 1\n" * 60, "a: 2\n" * 60, ("--- follower", "+++ leader", "-a: 1", "+a: 2"))


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Run one browser for all tests."""
    chromium = Chromium(tmp_path_factory.mktemp("browser"))
    yield chromium
    chromium.close()


@pytest.fixture
def browser(shared_browser: Chromium) -> Iterator[Chromium]:
    """Give the browser without open tabs."""
    yield shared_browser
    shared_browser.close_tabs()


@pytest.fixture
def web() -> Iterator[Web]:
    """Serve a page that shows every part."""
    with running(Web(peers=(f"http://127.0.0.1:{free_port()}", "nowhere.invalid"))) as made:
        made.tell(leading(**EVERYTHING))
        ConfigViewWriter(made.options.snapshot_fd).publish(EXHIBIT)
        yield made


@pytest.fixture
def pair(tmp_path: Path, write_log: WriteLog) -> Iterator[Pair]:
    """Give two real replicas."""
    made = Pair(tmp_path, write_log)
    yield made
    made.close()


@pytest.fixture
def write_log() -> Iterator[WriteLog]:
    """Run a remote_write receiver."""
    log = WriteLog()
    yield log
    log.close()


def shows(tab: Tab, selector: str, *texts: str) -> None:
    """Wait until an element has one of these texts."""

    def has() -> bool:
        shown = tab.text(selector)
        return any(text in shown for text in texts)

    wait_until(has, PATIENCE_S, f"{selector} shows {' or '.join(texts)}", 0.1)


def stop_updates(tab: Tab) -> None:
    """Stop the page's updates, so that its parts are not replaced during a check."""
    tab.value("Object.defineProperty(document, 'hidden', {get: () => true})")
    let_pass(1.5)  # an update that is under way still arrives


def violations(tab: Tab) -> list[str]:
    """Return the violations that axe finds, each with its element."""
    tab.value(f"{AXE}; undefined")
    found = tab.value("axe.run().then(found => JSON.stringify(found.violations))")
    return [
        f"{each['id']}: {node['html']} ({node.get('failureSummary')})"
        for each in json.loads(found)
        for node in each["nodes"]
    ]


def test_a_hand_over_updates_the_pages_of_both_replicas(browser: Chromium, pair: Pair) -> None:
    """After a hand-over both pages show roles, leader and history without being loaded again."""
    leader, follower = pair.start()
    tabs = [browser.open(f"{each.api}/_elector/") for each in (leader, follower)]
    for tab, role in zip(tabs, ("leader", "follower"), strict=True):
        shows(tab, "h1 .role", role)
        shows(tab, "[data-part=replicas]", "b")
        tab.value("window.isTheSame = true")
    shows(tabs[1], "#leader", "a")
    os.kill(leader.pid, signal.SIGUSR1)
    for tab, role in zip(tabs, ("follower", "leader"), strict=True):
        shows(tab, "h1 .role", role)
        # The replica that takes over may not read the lease between the two.
        shows(tab, "#hand-overs", "b acquired the lease", "b took the lease over from a")
        assert tab.value("window.isTheSame") is True
        assert tab.console == []
    shows(tabs[0], "#leader", "b")


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_no_violation(browser: Chromium, web: Web, width: int, dark: bool) -> None:
    """With everything shown and expanded, axe finds no violation, and the page is not too wide."""
    tab = browser.open(f"{web.url}/_elector/", width=width, dark=dark)
    stop_updates(tab)
    tab.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert violations(tab) == []
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    assert tab.console == []


def test_axe_finds_a_low_contrast(browser: Chromium, web: Web) -> None:
    """Axe finds a text with low contrast, so the test above can fail."""
    tab = browser.open(f"{web.url}/_elector/")
    stop_updates(tab)
    tab.value("document.getElementById('reason').attributeStyleMap.set('color', '#ddd')")
    assert any(each.startswith("color-contrast") for each in violations(tab))


def test_the_keyboard_reaches_all_elements_with_an_outline(browser: Chromium, web: Web) -> None:
    """The Tab key reaches links, tables and expandable parts, each with an outline."""
    tab = browser.open(f"{web.url}/_elector/")
    stop_updates(tab)
    reached = []
    for _ in range(20):
        tab.press("Tab")
        where = tab.value(FOCUSED)
        if where in reached or where.startswith("BODY"):
            break
        reached.append(where)
        assert tab.value(OUTLINED), where
    assert [each.split()[0] for each in reached] == [
        "A", "DIV", "DIV", "DIV", "DIV", "SUMMARY", "PRE", "SUMMARY", "SUMMARY", "A", "A",
    ]  # fmt: skip


def test_an_update_replaces_only_the_changed_parts(browser: Chromium, web: Web) -> None:
    """An update changes only the parts that differ, and expanded parts stay expanded."""
    tab = browser.open(f"{web.url}/_elector/")
    tab.value("""
        document.querySelectorAll('details').forEach(each => each.open = true);
        window.changed = new Set();
        document.querySelectorAll('[data-part]').forEach(part =>
            new MutationObserver(() => changed.add(part.dataset.part))
                .observe(part, {childList: true, subtree: true, characterData: true}))
    """)
    wait_until(lambda: tab.value("changed.has('foot') && changed.has('lease')"), PATIENCE_S, "live")
    web.tell(following(**EVERYTHING | {"role": Role.FOLLOWER, "reason": "another leads"}))
    shows(tab, "#reason", "another leads")
    assert tab.value("changed.has('rendered') || changed.has('prometheus')") is False
    assert tab.value("[...document.querySelectorAll('details')].every(each => each.open)")
    assert tab.value("document.title").startswith("prometheus-0: follower")


def test_the_page_shows_that_the_replica_does_not_answer(browser: Chromium, web: Web) -> None:
    """While the replica does not answer, the page shows since when; afterwards it is live again.

    No script or image of the shown texts is in the page.
    """
    tab = browser.open(f"{web.url}/_elector/")
    assert tab.value(IS_LIVE)
    os.killpg(web.process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: not tab.value(IS_LIVE), PATIENCE_S, "it is said")
        said = tab.text("#lost-since")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", said), said
    finally:
        os.killpg(web.process.pid, signal.SIGCONT)
    wait_until(lambda: tab.value(IS_LIVE), PATIENCE_S, "it is back")
    assert tab.value("document.querySelectorAll('main script, main img').length") == 0


def html(page: bytes, status: bytes = b"200 OK") -> Callable[[socket.socket, bytes], None]:
    """Return a function that answers with this page."""
    head = b"HTTP/1.1 %b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d"
    return say(page, head % (status, len(page)))


def test_an_answer_of_another_program_is_not_shown(browser: Chromium, web: Web) -> None:
    """When an ingress answers instead of the replica, the page keeps the last state as not live.

    When the replica answers again, the page is live again.
    """
    with closing(Upstream()) as ingress:
        ingress.answer = html(web.get("/_elector/").content)
        tab = browser.open(f"{ingress.url}/_elector/")
        assert tab.value(IS_LIVE)
        ingress.answer = html(b"<h1>503 Service Unavailable</h1>", b"503 Service Unavailable")
        wait_until(lambda: not tab.value(IS_LIVE), PATIENCE_S, "it is said")
        assert tab.text("h1 .role") == "leader"
        web.tell(following(**EVERYTHING | {"role": Role.FOLLOWER}))
        ingress.answer = html(web.get("/_elector/").content)
        shows(tab, "h1 .role", "follower")
        assert tab.value(IS_LIVE)
