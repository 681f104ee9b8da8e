"""The thread that makes what the status page shows of the configuration; nobody waits for it.

Only the newest inputs count, and only good ones. Where it ends: what fails here leaves its reason
in the page, and changes nothing else.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wrapper.configuration.config_view import ELSEWHERE, LARGEST_INPUT, ConfigView, ConfigViewWriter
from wrapper.configuration.inputs import Inputs
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

SETTLE_S = 1.0  # Prometheus' start, and a burst of changes, go first
MOST_NODES = 50_000  # with aliases written out


@dataclass(frozen=True, slots=True)
class Read:
    """Good inputs, as they were read; ``variables`` are secrets that may stand in them."""

    sources: Sequence[Source] = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    has_sections: bool


class ConfigViewUpdater:
    """Turns inputs into an exhibit; ``run`` is the thread's body."""

    def __init__(self, writer: ConfigViewWriter, settle_s: float = SETTLE_S) -> None:
        self._writer = writer
        self._settle_s = settle_s
        self._inbox: queue.SimpleQueue[Read | None] = queue.SimpleQueue()
        self._ended = threading.Event()

    def show(self, inputs: Inputs) -> None:
        """Have these inputs shown; to be called in the thread that reads them."""
        has_sections = inputs.sources.leader_configs is None
        self._inbox.put(Read(inputs.texts(), inputs.variables(), has_sections))

    def run(self) -> None:
        """Show what is read, until ``end``."""
        while not self._ended.is_set():
            read = self._inbox.get()
            self._ended.wait(self._settle_s)
            while not self._inbox.empty():
                read = self._inbox.get()
            if read is not None:
                self._writer.publish(config_view_of(read))

    def end(self) -> None:
        """Show no more."""
        self._ended.set()
        self._inbox.put(None)


def config_view_of(read: Read) -> ConfigView:
    """Return what is shown of inputs: never what ``redact`` hides, nor more than fits."""
    size = sum(len(source.content) for source in read.sources)
    if size > LARGEST_INPUT:
        return ConfigView(omitted=f"{size:,} bytes of input are too many to show here: {ELSEWHERE}")
    try:
        return _compared(read)
    except ConfigurationError:
        return ConfigView(omitted="the input cannot be used, and is not shown; see its problems")
    except Exception as error:  # noqa: BLE001 - it is only shown; an error's words may be secret
        return ConfigView(omitted=f"it cannot be shown ({type(error).__name__}): {ELSEWHERE}")


def _compared(read: Read) -> ConfigView:
    from wrapper.configuration.comparison import compare_texts  # noqa: PLC0415 - a start has no need of it

    found = compare_texts(
        read.sources, read.variables, has_sections=read.has_sections, most_nodes=MOST_NODES
    )
    return ConfigView(_text(found.follower), _text(found.leader), found.difference)


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
