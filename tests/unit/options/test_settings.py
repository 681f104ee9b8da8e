"""Words and variables become settings, or all problems are reported together."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.options.given import CHILD, OWNER, loaded, own, problems
from wrapper.base.durations import go_duration
from wrapper.options.command_line import help_or_version
from wrapper.options.commands import COMMANDS
from wrapper.options.flag import FlagKind
from wrapper.options.flag_fields import flags_of
from wrapper.options.flag_values import Label
from wrapper.options.flags import FLAGS, GROUPS
from wrapper.options.loading import SettingsError
from wrapper.options.settings import TimeLimits, lock_path
from wrapper.options.usage import usage
from wrapper.supervision.policy import Policy

LABEL = "for example prometheus-elector/role=leader"
SIDECAR = ("--config=c.yml", "--output=o.yml", "--notify-http-url=http://localhost:9090/-/reload")


def test_problem_is_one_line_that_ends_with_its_remedy() -> None:
    """A problem is one line, whatever the flag contains; a long value is cut in its middle."""
    assert problems(own("--a\x0b\u2028b")) == ("--a\\x0b\\u2028b: unknown flag; --help lists all",)
    (problem,) = problems(own(f"--lease-duration={'9' * 5000}s"))
    assert problem.startswith("--lease-duration='999")
    assert problem.endswith("for example 15s, 1m30s or 500ms")
    assert len(problem) == 1003


TRUE = ("1", "t", "T", "true", "True", "TRUE")
FALSE = ("0", "f", "F", "false", "FALSE")

# --- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (("-lease-name=a",), "lease.name", "a"),
        (("--lease-name=a",), "lease.name", "a"),
        (("-lease-name", "a"), "lease.name", "a"),
        (("--lease-name", "a"), "lease.name", "a"),
        (("--lease-name", ""), "lease.name", ""),
        (("--targets-queue=a=b",), "targets.queue", "a=b"),
        (("--lease-name=a", "--lease-name=b"), "lease.name", "b"),
        (("-targets-queue", "-a"), "targets.queue", "-a"),
        (("--lease-name=a.b-c",), "lease.name", "a.b-c"),
        (("-init",), "mode.is_init", True),
        *(
            (("-init=" + word,), "mode.is_init", True)
            for word in ("1", "t", "T", "true", "True", "TRUE")
        ),
        *(
            (("-init=" + word,), "mode.is_init", False)
            for word in ("0", "f", "F", "false", "FALSE")
        ),
        (("--lease-duration=1m30s",), "lease.duration_s", 90.0),
        (("--healthcheck-period", "500ms"), "health_checks.health_period_s", 0.5),
        (("--api-shutdown-grace-delay=0",), "web.shutdown_grace_s", 0.0),
        (("--healthcheck-failure-threshold=1",), "health_checks.failure_threshold", 1),
        (("--api-proxy-prometheus-local-port=65535",), "web.local_port", 65535),
        (("--api-listen-address=:9095",), "web.host", ""),
        (("--api-listen-address=[::1]:9095",), "web.host", "::1"),
        (("--api-listen-address=[::1]:9096",), "web.port", 9096),
        (("--api-listen-address=a.b:0",), "web.host", "a.b"),
        (("--api-listen-address=a.b:0",), "web.port", 0),
        (("--lease-pod-label=",), "lease.pod_label", None),
        (("--remote-write-gate",), "gate.enabled", True),
        *(
            ((f"--remote-write-gate-listen-address={host}:9096",), "gate.address.host", bare)
            for host, bare in (
                ("127.0.0.1", "127.0.0.1"),
                ("127.1.2.3", "127.1.2.3"),
                ("localhost", "localhost"),
                ("[::1]", "::1"),
            )
        ),
        (("--gate-memory=1MB",), "gate.memory_bytes", 1 << 20),
        (("--output-mode=0640",), "files.output_mode", 0o640),
        (("--output-mode=0o640",), "files.output_mode", 0o640),
        (("--output-mode=640",), "files.output_mode", 0o640),
        (("--role=follower",), "lease.role", "follower"),
        (("--lease-lock=file:/a b:c",), "lease.lock", "file:/a b:c"),
        (("--notify-http-url=https://u:p@h/x",), "notifier.url", "https://u:p@h/x"),
        (("--notify-http-url=http://[::1]:1/",), "notifier.url", "http://[::1]:1/"),
        (
            ("--readiness-http-url=http://h/ä b",),
            "health_checks.readiness_url",
            "http://h/%C3%A4%20b",
        ),
        (("--peers=http://ä:1,b",), "web.peers", ("http://xn--4ca:1", "b")),
    ],
)
def test_each_form_of_a_flag_is_read(words: tuple[str, ...], field: str, value: object) -> None:
    """Flags have one dash or two; each kind of value may follow ``=`` or be the next word."""
    found = attrgetter(field)(loaded(own(*words)))
    assert (found, type(found)) == (value, type(value))


def test_words_after_two_dashes_belong_to_the_child() -> None:
    """After ``--``, our own flags and another ``--`` belong to the command."""
    words = ("prometheus", "--init", "--", "-lease-name")
    assert loaded(("--config=c", "--", *words)).child == words
    assert not loaded(("--config=c", "--", *words)).mode.is_init


def test_defaults() -> None:
    """The defaults of flags, with the names of the Go peer, have the agreed values."""
    settings = loaded()
    assert (
        settings.lease.duration_s,
        settings.lease.renew_deadline_s,
        settings.lease.retry_period_s,
        settings.health_checks.readiness_period_s,
        settings.health_checks.health_period_s,
        settings.health_checks.health_timeout_s,
        settings.time_limits.reload_retry_s,
        settings.web.shutdown_grace_s,
        settings.time_limits.demotion_grace_s,
    ) == (15, 10, 2, 5, 5, 2, 10, 15, 8)
    assert (settings.web.host, settings.web.port) == ("", 9095)
    assert (settings.notifier.method, settings.time_limits.reload_attempts) == ("POST", 5)
    assert (settings.health_checks.failure_threshold, settings.web.workers) == (3, 1)
    assert (settings.web.connect_timeout_s, settings.web.idle_timeout_s) == (3, 600)
    assert (settings.web.proxy_admin, settings.web.max_body_bytes) == (False, 0)
    assert (settings.gate.enabled, str(settings.gate.address)) == (False, "127.0.0.1:9096")
    assert settings.gate.memory_bytes == 64 << 20


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        ("7", 7),
        ("512KB", 512 << 10),
        ("512KiB", 512 << 10),
        ("10MB", 10 << 20),
        ("10MiB", 10 << 20),
        ("1GB", 1 << 30),
    ],
)
def test_sizes_have_the_units_of_prometheus(text: str, size: int) -> None:
    """A size is in bytes or Prometheus' units, which are powers of 1024 in both spellings."""
    assert loaded((f"--api-proxy-max-body={text}", *OWNER)).web.max_body_bytes == size


