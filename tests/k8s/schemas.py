"""Kubernetes' newest published schema, from its Python client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kubernetes.client import models

SCALARS: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": float}


def misfits(of: dict[str, Any]) -> Iterator[str]:
    """Yield the fields of an object that its kind's schema does not have, or has otherwise."""
    group, _, version = of["apiVersion"].rpartition("/")
    model = getattr(models, f"{version.capitalize()}{of['kind']}", None)
    if model is None:
        yield f"{group or 'core'}/{version} {of['kind']}: no such kind"
        return
    yield from _object(model, of, of["kind"])


def _object(model: Any, value: object, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: no {model.__name__}"
        return
    names = {json: python for python, json in model.attribute_map.items()}
    for key, each in value.items():
        if key not in names:
            yield f"{path}.{key}: unknown"
        else:
            yield from _value(model.openapi_types[names[key]], each, f"{path}.{key}")


def _value(kind: str, value: object, path: str) -> Iterator[str]:
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        if not isinstance(value, list):
            yield f"{path}: no list"
            return
        for number, each in enumerate(value):
            yield from _value(inner[1], each, f"{path}[{number}]")
    elif inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        if not isinstance(value, dict):
            yield f"{path}: no map"
            return
        for key, each in value.items():
            yield from _value(inner[1], each, f"{path}[{key}]")
    elif kind in SCALARS:
        if not isinstance(value, SCALARS[kind]):
            yield f"{path}: {value!r} is no {kind}"
    elif hasattr(models, kind):
        yield from _object(getattr(models, kind), value, path)
