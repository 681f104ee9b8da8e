"""Prometheus' own arguments are read as Prometheus reads them."""

from __future__ import annotations

import pytest

from wrapper.options.prometheus_args import (
    ChildArguments,
    with_argument,
    with_config_file,
    with_flags,
)


def parsed(*words: str) -> ChildArguments:
    """Return the arguments of ``prometheus`` with these words, which must have no problems."""
    arguments = ChildArguments.parse(("prometheus", *words))
    assert arguments.problems == ()
    return arguments


def test_defaults_of_a_bare_command() -> None:
    """Without arguments, the defaults are those of Prometheus: ./prometheus.yml and port 9090."""
    assert parsed() == ChildArguments(
        config_file="prometheus.yml",
        names_config_file=False,
        base_url="http://127.0.0.1:9090",
        storage_path="data/",
        has_agent_flag=False,
        has_agent_feature=False,
        features=(),
        has_lifecycle=False,
        flush_deadline=None,
        web_config_file="",
        log_level="info",
        log_format="logfmt",
        auto_reload_problems=(),
        problems=(),
    )


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (("--config.file=/a.yml",), "config_file", "/a.yml"),
        (("--config.file", "/a.yml"), "config_file", "/a.yml"),
        (("--config.file", "/a.yml"), "names_config_file", True),
        (("--config.file=a=b",), "config_file", "a=b"),
        (("--storage.tsdb.path=/d",), "storage_path", "/d"),
        (("--storage.agent.path=/d",), "storage_path", "data/"),
        (("--agent",), "storage_path", "data-agent/"),
        (("--agent", "--storage.agent.path", "/d"), "storage_path", "/d"),
        (("--enable-feature=agent",), "is_agent", True),
        (("--enable-feature=x,agent",), "is_agent", True),
        (("--enable-feature=x", "--enable-feature", "agent"), "is_agent", True),
        (("--enable-feature=agents",), "is_agent", False),
        (("--no-agent",), "is_agent", False),
        (("--agent",), "has_agent_feature", False),
        (("--enable-feature=x,agent",), "has_agent_feature", True),
        (("--enable-feature=x,,b", "--enable-feature=a"), "features", ("a", "b", "x")),
        (("--enable-feature=agent",), "has_agent_flag", False),
        (("--enable-feature=agent", "--agent"), "has_agent_flag", True),
        (("--web.enable-lifecycle",), "has_lifecycle", True),
        (("--no-web.enable-lifecycle",), "has_lifecycle", False),
        (("--storage.remote.flush-deadline=1m",), "flush_deadline", "1m"),
        (("--log.level=debug",), "log_level", "debug"),
        (("--log.format", "json"), "log_format", "json"),
        (("--unknown", "--config.file=a"), "config_file", "a"),
        (("--unknown", "x", "--config.file=a"), "config_file", "a"),
        (("--no-config.auto-reload",), "config_file", "prometheus.yml"),
    ],
)
def test_each_form_of_a_flag_is_read(words: tuple[str, ...], field: str, value: object) -> None:
    """A value may follow ``=`` or be the next word; booleans exist with and without ``--no-``."""
    assert getattr(parsed(*words), field) == value


@pytest.mark.parametrize(
    ("words", "url"),
    [
        (("--web.listen-address=:9091",), "http://127.0.0.1:9091"),
        (("--web.listen-address=0.0.0.0:9091",), "http://127.0.0.1:9091"),
        (("--web.listen-address=[::]:9091",), "http://127.0.0.1:9091"),
        (("--web.listen-address=[::1]:9091",), "http://[::1]:9091"),
        (("--web.listen-address=10.1.2.3:9091",), "http://10.1.2.3:9091"),
        (("--web.listen-address=localhost:9091",), "http://localhost:9091"),
        (("--web.listen-address=:1", "--web.listen-address=:2"), "http://127.0.0.1:1"),
        (("--web.route-prefix=/p",), "http://127.0.0.1:9090/p"),
        (("--web.route-prefix=p/q/",), "http://127.0.0.1:9090/p/q"),
        (("--web.route-prefix=/p\udcff",), "http://127.0.0.1:9090/p%FF"),  # a byte that is no UTF-8
        (("--web.route-prefix=/",), "http://127.0.0.1:9090"),
        (("--web.external-url=https://h/p/",), "http://127.0.0.1:9090/p"),
        (("--web.external-url=https://h",), "http://127.0.0.1:9090"),
        (("--web.external-url=/p",), "http://127.0.0.1:9090/p"),
        (("--web.external-url=h.example/p",), "http://127.0.0.1:9090/h.example/p"),
        (("--web.external-url=http://h/a%20b?q",), "http://127.0.0.1:9090/a%20b"),
        (("--web.external-url=http://[h/",), "http://127.0.0.1:9090"),
        (("--web.external-url=localhost:9090/p",), "http://127.0.0.1:9090"),
        (("--web.external-url=http://h/p", "--web.route-prefix=/"), "http://127.0.0.1:9090"),
        (("--web.external-url=http://h/p", "--web.route-prefix="), "http://127.0.0.1:9090/p"),
    ],
)
def test_url_of_prometheus(words: tuple[str, ...], url: str) -> None:
    """Each listen address means loopback; the route prefix precedes the external URL's path."""
    assert parsed(*words).base_url == url


