"""Real message brokers for tests: Redis and RabbitMQ, on free ports of the loopback address."""

from __future__ import annotations

from pathlib import Path

from tests.certificates import Authority
from tests.real.parts import Program, program
from tests.support import free_port, is_listening, wait_until

START_S = 90.0


class Redis(Program):
    """Debian's Redis, without persistence; with an authority, it accepts only TLS."""

    def __init__(self, folder: Path, authority: Authority | None = None) -> None:
        self.port = free_port()
        self.url = f"{'redis' if authority is None else 'rediss'}://127.0.0.1:{self.port}/0"
        argv = [program("redis-server"), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        if authority is None:
            argv += ["--port", str(self.port)]
        else:
            pair, self.ca = authority.issue("redis"), authority.file
            argv += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            argv += ["--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key)]
        super().__init__("redis", argv, folder)

    def start(self) -> None:
        """Start it and wait until it listens."""
        super().start()
        wait_until(lambda: is_listening(self.port), START_S, "Redis listens")


class PortMapper(Program):
    """Erlang's epmd, which RabbitMQ needs; one started by RabbitMQ would not be stopped."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        argv = [program("rabbitmq"), "epmd", "-port", str(self.port), "-address", "127.0.0.1"]
        super().__init__("epmd", argv, folder)

    def start(self) -> None:
        """Start it and wait until it listens."""
        super().start()
        wait_until(lambda: is_listening(self.port), START_S, "epmd listens")


class RabbitMq(Program):
    """Debian's RabbitMQ; with ``NOTIFY_SOCKET``, its script execs Erlang."""

    def __init__(self, folder: Path, mapper: PortMapper) -> None:
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        variables = {
            "HOME": folder,
            "ERL_EPMD_PORT": mapper.port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "NOTIFY_SOCKET": "none",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": folder / "logs",
            "RABBITMQ_MNESIA_BASE": folder / "mnesia",
            "RABBITMQ_NODENAME": f"t{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }
        argv = ["env", *(f"{name}={value}" for name, value in variables.items())]
        super().__init__("rabbitmq", [*argv, program("rabbitmq"), "rabbitmq-server"], folder)

    def start(self) -> None:
        """Start it and wait until it listens."""
        super().start()
        wait_until(self._listens, START_S, "RabbitMQ listens")

    def _listens(self) -> bool:
        assert self.is_running, f"RabbitMQ ended:\n{self.tail()}"
        return is_listening(self.port)
