"""Messages and what they ask for."""

from __future__ import annotations

from typing import Any

import pytest

from wrapper.model.fetched_file import FileKind
from wrapper.targets.promgen_task import BadTask, ForeignMessage, Task, TaskKind, read_task

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def message(name: str, *args: Any, **kwargs: Any) -> tuple[dict[str, Any], Any]:
    """Return headers and body as Celery's protocol 2 has them."""
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
def test_promgens_tasks_are_understood(sent: tuple[dict[str, Any], Any], task: Task) -> None:
    """By name or by position, all arguments are optional."""
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
def test_other_messages_are_not_ours(headers: dict[str, Any]) -> None:
    """Whatever else comes is somebody else's, and is named."""
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
def test_a_task_that_cannot_be_done_says_why(sent: tuple[dict[str, Any], Any], said: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(BadTask, match=said):
        read_task(*sent)
