"""How a Grafana dashboard is written: panels that Grafana brings with it, and their places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

WIDTH, STAT_HEIGHT, HEIGHT = 24, 4, 8
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
ELECTION = "{{cluster}} {{namespace}} {{job}}"
REPLICA = "{{pod}} {{instance}}"
BY_REPLICA = "sum by (cluster, namespace, pod, instance)"
BAD, GOOD, IDLE, WARN = "red", "green", "#6e7687", "orange"


@dataclass(frozen=True)
class Panel:
    """One panel: its queries by their legends, its width of 24, and what is special about it."""

    title: str
    about: str
    queries: dict[str, str]
    width: int = 12
    unit: str = "short"
    kind: str = "timeseries"
    defaults: dict[str, Any] = field(default_factory=lambda: {"min": 0})
    options: dict[str, Any] = field(default_factory=dict)


def steps(*colours: str | tuple[float, str]) -> dict[str, Any]:
    """Return thresholds: the first colour, and each other one from its value on."""
    pairs = [each if isinstance(each, tuple) else (None, each) for each in colours]
    return {
        "color": {"mode": "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in pairs],
        },
    }


def words(no: str, yes: str, *, no_is: str, yes_is: str) -> dict[str, Any]:
    """Return how 0 and 1 are shown."""
    options = {
        "0": {"text": no, "color": no_is, "index": 0},
        "1": {"text": yes, "color": yes_is, "index": 1},
    }
    return {**steps(no_is, (1, yes_is)), "mappings": [{"type": "value", "options": options}]}


def stat(title: str, about: str, query: str, **more: Any) -> Panel:
    """Return a panel of one number as it is now."""
    calculated = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
    options = {**calculated, **more.pop("options", {})}
    return Panel(title, about, {ELECTION: query}, 4, kind="stat", options=options, **more)


def timeline(title: str, about: str, queries: dict[str, str], shown: dict[str, Any]) -> Panel:
    """Return a panel of who was what, when."""
    options = {"showValue": "never", "mergeValues": True, "rowHeight": 0.8}
    return Panel(
        title, about, queries, kind="state-timeline", defaults=shown, options=options, width=12
    )


def bars(
    title: str, about: str, queries: dict[str, str], unit: str = "short", width: int = 12
) -> Panel:
    """Return a panel of how often something happened, stacked."""
    custom = {"drawStyle": "bars", "fillOpacity": 80, "stacking": {"mode": "normal"}}
    return Panel(title, about, queries, width, unit=unit, defaults={"min": 0, "custom": custom})


def placed(rows: dict[str, list[Panel]]) -> Iterator[dict[str, Any]]:
    """Yield each row's head and panels, with their places."""
    y = number = 0
    for title, panels in rows.items():
        number += 1
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            height = STAT_HEIGHT if panel.kind == "stat" else HEIGHT
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            yield {"id": number, "gridPos": place, **drawn(panel)}
            x += panel.width
        y += height


def drawn(panel: Panel) -> dict[str, Any]:
    """Return a panel as Grafana reads it, but for its place."""
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": letter,
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            }
            for letter, (legend, query) in zip("ABCDEF", panel.queries.items(), strict=False)
        ],
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": []},
        "options": panel.options,
    }
