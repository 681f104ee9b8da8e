"""Flags, variables and Prometheus' arguments: they give settings, or all problems at once."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.fuzz.form import fuzzed
from wrapper.base.durations import parse_duration, parse_prometheus_duration
from wrapper.options.flags import FLAGS
from wrapper.options.loading import SettingsError, load
from wrapper.options.prometheus_args import ChildArguments

PIECES = (
    *("", "0", "-1", "1s", "15s", "1h", "9" * 5000 + "d", "1.5", "0x10", "1e9", "nan", "true", "T"),
    *("127.0.0.1:9090", "[::1]:0", ":99999", "host", "http://h:9/x?y", "http://[", "http://h:x/"),
    *(
        "https://u:p@h",
        "unix:/x",
        "file:/tmp/l",
        "kubernetes",
        "none",
        "leader",
        "a/b=c",
        "a=b,c=d",
    ),
    *(
        "/x/y.json",
        "http://p/api=/x/t.json",
        "http://p=x.yml",
        "64MiB",
        "1GiB",
        "-",
        "--",
        "=",
        "é",
    ),
    *("\udcff", "\x01", " a ", "a" * 300, "%s", "{}", "$(A)", "debug", "json", "0644", "amqp://h/"),
)
PROMETHEUS = (
    *(
        "prometheus",
        "--config.file",
        "--config.file=p.yml",
        "--web.listen-address=:9091",
        "--agent",
    ),
    *("--storage.tsdb.path=d", "--web.config.file=w.yml", "--enable-feature=agent,x", "-h", "--x"),
    *(
        "--web.external-url=http://[",
        "--storage.remote.flush-deadline=9y",
        "--web.route-prefix=\udcff",
    ),
    *("--log.format=json", "--log.level=warn", "--web.listen-address", "--no-x", "@file"),
)
values = st.sampled_from(PIECES) | st.text(max_size=10)
flags = st.sampled_from([flag.name for flag in FLAGS]) | st.text(max_size=6)
words = (
    st.builds("--{}={}".format, flags, values)
    | st.builds("-{}".format, flags)
    | values
    | st.sampled_from(["--", "check", "targets", "--config=c.yml", "--output=o.yml"])
)
arguments = st.lists(st.sampled_from(PROMETHEUS) | values, max_size=5)
variables = st.dictionaries(
    st.sampled_from([flag.name for flag in FLAGS]).map(
        lambda name: "ELECTOR_" + name.upper().replace("-", "_")
    )
    | st.sampled_from(["POD_NAME", "POD_UID", "POD_NAMESPACE", "ELECTOR_X", "KUBECONFIG", "HOME"]),
    values,
    max_size=4,
)


def check(problems: tuple[str, ...]) -> None:
    """Check that each problem is one printable line with a cause and a fix."""
    assert problems
    for problem in problems:
        assert problem.isprintable()
        assert ": " in problem or "; " in problem
        assert len(problem) < 2000


@fuzzed(150, own=st.lists(words, max_size=5), child=arguments, environ=variables)
def test_command_line(own: list[str], child: list[str], environ: dict[str, str]) -> None:
    """Any command line gives settings, or problems with a fix."""
    argv = [*own, "--", "prometheus", *child] if child else own
    try:
        settings = load(argv, environ, hostname="h", incarnation="i")
    except SettingsError as error:
        check(error.problems)
        settings = error.settings
    assert settings.mode in type(settings.mode)


@fuzzed(200, child=arguments)
def test_arguments_of_prometheus(child: list[str]) -> None:
    """Any arguments of Prometheus are parsed without an error."""
    found = ChildArguments.parse(tuple(child))
    assert isinstance(found.config_file, str)
    assert isinstance(found.storage_path, str)


@fuzzed(300, text=values | st.text("0123456789.hmsuµnydw+-", max_size=12))
def test_durations(text: str) -> None:
    """A text gives a duration in seconds, or a ValueError with a fix."""
    for parse in (parse_duration, parse_prometheus_duration):
        try:
            assert abs(parse(text)) < 2**53
        except ValueError as error:
            check((f"{text[:9]!r}: {error}",))