# --- environment ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "environ", "value"),
    [
        ((), {"ELECTOR_LEASE_NAME": "env"}, "env"),
        (("--lease-name=flag",), {"ELECTOR_LEASE_NAME": "env"}, "flag"),
        (("--lease-name=",), {"ELECTOR_LEASE_NAME": "env"}, ""),
        ((), {"ELECTOR_LEASE_NAME": ""}, ""),
        ((), {"LEASE_NAME": "env", "ELECTOR_PORT": "tcp://10.0.0.1:9095"}, ""),
    ],
)
def test_variable_sets_the_default(
    words: tuple[str, ...], environ: dict[str, str], value: str
) -> None:
    """A flag precedes its variable; empty variables and those of Kubernetes have no effect."""
    assert loaded(own(*words), environ).lease.name == value


@pytest.mark.parametrize(
    ("words", "environ", "value"),
    [
        ((), {"KUBECONFIG": "a:b"}, "a:b"),
        ((), {"KUBECONFIG": "a", "ELECTOR_KUBECONFIG": "b"}, "b"),
        (("--kubeconfig=c",), {"KUBECONFIG": "a", "ELECTOR_KUBECONFIG": "b"}, "c"),
        ((), {"KUBECONFIG": "a", "ELECTOR_KUBECONFIG": ""}, "a"),
    ],
)
def test_kubeconfig_is_found_as_by_kubectl(
    words: tuple[str, ...], environ: dict[str, str], value: str
) -> None:
    """The flag precedes our own variable, which precedes ``KUBECONFIG``."""
    assert loaded(own(*words), environ).lease.kubeconfig == value


def test_empty_variable_counts_as_unset() -> None:
    """An empty variable, e.g. in a manifest, counts as unset for each flag."""
    assert loaded(environ={flag.env: "" for flag in FLAGS}) == loaded()


