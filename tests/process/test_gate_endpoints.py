"""Resources of an endpoint in the gate's process: they are freed when the endpoint is removed."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import gevent
import psutil

from tests.process.receiving import StandInReceiver, receiving
from tests.process.running_gate import LIMIT_S, running_gate
from tests.support import wait_until
from wrapper.gate import channel
from wrapper.gate.serving import Serving
from wrapper.model.gate import Endpoint, GateOrder
from wrapper.options.gate_options import GateOptions


def test_connections_of_a_removed_endpoint_are_closed(tmp_path: Path) -> None:
    """When an endpoint is removed, its connections are closed; other endpoints keep theirs."""
    with receiving() as one, receiving() as other, running_gate(tmp_path) as gate:
        process = psutil.Process(gate.process.pid)

        def is_connected(receiver: StandInReceiver) -> bool:
            return any(
                each.status == psutil.CONN_ESTABLISHED and each.raddr.port == receiver.server_port
                for each in process.net_connections()
            )

        kept = Endpoint("y", other.url)
        gate.open(Endpoint("x", one.url), kept)
        for name in ("x", "y"):
            assert gate.post(b"x", name=name).status_code == 204
        assert is_connected(one)
        gate.order(kept)
        wait_until(lambda: not is_connected(one), LIMIT_S, "the connection is closed")
        assert is_connected(other)
        assert gate.post(b"x", name="y").status_code == 204
        assert gate.post(b"x").status_code == 503
        gate.order(Endpoint("x", one.url), kept)
        gate.await_endpoint(lambda _: True, "it is back")
        assert gate.post(b"x").status_code == 204


def test_the_greenlet_of_a_removed_endpoint_ends() -> None:
    """When an endpoint is removed, its greenlet ends.

    It would look for held batches several times a second, for ever.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    end, its = channel.pair()
    with closing(end):
        options = GateOptions(
            listen_fd=listener.detach(),
            control_fd=its.detach(),
            parent_pid=os.getpid(),
            memory_bytes=1 << 20,
            identity="a",
        )
        serving = Serving(options)
        loops = [gevent.spawn(each) for each in (serving._obey, serving._check_periodically)]
        one, other = (Endpoint(name, "http://127.0.0.1:1/") for name in ("one", "other"))
        greenlets = []
        for number, endpoints in enumerate(((one, other), (other,), (one, other))):
            channel.send(end, GateOrder(number, endpoints=endpoints))
            wanted = {each.name for each in endpoints}
            with gevent.Timeout(LIMIT_S):
                while set(serving._senders) != wanted:
                    gevent.sleep(0.01)
            greenlets.append(serving._senders["other"])
        assert len(set(greenlets)) == 1
        gevent.killall([*loops, *serving._senders.values()])
        for each in (serving._control, serving._reporting._end, serving._server._server):
            each.close()
