"""Fill the tables of the reference page from the code: the page in, the page out.

`scripts/render-reference` does it in place. What stands between `<!-- made: NAME -->` and
`<!-- end -->` is made here; the rest of the page is written by hand, and tests hold it against what
the program serves.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator

from wrapper.options.flag import Flag
from wrapper.options.flags import GROUPS
from wrapper.web.metric_table import HELP, PREFIX

CODE = re.compile(r"--[a-z][a-z.-]*[a-z]|--(?![a-z])|\$+\(NAME\)|\*\.[a-z]+|\b__[a-z]+")
MADE = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
HISTOGRAMS = {
    "lease_renew_duration_seconds",
    "notifier_calls_duration_seconds",
    "proxy_request_duration_seconds",
    "reload_duration_seconds",
}
LABELS = {
    "build_info": "version",
    "config_hash": "rendering",
    "election_is_leader": "member_id",
    "gate_batches_released_total": "remote_name",
    "gate_batches_sent_on_total": "remote_name",
    "gate_behind_seconds": "remote_name",
    "gate_held_batches": "remote_name",
    "gate_held_bytes": "remote_name",
    "gate_held_since_timestamp_seconds": "remote_name",
    "gate_mark_timestamp_seconds": "remote_name",
    "gate_passed_bytes_total": "remote_name",
    "gate_requests_total": "outcome, remote_name",
    "gate_samples_left_out_total": "remote_name",
    "gate_samples_rejected_total": "reason, remote_name",
    "gate_samples_unconfirmed_total": "remote_name",
    "lease_errors_total": "reason",
    "proxy_requests_total": "code, method, target",
    "reloads_failed_total": "reason",
    "role": "role",
    "role_transitions_total": "reason",
    "targets_errors_total": "file, reason",
    "targets_groups": "file",
    "targets_last_change_time_seconds": "file",
    "targets_last_success_time_seconds": "file",
    "targets_members": "file",
    "targets_queue_messages_total": "result",
}


def main() -> None:
    """Print what comes in, with its tables made anew."""
    made = {"flags": "\n".join(map(group, GROUPS)), "metrics": metrics()}
    page = sys.stdin.read()
    sys.stdout.write(MADE.sub(lambda part: f"{part[1]}\n{made[part[2]]}\n{part[3]}", page))


def group(name: str) -> str:
    """Return a heading, and the table of the flags that belong there."""
    title = f"Only for `prometheus-elector {name}`" if name.islower() else name
    rows = map(row, GROUPS[name])
    return f"### {title}\n\n{table(('flag, variable', 'default', 'meaning'), rows)}"


def row(flag: Flag) -> tuple[str, ...]:
    """Return the cells of a flag."""
    names = (f"--{flag.name}", flag.env, *flag.also_env)
    default = flag.shown_default
    shown = f"`{default}`" if default and default == flag.default else coded(default)
    return "<br>".join(f"`{name}`" for name in names), shown, coded(flag.help)


def coded(text: str) -> str:
    """Return a text with its flags, patterns and paths as code; in Markdown they mean something."""
    parts = text.split("`")
    parts[::2] = (CODE.sub(r"`\g<0>`", part) for part in parts[::2])
    return "`".join(parts)


def metrics() -> str:
    """Return the table of metrics."""
    rows = (
        (f"`{PREFIX}{name}`", kind(name), LABELS.get(name, ""), coded(text))
        for name, text in HELP.items()
    )
    return table(("metric", "type", "labels", "meaning"), rows)


def kind(name: str) -> str:
    """Return the type of a metric."""
    if name in HISTOGRAMS:
        return "histogram"
    return "counter" if name.endswith(("_total", "calls_errors")) else "gauge"


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    return "".join(f"|{''.join(cells(each))}\n" for each in (heads, ("---",) * len(heads), *rows))


def cells(texts: tuple[str, ...]) -> Iterator[str]:
    """Yield the cells of a row, each with what ends it."""
    for text in texts:
        yield " |" if not text else f" {text.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    main()