def test_identity_comes_from_the_pod() -> None:
    """POD_NAME and POD_UID identify the replica, otherwise the host's name and a random word."""
    pod = loaded(environ={"POD_NAME": "p-0", "POD_UID": "uid"}, pod_namespace="monitoring")
    assert (pod.replica.identity, pod.replica.incarnation) == ("p-0", "uid")
    assert pod.lease.namespace == "monitoring"
    other = loaded(own("--lease-namespace=n"), {"POD_NAME": ""}, pod_namespace="monitoring")
    assert (other.replica.identity, other.replica.incarnation) == ("host", "random")
    assert other.lease.namespace == "n"
    assert loaded().lease.namespace == ""


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("prometheus-elector/role=leader", Label("prometheus-elector/role", "leader")),
        ("role=leader", Label("role", "leader")),
        ("a.b-c.d/E_f.G-1=", Label("a.b-c.d/E_f.G-1", "")),
        (f"{'a' * 253}/{'b' * 63}={'c' * 63}", Label(f"{'a' * 253}/{'b' * 63}", "c" * 63)),
    ],
)
def test_label_follows_the_rules_of_kubernetes(text: str, label: Label) -> None:
    """A label that the API server accepts is accepted, and printed as it was written."""
    words = own(f"--lease-pod-label={text}", "--lease-name=l")
    settings = loaded(words, {"POD_NAME": "p-0"})
    assert settings.lease.pod_label == label
    assert str(label) == text


def test_pod_to_label_is_the_replicas_own() -> None:
    """The pod's namespace is its variable's, otherwise that of the service account."""
    variables = {"POD_NAME": "p-0", "POD_UID": "uid", "POD_NAMESPACE": "own"}
    words = own("--lease-namespace=lease")
    pod = loaded(words, variables, pod_namespace="mounted").replica
    assert (pod.pod_name, pod.pod_uid, pod.pod_namespace) == ("p-0", "uid", "own")
    other = loaded(words, {}, pod_namespace="mounted").replica
    assert (other.pod_name, other.pod_uid, other.pod_namespace) == ("", "", "mounted")


def test_init_container_needs_no_pod_name() -> None:
    """With ``--init``, a label needs no pod name, as the variables may be another container's."""
    assert loaded(own("--init", "--lease-pod-label=role=leader")).lease.pod_label is not None


def test_check_needs_no_pod_name() -> None:
    """``check`` accepts a label without a pod name, but not without a Lease."""
    words = ("check", *own("--lease-pod-label=role=leader", "--lease-name=l"))
    assert problems(words) == ()
    assert len(problems(("check", *own("--lease-pod-label=role=leader")))) == 1


