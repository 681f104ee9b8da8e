"""A headless browser, controlled by those parts of the DevTools protocol that tests need."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import websocket

from tests.real.parts import program
from tests.support import wait_until

PATIENCE_S = 30.0


class Chromium:
    """A browser process with its own profile."""

    def __init__(self, folder: Path) -> None:
        self._profile = folder / "profile"
        self._log = (folder / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [
                program("chromium"),
                "--remote-debugging-port=0",
                f"--user-data-dir={self._profile}",
                "--no-sandbox",  # tests run as root in containers
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "about:blank",
            ],
            stdout=self._log,
            stderr=self._log,
            process_group=0,
        )
        told = self._profile / "DevToolsActivePort"
        wait_until(lambda: told.exists() and told.read_text().count("\n"), PATIENCE_S, "its port")
        self._tabs: list[Tab] = []
        self._url = f"http://127.0.0.1:{told.read_text().split()[0]}"

    def open(self, url: str, *, width: int = 1200, height: int = 1000, dark: bool = False) -> Tab:
        """Return a tab that shows this page."""
        answer = requests.put(f"{self._url}/json/new?about:blank", timeout=PATIENCE_S).json()
        tab = Tab(answer["webSocketDebuggerUrl"])
        self._tabs.append(tab)
        tab.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.go(url)
        return tab

    def close_tabs(self) -> None:
        """Close all tabs."""
        while self._tabs:
            self._tabs.pop().close()

    def close(self) -> None:
        """Stop the browser."""
        self.close_tabs()
        self._process.kill()
        self._process.wait()
        self._log.close()


class Tab:
    """A page, and the errors and warnings of its console."""

    def __init__(self, url: str) -> None:
        self._socket = websocket.create_connection(
            url, timeout=PATIENCE_S, suppress_origin=True, host=urlsplit(url).netloc
        )
        self._numbers = itertools.count(1)
        self.console: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its answer; record console messages that arrive meanwhile."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv())
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        """Record errors and warnings of the console."""
        params = told.get("params", {})
        match told.get("method"):
            case "Runtime.exceptionThrown":
                self.console.append(str(params["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.console.append(str(params["args"]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                self.console.append(str(params["entry"]))

    def go(self, url: str) -> None:
        """Load a page and wait until it is complete."""
        self.call("Page.navigate", url=url)
        is_there = "document.readyState === 'complete' && location.href !== 'about:blank'"
        wait_until(lambda: self.value(is_there), PATIENCE_S, f"{url} is loaded")

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page; wait for a promise's result."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self, selector: str) -> str:
        """Return the text of the first element that the selector matches, "" if there is none."""
        return str(self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self) -> bytes:
        """Return a PNG of the visible part."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Close the page."""
        self.call("Page.close")
        self._socket.close()
