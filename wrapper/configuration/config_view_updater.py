"""The thread that prepares the view of the configuration for the status page.

It uses the newest valid inputs. No other thread waits for it: an error here is shown on the page,
and has no other effect.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wrapper.base.allocator import return_free_memory
from wrapper.configuration.config_view import ELSEWHERE, LARGEST_INPUT, ConfigView, ConfigViewWriter
from wrapper.configuration.gate_settings import GateSettings
from wrapper.configuration.inputs import Inputs
from wrapper.documents.problems import ConfigurationError
from wrapper.documents.source import Source

SETTLE_S = 1.0  # lets Prometheus start, and further changes arrive, first
MOST_NODES = 50_000  # limit of nodes for expanding aliases


@dataclass(frozen=True, slots=True)
class Read:
    """Valid inputs as they were read.

    - ``sources``: the inputs, with variables replaced;
    - ``variables``: the variables that were replaced, whose values may be secret;
    - ``has_sections``: the only source has both sections;
    - ``gate``: the gate that remote_write goes through; None without a gate.
    """

    sources: Sequence[Source] = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    has_sections: bool
    gate: GateSettings | None = None


class ConfigViewUpdater:
    """Publishes a view of the newest inputs; ``run`` is the thread's body."""

    def __init__(self, writer: ConfigViewWriter, settle_s: float = SETTLE_S) -> None:
        self._writer = writer
        self._settle_s = settle_s
        self._inbox: queue.SimpleQueue[Read | None] = queue.SimpleQueue()
        self._ended = threading.Event()

    def show(self, inputs: Inputs) -> None:
        """Request a view of these inputs; call this in the thread that reads them."""
        has_sections = inputs.sources.leader_configs is None
        gate = inputs.sources.gate
        self._inbox.put(Read(inputs.texts(), inputs.variables(), has_sections, gate))

    def run(self) -> None:
        """Publish a view of each request, or the newest of several, until ``end``."""
        while not self._ended.is_set():
            read = self._inbox.get()
            self._ended.wait(self._settle_s)
            while not self._inbox.empty():
                read = self._inbox.get()
            if read is not None:
                self._writer.publish(config_view_of(read))
            read = None  # or the inputs stay in memory until the next change
            return_free_memory()  # no other thread works on a change after this one

    def end(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self._inbox.put(None)


def config_view_of(read: Read) -> ConfigView:
    """Return the view of inputs, without secrets, or the reason why there is none."""
    size = sum(len(source.content) for source in read.sources)
    if size > LARGEST_INPUT:
        return ConfigView(omitted=f"{size:,} bytes of input are too many to show here: {ELSEWHERE}")
    try:
        return _compared(read)
    except ConfigurationError:
        return ConfigView(omitted="the input is invalid and not shown; see its problems")
    except Exception as error:  # noqa: BLE001 - shown to people; its text may have secrets
        return ConfigView(omitted=f"it cannot be shown ({type(error).__name__}): {ELSEWHERE}")


def _compared(read: Read) -> ConfigView:
    from wrapper.configuration.leader_difference import compare_texts  # noqa: PLC0415 - a start has no need of it

    found = compare_texts(
        read.sources,
        read.variables,
        has_sections=read.has_sections,
        gate=read.gate,
        most_nodes=MOST_NODES,
    )
    return ConfigView(_text(found.follower), _text(found.leader), found.difference)


def _text(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