# --- refused values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "start", "cure"),
    [
        (("--leese-name=a",), "--leese-name: unknown flag", "did you mean --lease-name?"),
        (("-xyzzy",), "--xyzzy: unknown flag", "--help lists all"),
        (("--web.enable-lifecycle",), "--web.enable-lifecycle: unknown", "belong after --"),
        (("---init",), "---init: not a flag", "--help lists all"),
        (("-",), "-: not a flag", "--help lists all"),
        (("--=1",), "--=1: not a flag", "--help lists all"),
        (("--lease-name",), "--lease-name: its value is missing", "--lease-name=NAME"),
        (("--lease-duration", "--init=0"), "--lease-duration: its value is", "=15s"),
        (("--lease-duration", "-init=0"), "--lease-duration: its value is", "=15s"),
        (("--init", "true"), "'true': not the value of any flag", "--init=true"),
        (("--init=yes",), "--init='yes': not a boolean", "--init=true"),
        (("--lease-duration=15",), "--lease-duration='15': not a duration", "write 15s"),
        (("--lease-duration=",), "--lease-duration='': not a duration", "for example 15s"),
        (("--cool-down=0",), "--cool-down='0': not above zero", "for example 10s"),
        (("--cool-down=-1s",), "--cool-down='-1s': not above zero", "for example 10s"),
        (("--api-shutdown-grace-delay", "-1s"), "--api-shutdown-grace-delay='-1s': below", "15s"),
        (
            ("--healthcheck-success-threshold=0",),
            "--healthcheck-success-threshold='0'",
            "example 3",
        ),
        (("--api-workers=two",), "--api-workers='two': not a whole number", "for example 3"),
        (("--api-proxy-max-body=0",), "--api-proxy-max-body='0': not a size", "example 10MB"),
        (("--api-proxy-max-body=1.5MB",), "--api-proxy-max-body='1.5MB': not a size", "10MB"),
        (("--api-proxy-prometheus-local-port=0",), "--api-proxy-prometheus-local-port", "9090"),
        (("--api-proxy-prometheus-remote-port=65536",), "--api-proxy-prom", "1 to 65535"),
        (
            ("--api-listen-address=9095",),
            "--api-listen-address='9095': not an a",
            "write HOST:PORT",
        ),
        (("--api-listen-address=::1:9095",), "--api-listen-address=", "[::1]:9095"),
        (("--api-listen-address=:99999",), "--api-listen-address=", "write HOST:PORT"),
        (("--api-listen-address=",), "--api-listen-address=''", "write HOST:PORT"),
        (("--role=chief",), "--role='chief': unknown", "leader, follower"),
        (("--log-level=",), "--log-level='': unknown", "auto, debug, info"),
        (("--lease-lock=file:",), "--lease-lock='file:': it names no file", "file:/run"),
        (("--lease-lock=file",), "--lease-lock='file': it names no file", "file:/run"),
        (("--lease-lock=file:a",), "--lease-lock='file:a': a relative path", "absolute"),
        (("--lease-lock=auto:",), "--lease-lock='auto:': it names no file", "auto:/run"),
        (("--lease-lock=auto:a",), "--lease-lock='auto:a': a relative path", "absolute"),
        (("--lease-lock=none:/a",), "--lease-lock='none:/a': unknown", "auto:PATH"),
        (("--lease-lock=etcd",), "--lease-lock='etcd': unknown", "kubernetes"),
        (("--output-mode=rw",), "--output-mode='rw': not permissions", "0600"),
        (("--output-mode=0888",), "--output-mode='0888': not permissions", "0600"),
        (("--output-mode=0066",), "--output-mode='0066': the owner", "0600"),
        (
            ("--notify-http-url=localhost:9090",),
            "--notify-http-url=",
            "http://127.0.0.1:9090/-/rel",
        ),
        (
            ("--readiness-http-url=ftp://h/",),
            "--readiness-http-url=",
            "http://127.0.0.1:9090/-/ready",
        ),
        (("--healthcheck-http-url=http://",), "--healthcheck-http-url=", "/-/healthy"),
        (("--healthcheck-http-url=http://h:x/",), "--healthcheck-http-url=", "/-/healthy"),
        (("--healthcheck-http-url=http://[::1/",), "--healthcheck-http-url=", "/-/healthy"),
        (("--healthcheck-http-url=http://h:0/",), "--healthcheck-http-url=", "/-/healthy"),
        (("--healthcheck-http-url=http://a b/",), "--healthcheck-http-url=", "/-/healthy"),
        (("--peers=http://h:9095/x",), "--peers='http://h:9095/x': 'http://h:9095/x' is", "a path"),
        (("--peers=http://h#x",), "--peers='http://h#x': 'http://h#x' is neither", "prometheus-1"),
        *(
            (
                (f"--remote-write-gate-listen-address={address}",),
                f"--remote-write-gate-listen-address={address}: not a loopback address",
                "127.0.0.1:9096",
            )
            for address in (":9096", "0.0.0.0:9096", "[::]:9096", "10.0.0.1:9096", "a.b:9096")
        ),
        (
            ("--remote-write-gate-listen-address=[::1]:0",),
            "--remote-write-gate-listen-address=[::1]:0: port 0",
            "127.0.0.1:9096",
        ),
        *(
            (
                ("--remote-write-gate", f"--api-listen-address={host}:9096"),
                "--remote-write-gate-listen-address=127.0.0.1:9096: same port as --api",
                "change one",
            )
            for host in ("", "127.0.0.1")
        ),
        (("--gate-memory=1023KiB",), "--gate-memory=1047552: it must be 1MiB or more", "64MiB"),
        (("--gate-memory=",), "--gate-memory=0: it must be 1MiB or more", "64MiB"),
        (("--gate-memory=64Mib",), "--gate-memory='64Mib': not a size", "10MB"),
        (("--lease-name=a\nb",), "--lease-name='a\\nb': it holds a line break", "one plain line"),
        (("--lease-lock=kubernetes",), "--lease-name: missing", "--lease-name=prometheus"),
        *(
            ((f"--lease-name={name}",), "--lease-name='", "lower-case letters, digits and -")
            for name in ("Prometheus", "a_b", "-a", "a-", "a..b", "a/b", "a" * 254)
        ),
        *(
            (("--lease-name=a", f"--lease-namespace={name}"), "--lease-namespace='", "lower-case")
            for name in ("A", "a.b", "a" * 64)
        ),
        *(
            ((f"--lease-pod-label={word}",), f"--lease-pod-label='{word}': {start}", LABEL)
            for word, start in (
                ("role", "not a label; write KEY=VALUE"),
                ("role: leader", "not a label; write KEY=VALUE"),
                ("=leader", "the key's name and the value"),
                ("a/=leader", "the key's name and the value"),
                ("/a=leader", "the part before the slash is not a DNS name"),
                ("A.b/a=leader", "the part before the slash is not a DNS name"),
                ("a..b/a=leader", "the part before the slash is not a DNS name"),
                ("a/b/c=leader", "the part before the slash is not a DNS name"),
                ("a" * 254 + "/a=leader", "the part before the slash is not a DNS name"),
                ("-role=leader", "the key's name and the value"),
                ("role=leader.", "the key's name and the value"),
                ("role=a=b", "the key's name and the value"),
                ("a" * 64 + "=leader", "the key's name and the value"),
                ("role=" + "a" * 64, "the key's name and the value"),
            )
        ),
        (
            ("--lease-pod-label=role=leader",),
            "--lease-pod-label: it needs an election by a Lease",
            "--lease-name",
        ),
        (
            ("--lease-pod-label=role=leader", "--lease-name=l", "--lease-lock=file:/l"),
            "--lease-pod-label: it needs an election by a Lease",
            "remove the label",
        ),
        (
            ("--lease-pod-label=role=leader", "--lease-name=l"),
            "--lease-pod-label: the pod to label is not known, because POD_NAME",
            "metadata.name",
        ),
    ],
)
def test_each_mistake_is_refused_in_one_line(words: tuple[str, ...], start: str, cure: str) -> None:
    """One mistake leads to one line with the flag, its value, the cause and the remedy."""
    (line,) = problems(own(*words))
    assert line.startswith(start)
    assert cure in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "peers", ["http://u:SECRET@h:9095", "http://a,http://u:x/SECRET@h", "u:SECRET@h:9095"]
)
def test_password_in_peers_is_refused(peers: str) -> None:
    """A password in ``--peers`` is refused, because it would be visible, and is not shown."""
    (line,) = problems(own(f"--peers={peers}"))
    assert "must not contain a user or password" in line
    assert "SECRET" not in line


