"""Each format of log lines as Prometheus writes it, and values that could break a line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.log_lines import read_line
from wrapper.base.log_form import Form, Line, written

BERLIN = timezone(timedelta(hours=1))


def line(time: datetime | None = None, message: str = "role changed", **fields: object) -> Line:
    """Return a line with these fields."""
    return Line(
        time=time or datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC),
        level="warn",
        source="change_log.py:59",
        component="elector",
        message=message,
        fields=fields,
    )


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            Form.LOGFMT,
            (
                "time=2026-01-02T03:04:05.678Z level=WARN source=change_log.py:59 "
                'msg="role changed" component=elector role=leader tls=false status=1'
            ),
        ),
        (
            Form.GO_KIT_LOGFMT,
            (
                "ts=2026-01-02T03:04:05.678Z caller=change_log.py:59 level=warn component=elector "
                'msg="role changed" role=leader tls=false status=1'
            ),
        ),
        (
            Form.JSON,
            (
                '{"time":"2026-01-02T03:04:05.678901Z","level":"WARN","source":"change_log.py:59",'
                '"msg":"role changed","component":"elector","role":"leader","tls":false,"status":1}'
            ),
        ),
        (
            Form.GO_KIT_JSON,
            (
                '{"caller":"change_log.py:59","component":"elector","level":"warn",'
                '"msg":"role changed","role":"leader","status":1,"tls":false,'
                '"ts":"2026-01-02T03:04:05.678Z"}'
            ),
        ),
    ],
)
def test_each_format_has_the_keys_and_order_of_prometheus(form: Form, text: str) -> None:
    """The component follows the message in Prometheus 3, precedes it in 2; 2 sorts JSON's keys."""
    assert written(line(role="leader", tls=False, status=1), form) == text


@pytest.mark.parametrize(
    ("form", "time"),
    [
        (Form.LOGFMT, "2026-01-02T04:04:05.000+01:00"),
        (Form.JSON, "2026-01-02T04:04:05.000007+01:00"),
        (Form.GO_KIT_LOGFMT, "2026-01-02T03:04:05.000Z"),
        (Form.GO_KIT_JSON, "2026-01-02T03:04:05.000Z"),
    ],
)
def test_prometheus_3_writes_local_time_and_2_utc(form: Form, time: str) -> None:
    """Times are local in Prometheus 3 and UTC in 2, so that the lines of one log are comparable."""
    local = datetime(2026, 1, 2, 4, 4, 5, 7, BERLIN)
    read = read_line(written(line(local), form))
    assert read is not None
    assert read.time == time


# The output of Go 1.24's log/slog for these values; differences of go-kit/log 0.2.1 are noted.
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "no"', r'"say \"no\""'),
        ('5"', r'"5\""'),
        (r"C:\x", r"C:\x"),
        (r"C:\x y", r'"C:\\x y"'),
        ("", '""'),  # go-kit: nothing, which has the same meaning
        ("line\nbreak", r'"line\nbreak"'),
        ("tab\there", r'"tab\there"'),
        ("cr\rx", r'"cr\rx"'),
        ("172.5µs", "172.5µs"),
        ("日本", "日本"),
        ("a\u00a0b", r'"a\u00a0b"'),  # go-kit does not change these
        ("next\u0085line", r'"next\u0085line"'),
        ("a\u2028b", r'"a\u2028b"'),
        ("{a}", "{a}"),
        ("[1, 2]", '"[1, 2]"'),
        ("<x>,'y'", "<x>,'y'"),
    ],
)
def test_values_are_quoted_as_by_go(value: str, text: str) -> None:
    """A value is written bare if it is unambiguous, otherwise in quotes."""
    for form in (Form.LOGFMT, Form.GO_KIT_LOGFMT):
        assert written(line(reason=value), form).endswith(f" reason={text}")


@pytest.mark.parametrize("form", Form)
def test_control_characters_are_escaped_as_in_json(form: Form) -> None:
    r"""Control characters are escaped as in JSON: Loki's parser refuses slog's \x1b and \a."""
    assert written(line(reason="\x1b[0m\a\x7f"), form).count(r"\u001b[0m\u0007\u007f") == 1


@pytest.mark.parametrize("form", Form)
def test_lone_surrogate_becomes_the_replacement_character(form: Form) -> None:
    """The name of a file may have any byte, but each line is valid UTF-8."""
    text = written(line(file="bad\udcff"), form)
    assert text.count(r"bad\ufffd") == 1
    text.encode()


def test_json_has_numbers_and_no_nan() -> None:
    """JSON has numbers as numbers; NaN and infinity, which it lacks, are text."""
    text = written(line(offset_s=0.5, nan=float("nan"), many=float("inf"), none=None), Form.JSON)
    fields = json.loads(text, parse_constant=pytest.fail)
    assert (fields["offset_s"], fields["none"]) == (0.5, None)
    assert (fields["nan"], fields["many"]) == ("nan", "inf")


AWKWARD = st.text('a "=\\\n\t\r\0', max_size=4)


@given(
    AWKWARD | st.text(st.characters(exclude_categories=["Cs"])),
    AWKWARD | st.text(),
    st.sampled_from(Form),
)
def test_each_value_is_read_back_and_breaks_no_line(message: str, reason: str, form: Form) -> None:
    """Any value is read back from one line, except for lone surrogates."""
    text = written(line(message=message, reason=reason), form)
    assert len(text.splitlines()) == 1
    read = read_line(text)
    assert read is not None
    assert (read.message, read.level, read.source) == (message, "warn", "change_log.py:59")
    valid = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in reason)
    assert read.fields == {"reason": valid}
