"""Messages of Promgen and the tasks that they request."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.model.fetched_file import FileKind
from wrapper.targets.promgen_task import BadTask, ForeignMessage, Task, TaskKind, read_task

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(name: str, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], Any]:
    """Return headers and body in the form of Celery's protocol 2."""
    return {"task": f"promgen.tasks.{name}", "lang": "py"}, [list(args), kwargs, EMBED]


@pytest.mark.parametrize(
    ("sent", "task"),
    [
        (message("write_config"), Task(FileKind.TARGETS)),
        (message("write_urls", reload=False), Task(FileKind.URLS)),
        (
            message("write_rules", path=None, reload=True, chmod=0o644),
            Task(FileKind.RULES, "", 0o644),
        ),
        (message("write_rules", "/p/r.yml", None, 0o600), Task(FileKind.RULES, "/p/r.yml", 0o600)),
        (message("write_urls", chmod=0o777), Task(FileKind.URLS, "", 0o755)),
        (message("write_config", path="/p/t.json"), Task(FileKind.TARGETS, "/p/t.json")),
        (message("reload_prometheus"), Task(TaskKind.RELOAD)),
        (message("clear_tombstones"), Task(TaskKind.CLEAN_TOMBSTONES)),
        (({"task": "promgen.celery.debug_task"}, [[], {}, EMBED]), Task(TaskKind.NOTHING)),
    ],
)
def test_tasks_of_promgen_are_recognised(sent: tuple[dict[str, Any], Any], task: Task) -> None:
    """Arguments may be given by name or by position, and all are optional."""
    assert read_task(*sent) == task


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"task": "promgen.tasks.process_alert"},
        {"task": 3},
        {"task": ""},
        {"task": []},
        {"task": "celery.backend_cleanup"},
    ],
)
def test_other_messages_are_refused(headers: dict[str, Any]) -> None:
    """A message of another program is refused, with its name."""
    with pytest.raises(ForeignMessage, match=r"."):
        read_task(headers, [[], {}, EMBED])


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (message("write_config", path="t.json"), "not an absolute path"),
        (message("write_config", path=3), "not an absolute path"),
        (message("write_config", path="/p/a\0.json"), "unprintable"),
        (message("write_config", path="/p/\ud800.json"), "unprintable"),
        (message("write_config", path="/p/\x1b[2J.json"), "unprintable"),
        (message("write_config", path=f"/p/{'é' * 126}.json"), "too long"),
        (message("write_config", chmod="644"), "chmod is not"),
        (message("write_config", chmod=0o4755), "chmod is not"),
        (message("write_config", chmod=0o044), "chmod is not"),
        (message("write_config", chmod=True), "chmod is not"),
        (message("write_config", "/p", None, 0o644, 1), "arguments that"),
        (message("write_config", mode=1), "arguments that"),
        ((message("write_config")[0], "words"), "protocol 2"),
        ((message("write_config")[0], [{}, [], {}]), "protocol 2"),
    ],
)
def test_invalid_task_is_refused_with_its_reason(
    sent: tuple[dict[str, Any], Any], said: str
) -> None:
    """A task with invalid arguments is refused rather than guessed."""
    with pytest.raises(BadTask, match=said):
        read_task(*sent)