def test_problem_names_the_variable() -> None:
    """An invalid variable is reported by its name, unless a flag overrides it."""
    environ = {"ELECTOR_LEASE_DURATION": "15"}
    (line,) = problems(OWNER, environ)
    assert line.startswith("ELECTOR_LEASE_DURATION='15': not a duration")
    assert problems(own("--lease-duration=15s"), environ) == ()


def test_problems_of_all_kinds_are_reported() -> None:
    """Problems of flags, of variables and of rules between them are reported together."""
    wrong = ("--leese-name=a", "--cool-down=x", "--lease-retry-period=9s", "--leader-config=l")
    words = (*wrong, *SIDECAR[1:])
    lines = problems(words, {"ELECTOR_API_WORKERS": "0"})
    assert [line.partition(":")[0].partition("=")[0].split(" ")[0] for line in lines] == [
        "--leese-name",
        "--cool-down",
        "ELECTOR_API_WORKERS",
        "--lease-renew-deadline",
        "--config",
    ]
    with pytest.raises(SettingsError) as caught:
        loaded(words)
    assert str(caught.value).count("\n") == 3


def test_value_of_an_unknown_flag_is_not_a_second_mistake() -> None:
    """A misspelled flag with its value is one mistake; the intended flag is not also missing."""
    assert len(problems(("--lease-lock=kubernetes", "--leese-name", "a", *OWNER))) == 1
    assert len(problems(("--confg", "c.yml", *CHILD))) == 1


def test_missing_separator_is_one_mistake() -> None:
    """Without ``--``, the flags of the command are not reported one by one."""
    (line,) = problems(("--lease-lock=kubernetes", "prometheus", "--config.file=p.yml", "--x"))
    assert line.startswith("'prometheus': neither a flag nor a value")


def test_flag_is_not_taken_for_a_value() -> None:
    """A flag after ``--lease-name`` is not its value, also if it is unknown: both are reported."""
    lines = problems(own("--lease-name", "--xyzzy"))
    assert [line.partition(";")[0] for line in lines] == [
        "--lease-name: its value is missing",
        "--xyzzy: unknown flag",
    ]


def test_empty_command_is_refused() -> None:
    """A ``--`` without a command is refused."""
    (line,) = problems(("--config=c.yml", "--"))
    assert line.startswith("--: no command follows it")


def test_password_in_a_url_is_not_shown() -> None:
    """A refused URL is shown without its password, because problems may be logged."""
    (line,) = problems(own("--notify-http-url=ftp://admin:s3cret@h/"))
    assert "s3cret" not in line
    assert "@h/" in line


# --- rules between settings -------------------------------------------------------------------


def times(duration: str, deadline: str, period: str = "500ms") -> tuple[str, ...]:
    """Return a valid command line with these lease times."""
    return own(
        f"--lease-duration={duration}",
        f"--lease-renew-deadline={deadline}",
        f"--lease-retry-period={period}",
    )