@pytest.mark.parametrize(
    "command",
    [
        ("env", "A=b", "-u", "C", "prometheus", "--config.file=a"),
        ("tini", "-g", "--", "prometheus", "--config.file=a"),
        ("./start.sh", "--config.file=a"),
        ("nice", "-n", "5", "prometheus", "--config.file", "a", "--x"),
    ],
)
def test_command_in_front_of_prometheus(command: tuple[str, ...]) -> None:
    """The arguments are read also if another command precedes Prometheus."""
    arguments = ChildArguments.parse(command)
    assert (arguments.config_file, arguments.problems) == ("a", ())


@pytest.mark.parametrize(
    ("words", "start", "cure"),
    [
        (("@/etc/args",), "@/etc/args: ", "write them in the command itself"),
        (("--config.file=a", "--config.file=b"), "--config.file: given 2 times (a, b)", "keep one"),
        (("--agent", "--no-agent"), "--agent: given 2 times", "keep one"),
        (("--config.auto-reload",), "--config.auto-reload: only this program may reload", "remove"),
        (("--enable-feature=x,auto-reload-config",), "--enable-feature=auto-reload-c", "remove"),
        (("--config.file",), "--config.file: its value is missing", "--config.file=VALUE"),
        (("--storage.tsdb.path", "--x"), "--storage.tsdb.path: its value is", "path=VALUE"),
        (("--config.file=",), "--config.file: its value is empty", "--config.file=prometheus.yml"),
        (("--web.listen-address=",), "--web.listen-address: its value is empty", "0.0.0.0:9090"),
        (
            ("--web.listen-address=a[b]:9090",),
            "--web.listen-address=a[b]:9090: this is no",
            ":9090",
        ),
        (("--web.listen-address=\u2100:9090",), "--web.listen-address=", "this is no host"),
        (("--web.listen-address=9090x",), "--web.listen-address=9090x: the port is", ":9090"),
        (
            ("--web.listen-address=unix:///a.sock",),
            "--web.listen-address=unix:///a.sock: the port is",
            ":9090",
        ),
        (("--web.listen-address=:0",), "--web.listen-address=:0: the port is", ":9090"),
        (("--web.listen-address=:http",), "--web.listen-address=:http: the port is", ":9090"),
        (("--web.listen-address=:65536",), "--web.listen-address=:65536: the port is", ":9090"),
        (("--web.enable-lifecycle=true",), "--web.enable-lifecycle=true: Prom", "write --web.ena"),
        (
            ("-config.file=a",),
            "-config.file=a: Prometheus' flags have two",
            "write --config.file=a",
        ),
        (("--",), "--: Prometheus reads no flags after it", "remove it"),
        (("--", "--web.enable-lifecycle"), "--: Prometheus reads no flags after it", "remove it"),
        (("-c", "exec prometheus --config.file=a"), "'exec prometheus", "a word of its own"),
    ],
)
def test_disturbing_arguments_are_refused(words: tuple[str, ...], start: str, cure: str) -> None:
    """One mistake leads to one line with the argument, the cause and the remedy."""
    (line,) = ChildArguments.parse(("prometheus", *words)).problems
    assert line.startswith(start)
    assert cure in line


def test_all_mistakes_are_reported() -> None:
    """All mistakes are reported together; a file of arguments is no value."""
    words = ("--config.file", "@f", "--config.auto-reload", "--web.listen-address=x")
    lines = ChildArguments.parse(("prometheus", *words)).problems
    assert [line.partition(":")[0].partition("=")[0] for line in lines] == [
        "--config.file",
        "@f",
        "--config.auto-reload",
        "--web.listen-address",
    ]


def test_web_configuration_is_read() -> None:
    """The file of ``--web.config.file`` is known, and its content can change the URL to https."""
    arguments = ChildArguments.parse(("prometheus", "--web.config.file=w.yml"))
    assert (arguments.web_config_file, arguments.problems) == ("w.yml", ())
    assert arguments.base_url == "http://127.0.0.1:9090"
    assert arguments.over_tls().base_url == "https://127.0.0.1:9090"


def test_argument_is_added() -> None:
    """A flag is added at the end, and can be read from the result."""
    command = with_argument(("prometheus", "--x"), "storage.remote.flush-deadline", "600ms")
    assert command == ("prometheus", "--x", "--storage.remote.flush-deadline=600ms")
    assert ChildArguments.parse(command).flush_deadline == "600ms"


@pytest.mark.parametrize(
    ("command", "changed"),
    [
        (("p", "--config.file=a", "--x"), ("p", "--config.file=new", "--x")),
        (("p", "--config.file", "a", "--x"), ("p", "--config.file", "new", "--x")),
        (("p", "--x"), ("p", "--x", "--config.file=new")),
        (("p",), ("p", "--config.file=new")),
    ],
)
def test_configuration_file_is_replaced(command: tuple[str, ...], changed: tuple[str, ...]) -> None:
    """The path is replaced in its place, in either form, or added."""
    assert with_config_file(command, "new") == changed
    assert ChildArguments.parse(changed).config_file == "new"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("prometheus",), ("prometheus",)),
        (("prometheus", "--agent", "--a.b=1"), ("prometheus", "--agent")),
        (("prometheus", "--a.b", "1", "--x=2"), ("prometheus", "--x=2")),
        (("env", "A=b", "prometheus", "--gone=3", "--gone", "4"), ("env", "A=b", "prometheus")),
    ],
)
def test_flags_are_replaced(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """A flag replaces one of its name in any form; flags to remove are removed, others stay."""
    assert with_flags(before, {"a.b": "2"}, without=("gone",)) == (*after, "--a.b=2")
