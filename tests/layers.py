"""The import layers of `wrapper/`: a module imports only what stands in rows above its own.

The tables below are the rule; `scripts/check` runs this file. Every import counts, also one inside
a function or under TYPE_CHECKING. A module in no row fails the check. A module's folder says
what it is about, its row what it may know; no two modules have one name.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "wrapper"
ROOT = Path(__file__).parent.parent / PACKAGE
FOLDERS = frozenset(path.parent.name for path in ROOT.glob("*/__init__.py"))

# Each row may import from those above it.
ROWS: dict[str, tuple[str, ...]] = {
    "values": (
        "durations",
        "feed",
        "feed_refused",
        "flags",
        "iri",
        "flag_values",
        "command_line",
        "usage",
        "groups",
        "settings",
        "fitting",
        "loading",
        "model",
        "metric_names",
        "web_options",
    ),
    "pure": (
        "lease_fields",
        "lease",
        "health",
        "pod_label",
        "confirm",
        "acceptance",
        "policy",
        "keeping",
        "configuration_state",
        "requested_reload",
        "child_state",
        "web_state",
        "lease_state",
        "fencing",
        "promotion",
        "leaving",
        "asked",
        "targets_state",
        "writer",
        "rendered_file",
        "observation",
        "candidacy",
        "fence",
        "departure",
        "plan",
        "reducer",
        "tally",
        "history",
        "succession",
        "timeline",
        "summary",
        "problems",
        "yaml_nodes",
        "yaml_inspection",
        "yaml_cuts",
        "yaml_text",
        "config_paths",
        "redact",
        "client_files",
        "harmless",
        "remote_duplicates",
        "patch",
        "merge",
        "landing",
        "unified",
        "comparison",
        "report",
        "sections",
        "render",
        "envsubst",
        "settling",
        "prometheus_args",
        "lease_object",
        "http_head",
        "http_body",
        "refusals",
        "own_fields",
        "forwarded_request",
        "forwarded_response",
        "yaml_fields",
        "tls_values",
        "web_config",
        "http_config",
        "feed_answer",
        "promgen_task",
        "silence",
        "pace",
    ),
    "ground": ("clock", "bounded", "actors"),
    "adapters": (
        "files",
        "renewed",
        "proxies",
        "tls_context",
        "prometheus_access",
        "web_access",
        "process",
        "child_usage",
        "http_client",
        "request_errors",
        "prometheus",
        "kubeconfig",
        "credentials",
        "api_errors",
        "cluster",
        "kubernetes_lease",
        "pod",
        "lock_content",
        "file_lease",
        "pause",
        "slots",
        "snapshot",
        "exhibit",
        "log",
        "file_checks",
        "inputs",
        "file_events",
        "beside_output",
        "promtool",
        "trial",
        "last_good",
        "rule_check",
        "feed_fetch",
        "feed_file",
        "broker",
    ),
    "actors": (
        "events",
        "elector",
        "labeller",
        "sensors",
        "exhibitor",
        "input_watch",
        "reload_desk",
        "rule_loads",
        "shard",
        "feed_requests",
        "feeds",
        "errand",
        "tombstones",
        "feed_desk",
        "target_queue",
        "performer",
        "change_log",
        "supervisor",
    ),
    "edge": (
        "figures",
        "families",
        "state_metrics",
        "targets_told",
        "metrics",
        "status",
        "names",
        "peers",
        "page",
        "step_down",
        "passwords",
        "protection",
        "upstream",
        "route",
        "leader",
        "client",
        "exchange_watch",
        "exchange",
        "proxy",
        "wsgi",
        "worker",
        "server",
        "web",
    ),
    "top": (
        "init",
        "doors",
        "targets_start",
        "start",
        "start_said",
        "targets_assembly",
        "assembly",
        "launch",
        "check",
        "targets_once",
        "remote_words",
        "remote",
        "__main__",
    ),
}

# Within a row nothing imports its siblings, but for these.
SIBLINGS: dict[str, set[str]] = {
    "actors": {"clock"},
    "flag_values": {"durations", "feed", "flags", "iri"},
    "command_line": {"flags", "flag_values"},
    "usage": {"flags"},
    "fitting": {"durations", "feed", "command_line", "settings"},
    "web_options": {"groups"},
    "settings": {"feed", "flag_values", "groups", "web_options"},
    "loading": {
        "flags",
        "flag_values",
        "command_line",
        "fitting",
        "groups",
        "settings",
        "web_options",
    },
    "lease": {"lease_fields"},
    "lease_object": {"lease_fields"},
    "acceptance": {"confirm"},
    "pod_label": {"health"},
    "policy": {"lease"},
    "configuration_state": {"confirm", "acceptance", "keeping"},
    "requested_reload": {"configuration_state"},
    "child_state": {"health", "policy"},
    "promotion": {"health"},
    "leaving": {"policy"},
    "asked": {"leaving"},
    "writer": {"policy"},
    "rendered_file": {"configuration_state", "child_state", "confirm", "policy"},
    "observation": {
        "writer",
        "rendered_file",
        "pod_label",
        "configuration_state",
        "requested_reload",
        "child_state",
        "web_state",
        "lease_state",
        "fencing",
        "promotion",
        "leaving",
        "asked",
        "targets_state",
    },
    "reducer": {
        "pod_label",
        "policy",
        "configuration_state",
        "requested_reload",
        "child_state",
        "web_state",
        "lease_state",
        "fencing",
        "promotion",
        "leaving",
        "asked",
        "targets_state",
        "writer",
        "rendered_file",
        "observation",
        "plan",
    },
    "candidacy": {"lease", "confirm", "observation", "policy"},
    "fence": {"observation", "policy"},
    "departure": {"observation", "policy"},
    "plan": {
        "lease",
        "health",
        "pod_label",
        "confirm",
        "policy",
        "keeping",
        "configuration_state",
        "requested_reload",
        "child_state",
        "web_state",
        "lease_state",
        "fencing",
        "promotion",
        "leaving",
        "asked",
        "targets_state",
        "writer",
        "rendered_file",
        "observation",
        "candidacy",
        "fence",
        "departure",
    },
    "tally": {"confirm", "observation", "plan"},
    "history": {"observation", "plan"},
    "summary": {"candidacy", "lease", "confirm", "observation", "plan", "policy"},
    "yaml_nodes": {"problems"},
    "yaml_inspection": {"problems", "yaml_nodes"},
    "yaml_cuts": {"yaml_nodes"},
    "yaml_text": {"yaml_nodes", "yaml_cuts"},
    "config_paths": {"yaml_nodes"},
    "redact": {"config_paths", "yaml_nodes"},
    "client_files": {"config_paths", "yaml_nodes", "yaml_cuts"},
    "harmless": {"yaml_nodes", "yaml_text"},
    "remote_duplicates": {"problems", "yaml_nodes", "yaml_cuts"},
    "patch": {"problems", "yaml_nodes", "yaml_cuts"},
    "merge": {"problems", "yaml_nodes", "patch"},
    "landing": {"problems", "yaml_nodes", "patch", "merge"},
    "comparison": {"problems", "yaml_nodes", "redact", "landing", "unified", "sections"},
    "report": {"landing", "comparison"},
    "sections": {
        "problems",
        "yaml_nodes",
        "yaml_inspection",
        "yaml_cuts",
        "config_paths",
        "patch",
        "remote_duplicates",
    },
    "render": {
        "problems",
        "yaml_nodes",
        "yaml_text",
        "merge",
        "sections",
        "remote_duplicates",
        "client_files",
    },
    "envsubst": {"problems"},
    "yaml_fields": {"problems", "sections", "yaml_inspection", "yaml_nodes"},
    "tls_values": {"problems", "yaml_fields"},
    "web_config": {"problems", "sections", "tls_values", "yaml_fields"},
    "http_config": {"problems", "sections", "tls_values", "yaml_fields"},
    "feed_answer": {"problems", "yaml_inspection", "yaml_nodes"},
    "renewed": {"files"},
    "tls_context": {"files"},
    "prometheus_access": {"files", "renewed", "tls_context"},
    "web_access": {"files", "renewed", "tls_context"},
    "http_client": {"prometheus_access", "proxies"},
    "request_errors": {"proxies"},
    "prometheus": {"http_client", "prometheus_access", "request_errors"},
    "file_checks": {"files"},
    "inputs": {"files", "file_checks"},
    "file_events": {"files"},
    "beside_output": {"files"},
    "promtool": {"beside_output"},
    "trial": {"beside_output", "process"},
    "last_good": {"files", "inputs"},
    "pause": {"files"},
    "snapshot": {"slots"},
    "exhibit": {"slots"},
    "rule_check": {"promtool", "beside_output"},
    "feed_fetch": {"http_client", "prometheus_access", "proxies", "request_errors"},
    "feed_file": {"files"},
    "kubeconfig": {"files", "proxies", "renewed"},
    "credentials": {"kubeconfig", "prometheus_access", "renewed"},
    "api_errors": {"kubeconfig", "request_errors"},
    "cluster": {
        "api_errors",
        "credentials",
        "child_usage",
        "http_client",
        "kubeconfig",
        "renewed",
        "request_errors",
    },
    "kubernetes_lease": {"kubeconfig", "api_errors", "cluster"},
    "file_lease": {"lock_content"},
    "pod": {"api_errors", "cluster"},
    "rule_loads": {"reload_desk"},
    "feeds": {"feed_requests", "rule_loads", "shard"},
    "errand": {"feed_requests"},
    "feed_desk": {"errand", "feed_requests", "feeds"},
    "target_queue": {"feed_desk"},
    "performer": {"elector", "labeller", "sensors", "input_watch", "reload_desk"},
    "supervisor": {"events", "elector", "sensors", "performer", "change_log"},
    "http_body": {"http_head"},
    "forwarded_request": {"http_head", "http_body"},
    "forwarded_response": {"http_head", "http_body", "own_fields", "forwarded_request"},
    "state_metrics": {"families"},
    "targets_told": {"families"},
    "peers": {"names"},
    "page": {"peers", "status"},
    "step_down": {"peers"},
    "metrics": {"families", "figures", "state_metrics", "targets_told"},
    "upstream": {"names"},
    "route": {"upstream"},
    "exchange_watch": {"client", "exchange"},
    "leader": {"upstream", "route"},
    "exchange": {"upstream", "route", "leader", "client"},
    "protection": {"passwords"},
    "proxy": {
        "route",
        "leader",
        "client",
        "exchange_watch",
        "exchange",
        "figures",
        "protection",
    },
    "wsgi": {"client"},
    "worker": {"route", "client", "exchange_watch", "proxy", "wsgi"},
    "server": {"figures", "upstream", "worker"},
    "web": {
        "passwords",
        "protection",
        "proxy",
        "route",
        "metrics",
        "status",
        "peers",
        "page",
        "step_down",
        "figures",
        "server",
        "worker",
        "wsgi",
    },
    "start": {"doors", "targets_start"},
    "targets_assembly": {"start", "targets_start"},
    "start_said": {"start"},
    "assembly": {"start", "start_said", "targets_assembly"},
    "launch": {"start", "assembly"},
    "check": {"start"},
    "targets_once": {"targets_start"},
    "remote": {"start", "remote_words"},
    "__main__": {"init", "start", "launch", "check", "targets_once", "remote"},
}

# Rows above that a row may still not know.
HIDDEN: dict[str, set[str]] = {"edge": {"actors"}}

# Foreign packages that one module alone may import.
SOLE_IMPORTER: dict[str, str] = {
    "kubernetes": "credentials",
    "inotify_simple": "file_events",
    "bcrypt": "passwords",
    "kombu": "broker",
}

# What does I/O, has a clock or starts something: not for these rows, but for the exceptions.
WITHOUT_IO = ("values", "pure")
# fmt: off
IO_PACKAGES = frozenset({
    "asyncio", "concurrent", "ctypes", "fcntl", "flask", "gevent", "gunicorn", "http",
    "inotify_simple", "io", "kubernetes", "logging", "mmap", "multiprocessing", "os",
    "prometheus_client", "psutil", "queue", "requests", "select", "selectors", "shutil", "signal",
    "socket", "socketserver", "ssl", "subprocess", "tempfile", "threading", "time", "urllib3",
})
# fmt: on
IO_EXCEPTIONS: dict[str, set[str]] = {
    "plan": {"signal"},  # the numbers only
    "child_state": {"signal"},  # likewise
    "configuration_state": {"signal"},  # likewise
    "promotion": {"signal"},  # likewise
    "leaving": {"signal"},  # likewise
    "asked": {"signal"},  # likewise
    "fence": {"signal"},  # likewise
    "departure": {"signal"},  # likewise
    "tally": {"signal"},  # likewise
}


def main() -> int:
    """Check the package beside this folder; print each violation and return the exit status."""
    paths = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__init__.py"]
    sources = {path.stem: path.read_text(encoding="utf-8") for path in paths}
    if len(sources) < len(paths):
        raise SystemExit("two modules have one name: rename one")
    found = list(violations(sources))
    for line in found:
        sys.stdout.write(line + "\n")
    sys.stdout.write(f"import layers: {len(sources)} modules, {len(found)} violations\n")
    return 1 if found else 0


def violations(sources: dict[str, str]) -> Iterator[str]:
    """Yield one sentence for each forbidden import in `sources` (module name → text)."""
    for module, text in sources.items():
        if row_of(module) is None:
            yield f"{module}.py is in no layer: add it to ROWS in tests/layers.py"
            continue
        for line, target in imports(ast.parse(text)):
            complaint = judge(module, target)
            if complaint:
                yield f"{module}.py:{line}: {complaint}"


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import; of a folder, that of each module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if base == PACKAGE or base.removeprefix(f"{PACKAGE}.") in FOLDERS:
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def judge(module: str, target: str) -> str | None:
    """Say what is wrong with `module` importing the dotted name `target`; None where nothing is."""
    package, _, rest = target.partition(".")
    if package == PACKAGE:
        folder, _, name = rest.partition(".")
        return judge_sibling(module, name.partition(".")[0] if folder in FOLDERS else folder)
    if SOLE_IMPORTER.get(package, module) != module:
        return f"only {SOLE_IMPORTER[package]} may import {package}"
    is_io = package in IO_PACKAGES and package not in IO_EXCEPTIONS.get(module, ())
    if is_io and row_of(module) in WITHOUT_IO:
        return f"{module} is in the layer of {row_of(module)}, which may not import {package}"
    return None


def judge_sibling(module: str, target: str) -> str | None:
    """Say what is wrong with one module of the package importing another."""
    own, other = row_of(module), row_of(target)
    if own is None or other is None:
        return None  # a name of the package itself, or a module reported on its own
    order = list(ROWS)
    if own == other:
        is_allowed = target in SIBLINGS.get(module, ())
    else:
        is_allowed = order.index(other) < order.index(own) and other not in HIDDEN.get(own, ())
    return None if is_allowed else f"{module} ({own}) may not import {target} ({other})"


def row_of(module: str) -> str | None:
    """Return the row that a module stands in."""
    return next((row for row, modules in ROWS.items() if module in modules), None)


if __name__ == "__main__":
    sys.exit(main())