@pytest.mark.parametrize(
    ("duration", "deadline", "period"),
    [("15s", "10s", "2s"), ("10s", "8s", "2s"), ("3s", "2s", "500ms"), ("10s", "9199ms", "2s")],
)
def test_lease_times_that_leave_time_are_accepted(
    duration: str, deadline: str, period: str
) -> None:
    """The usual times are accepted; the margin is the time from renew deadline to last moment."""
    settings = loaded(times(duration, deadline, period))
    assert settings.lease.last_moment_s == pytest.approx(settings.lease.duration_s * 0.95 - 0.3)
    margin_s = settings.lease.last_moment_s - settings.lease.renew_deadline_s
    assert settings.lease.margin_s == pytest.approx(margin_s)
    assert settings.lease.margin_s > 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (times("10s", "10s"), "--lease-duration (10s) is not above --lease-renew-deadline (10s); "),
        (times("9s", "10s"), "set --lease-duration to 11s or more"),
        (
            times("10s", "9200ms"),
            "leaves no time to step down after --lease-renew-deadline (9s200ms)",
        ),
        (times("10s", "9300ms"), "set --lease-duration to 11s or more"),
        (times("2500ms", "1s"), "--lease-duration (2s500ms) is not in whole seconds"),
        (times("2500ms", "1s"), "set it to 3s"),
        (times("15s", "2400ms", "2s"), "not above 1.2 times --lease-retry-period (2s)"),
        (times("15s", "2s", "3s"), "set the deadline above 3s600ms"),
    ],
)
def test_lease_times_that_do_not_fit_are_refused(argv: tuple[str, ...], said: str) -> None:
    """Each inequality is checked, and the line names the value to set."""
    (line,) = problems(argv)
    assert said in line


@given(
    st.integers(min_value=1, max_value=10**4),
    st.integers(min_value=1, max_value=10**7),
    st.integers(min_value=1, max_value=10**7),
)
def test_lease_times_are_checked_by_the_formula(
    duration_s: int, deadline_ms: int, period_ms: int
) -> None:
    """Exactly the times are accepted that leave time to step down and to retry."""
    argv = times(f"{duration_s}s", go_duration(deadline_ms / 1000), go_duration(period_ms / 1000))
    fits = duration_s * 950 - 300 > deadline_ms and deadline_ms * 10 > period_ms * 12
    assert (problems(argv) == ()) == fits


@given(st.integers(min_value=650, max_value=10**7))
def test_advised_duration_is_the_shortest_that_fits(deadline_ms: int) -> None:
    """The advised duration is accepted; one that is a second shorter is not."""
    deadline = go_duration(deadline_ms / 1000)
    (line,) = problems(times("1s", deadline, "1ms"))
    advised = int(line.partition("set --lease-duration to ")[2].partition("s")[0])
    assert problems(times(f"{advised}s", deadline, "1ms")) == ()
    assert problems(times(f"{advised - 1}s", deadline, "1ms")) != ()


@pytest.mark.parametrize(
    ("argv", "starts"),
    [
        (OWNER, ()),
        (SIDECAR, ()),
        (("--init", "--config=c", "--output=o"), ()),
        (("--init", "--config=c", *CHILD), ()),
        (own("--leader-config=l.yml"), ()),
        (CHILD, ()),
        (("--leader-config=l", *CHILD), ()),
        (("--init", *CHILD), ("--config: missing",)),
        (("--leader-config=l", *SIDECAR[1:]), ("--config: missing; --leader-config only says",)),
        (SIDECAR[:1], ("--output: missing", "--notify-http-url: missing")),
        (("--init", "--config=c"), ("--output: missing",)),
        ((), ("nothing says what to run",)),
        (("--lease-name=l",), ("nothing says what to run",)),
        (("--output=o",), ("--config: missing", "--notify-http-url: missing")),
        (("--init",), ("--config: missing", "--output: missing")),
        (
            ("--leader-config=l",),
            ("--config: missing", "--output: missing", "--notify-http-url: missing"),
        ),
        (("--remote-write-gate", *CHILD), ("--remote-write-gate: it needs a configuration",)),
        (("--remote-write-gate", "--leader-config=l", *CHILD), ()),
        (("--remote-write-gate", "--init", "--config=c", "--output=o"), ()),
        (("--remote-write-gate", *SIDECAR), ()),
        (own("--remote-write-gate", "--api-listen-address=10.0.0.1:9096"), ()),
        (own("--api-listen-address=:9096"), ()),
        (own("--api-proxy-enabled"), ()),
        (own("--api-proxy-enabled", "--lease-name=l"), ("--api-proxy-prometheus-service-name: m",)),
        (own("--api-proxy-enabled", "--lease-name=l", "--lease-lock=none"), ()),
        (own("--api-proxy-enabled", "--lease-name=l", "--api-proxy-prometheus-service-name=s"), ()),
    ],
)
def test_each_mode_has_its_required_flags(argv: tuple[str, ...], starts: tuple[str, ...]) -> None:
    """Owner, sidecar, init and proxy require only the flags that they need."""
    lines = problems(argv)
    assert len(lines) == len(starts)
    assert all(line.startswith(start) for line, start in zip(lines, starts, strict=True))


# --- derived settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "owns", "mode"),
    [
        (OWNER, True, 0o600),
        (SIDECAR, False, 0o644),
        (own("--init"), False, 0o644),
        ((*SIDECAR, "--output-mode=0600"), False, 0o600),
        (own("--output-mode=0644"), True, 0o644),
    ],
)
def test_permissions_depend_on_the_mode(argv: tuple[str, ...], owns: bool, mode: int) -> None:
    """The output is private if the same user runs Prometheus, unless a flag sets its mode."""
    settings = loaded(argv)
    assert (settings.mode.owns_child, settings.files.output_mode) == (owns, mode)


def test_leader_configs_keep_their_order() -> None:
    """The flag can be repeated; its variable sets one file, and an empty value sets none."""
    environ = {"ELECTOR_LEADER_CONFIG": "e"}
    assert loaded(own("--leader-config=b", "--leader-config", "a")).files.leader_config == (
        "b",
        "a",
    )
    assert loaded(own("--leader-config=a"), environ).files.leader_config == ("a",)
    assert loaded(OWNER, environ).files.leader_config == ("e",)
    assert loaded(own("--leader-config=")).files.leader_config == ()
    assert loaded(own("--output=a", "--output=b")).files.output == "b"


def test_child_config_is_read_without_config() -> None:
    """Without ``--config`` the child's own file is the input; sidecar and init have none."""
    assert loaded(CHILD).mode.reads_child_config
    assert not loaded(OWNER).mode.reads_child_config
    assert not loaded(SIDECAR).mode.reads_child_config


@pytest.mark.parametrize(
    ("words", "is_plain"),
    [
        ((), True),
        (("--lease-lock=auto:/x",), True),
        (("--lease-lock=none", "--role=follower", "--log-level=debug"), True),
        (("--leader-config=/x",), False),
        (("--lease-name=l",), False),
        (("--lease-lock=file:/x",), False),
        (("--output=/x",), False),
        (("--config-envsubst",), False),
        (("--config-check=promtool",), False),
        (("--config=c.yml",), False),
    ],
)
def test_plain_mode_without_use_of_the_configuration(
    words: tuple[str, ...], is_plain: bool
) -> None:
    """A flag that needs a rendering or an election ends the plain mode."""
    assert loaded((*words, *CHILD)).mode.is_plain == is_plain


@pytest.mark.parametrize(
    ("words", "with_overrides", "without"),
    [
        ((), "file", "none"),
        (("--lease-name=l",), "kubernetes", "kubernetes"),
        (("--lease-lock=kubernetes", "--lease-name=l"), "kubernetes", "kubernetes"),
        (("--lease-lock=none", "--lease-name=l"), "none", "none"),
        (("--lease-lock=file:/x", "--lease-name=l"), "file", "file"),
        (("--lease-lock=auto:/x",), "file", "none"),
        (("--lease-lock=auto:/x", "--lease-name=l"), "kubernetes", "kubernetes"),
    ],
)
def test_choice_of_the_lock(words: tuple[str, ...], with_overrides: str, without: str) -> None:
    """``auto`` means Kubernetes if a lease is named, otherwise a file if there are overrides."""
    lease = loaded(own(*words)).lease
    assert lease.lock_of(7, has_overrides=True).kind == with_overrides
    assert lease.lock_of(7, has_overrides=False).kind == without
    assert lease.is_on_kubernetes == (without == "kubernetes")


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ((), "/tmp/prometheus-elector-1000/election.lock"),
        (("--lease-lock=file:/run/a.lock",), "/run/a.lock"),
        (("--lease-lock=auto:/run/a.lock",), "/run/a.lock"),
        (("--lease-lock=auto:/run/a.lock", "--lease-name=l"), ""),
        (("--lease-lock=none",), ""),
        (("--lease-name=l",), ""),
    ],
)
def test_path_of_the_lock_file(words: tuple[str, ...], path: str) -> None:
    """Only a file lock has a path."""
    assert loaded(own(*words)).lease.lock_of(1000, has_overrides=True).path == path


def test_lock_file_does_not_depend_on_the_session() -> None:
    """A user's replicas use one lock file in any environment.

    Two sessions must not hold two elections.
    """
    sessions: tuple[dict[str, str], ...] = (
        {},
        {"XDG_RUNTIME_DIR": "/run/user/7", "TMPDIR": "/var/tmp", "HOME": "/h"},
    )
    paths = {loaded(environ=e).lease.lock_of(7, has_overrides=True).path for e in sessions}
    assert paths == {lock_path(7)}
    assert lock_path(7) != lock_path(8)


# --- help -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        *(((word,), "help") for word in ("-h", "--h", "-help", "--help")),
        *(((word,), "version") for word in ("-version", "--version")),
        (("--config=c", "--version", "--help"), "help"),
        (("--config=c", "--", "prometheus", "--help"), None),
        ((), None),
    ],
)
def test_help_and_version_are_recognised(argv: tuple[str, ...], asked: str | None) -> None:
    """``--help`` and ``--version`` count among our own words only, in any place."""
    assert help_or_version(argv) == asked


def test_help_has_all_flags() -> None:
    """The help has each flag with its default and its variable, in lines that fit a terminal."""
    text = " ".join(usage().split())
    for flag in FLAGS:
        assert f" --{flag.name}" in text
        assert f"[{', '.join((flag.env, *flag.also_env))}]" in text
        assert f"Default: {flag.shown_default}." in text or not flag.shown_default
    assert max(map(len, usage().splitlines())) <= 100
    assert text.count("prometheus-elector --") >= 3


@pytest.mark.parametrize(
    "shown",
    [
        *("config=FILE", "leader-config=FILE|FOLDER", "output=FILE", "config-check=PROGRAM"),
        *("lease-name=NAME", "lease-lock=auto[:PATH]|kubernetes|file:PATH|none"),
        *("kubeconfig=FILE", "web-config-file=FILE", "prometheus-http-config=FILE"),
        *("targets-url=URL=FILE", "targets-broker=amqp://…|redis://…", "peers=URL|NAME,…"),
    ],
)
def test_help_says_what_to_write(shown: str) -> None:
    """The help shows the form of each value."""
    assert f"\n  --{shown}\n" in usage()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_own_help(name: str) -> None:
    """A command's help has its usage, flags, examples and exit statuses, on one screen."""
    text, command = usage(name), COMMANDS[name]
    assert text.startswith(f"Usage: prometheus-elector {command.synopsis}\n")
    for flag in GROUPS.get(name, ()):
        assert f"\n  --{flag.name}" in text
    for flag_text, _ in command.flags:
        assert f"\n  {flag_text}\n" in text
    assert f"\nExamples:\n{command.examples}\nExit status:\n  0  {command.statuses[0]}\n" in text
    assert text.endswith("\nAll commands, flags and variables: prometheus-elector --help")
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) <= 50
    assert f"prometheus-elector {command.synopsis}\n" in usage()


def _is_group(value: object) -> bool:
    return dataclasses.is_dataclass(value)


def test_flags_and_settings_correspond() -> None:
    """Each flag has a field and each field a flag; names, variables and fields are unique."""
    settings = loaded()
    groups = [getattr(settings, field.name) for field in dataclasses.fields(settings)]
    taken = [
        flags_of(type(each)) for each in (*groups, settings.targets.feed_options) if _is_group(each)
    ]
    by_loading = {"init", "api-listen-address"}
    assert by_loading.union(*taken) == {flag.name for flag in FLAGS}
    assert len({flag.name for flag in FLAGS}) == len({flag.env for flag in FLAGS}) == len(FLAGS)
    assert all((flag.kind is FlagKind.CHOICE) == bool(flag.choices) for flag in FLAGS)


@given(st.lists(st.text(max_size=12) | st.sampled_from([f"--{flag.name}" for flag in FLAGS])))
def test_any_words_give_settings_or_problems(argv: list[Any]) -> None:
    """Any words lead to settings or to one-line problems, never to another error."""
    assert all("\n" not in line for line in problems(argv))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ELECTOR_LEASE_NAM", ("ELECTOR_LEASE_NAM, did you mean ELECTOR_LEASE_NAME?",)),
        ("ELECTOR_XYZ", ("ELECTOR_XYZ",)),
        ("ELECTOR_LEASE_NAME", ()),
        ("ELECTOR_SERVICE_HOST", ()),
        ("ELECTOR_PORT", ()),
        ("ELECTOR_PORT_9095_TCP", ()),
        ("PATH", ()),
    ],
)
def test_unknown_variable_is_reported(name: str, told: tuple[str, ...]) -> None:
    """An unknown variable is reported, unless Kubernetes sets it for a Service of that name."""
    assert loaded(own(), {name: "x"}).unknown_variables == told


def test_variables_of_other_services_are_not_reported() -> None:
    """Variables for a Service whose name starts with elector are not reported.

    The chart's Service of the leader has such a name if the release is named elector.
    """
    words = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_WEB", "PORT", "PORT_9090_TCP_ADDR")
    given = {f"ELECTOR_LEADER_{word}": "x" for word in words}
    assert loaded(own(), given).unknown_variables == ()
    del given["ELECTOR_LEADER_SERVICE_HOST"]
    assert len(loaded(own(), given).unknown_variables) == len(given)


def test_policy_has_every_time_limit() -> None:
    """Each time limit is a field of the policy, to which limits are passed by name."""
    limits = {each.name for each in dataclasses.fields(TimeLimits)}
    assert limits <= {each.name for each in dataclasses.fields(Policy)}
