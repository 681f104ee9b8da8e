"""Building: everything that runs around a Prometheus which has been started, or around another's.

Only what is wired to what belongs here, and each setting's place; what comes before Prometheus'
start is ``launch``'s.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wrapper import clock
from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.actors import Actors
from wrapper.configuration.exhibit import ExhibitWriter
from wrapper.configuration.exhibitor import Exhibitor
from wrapper.configuration.input_watch import InputWatch
from wrapper.election import lease_fields, pause
from wrapper.election.elector import Elector
from wrapper.election.file_lease import FileLease
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.election.labeller import Labeller
from wrapper.election.lease import Terms
from wrapper.election.pod import Pod
from wrapper.election.pod_label import PodLabel
from wrapper.model import LeaseLock, Role
from wrapper.options.settings import Settings
from wrapper.options.web_options import WebOptions
from wrapper.start import Start
from wrapper.start_said import say_start
from wrapper.supervision import acceptance, confirm, sensors
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.events import Events
from wrapper.supervision.leaving import Leaving
from wrapper.supervision.observation import Observation
from wrapper.supervision.performer import Notifier, Output, Parts, Performer
from wrapper.supervision.policy import Policy
from wrapper.supervision.process import Child, DeadMansSwitch
from wrapper.supervision.prometheus import PrometheusApi
from wrapper.supervision.sensors import Fence, LoadedSensor, Probing, PrometheusWatch
from wrapper.supervision.snapshot import SnapshotWriter
from wrapper.supervision.summary import Constants
from wrapper.supervision.supervisor import Frame, Supervisor

if TYPE_CHECKING:
    from wrapper.supervision.reload_desk import ReloadDesk

MEASURE_PERIOD_S = 5.0
STEP_DOWN_PAUSE_S = 30.0
REQUEST_SHARE = 0.8
END_S = 1.0  # for all threads to end, when nothing depends on them any more
RELOAD_ALLOWANCE_S = 30.0  # for what goes before a reload: a burst, and other reloads


def supervise(
    start: Start,
    events: Events,
    actors: Actors,
    child: Child | None,
    file_lease: FileLease | None,
) -> tuple[int, bool]:
    """Start the threads and the web server around Prometheus, and run the loop.

    ``file_lease`` is the lock file that Prometheus has inherited. Return the exit status, and
    whether this program is to be started again in its own place.
    """
    threading.excepthook = actors.caught
    settings = start.settings
    lock = file_lease or _kubernetes_lease(start)
    terms = _terms(start)
    elector = Elector(lock, terms, events.put, actors.start) if lock is not None else None
    api = PrometheusApi(_base_url(start), start.access or PrometheusAccess())
    loaded = LoadedSensor(api, events.put) if api.knows_status else None
    snapshots = SnapshotWriter()
    exhibitor = Exhibitor(ExhibitWriter(snapshots.fileno()))
    inputs = InputWatch(start.inputs, settings.rehash_period_s, events.put, exhibitor.show)
    reloads = _reload_desk(settings, events)
    parts = Parts(
        child=child.process if child else None,
        switch=DeadMansSwitch() if child else None,
        elector=elector,
        labeller=_labeller(settings, events),
        loaded=loaded,
        reloads=reloads,
        inputs=inputs,
        output=Output(start.output, settings.output_mode),
        last_good=start.keeper,
        notifier=_notifier(settings),
        api=api,
        start_web=_web_starter(start, snapshots),
    )
    performer = Performer(parts, events.put, actors)
    frame = _frame(start, terms, child, lock)
    watch = _start_threads(start, api, parts, events, actors)
    if not start.is_plain:
        actors.start("exhibitor", exhibitor.run, exhibitor.end)
    _start_targets(start, reloads, events, watch, actors)
    say_start(start, frame.constants)
    try:
        status = Supervisor(frame, events, performer, snapshots).run()
        return status, performer.starts_over
    finally:
        performer.leave_nothing()
        actors.end(END_S)


def _kubernetes_lease(start: Start) -> KubernetesLease | None:
    """Return the Lease that elects the leader, None where none does."""
    settings = start.settings
    if start.is_plain or settings.lock_kind(has_overrides=start.may_override) != "kubernetes":
        return None
    return KubernetesLease(
        name=settings.lease_name,
        namespace=settings.namespace,
        kubeconfig=settings.kubeconfig,
        incarnation=settings.incarnation,
        request_timeout_s=settings.lease_retry_period_s * REQUEST_SHARE,
    )


def _labeller(settings: Settings, events: Events) -> Labeller | None:
    """Return what labels our pod, None where no label is asked for."""
    label = settings.lease_pod_label
    if label is None:
        return None
    pod = Pod(
        name=settings.pod_name,
        namespace=settings.pod_namespace or settings.namespace,
        uid=settings.pod_uid,
        label=(label.key, label.value),
        kubeconfig=settings.kubeconfig,
        request_timeout_s=settings.lease_retry_period_s * REQUEST_SHARE,
    )
    return Labeller(pod, str(label), events.put)


def _reload_desk(settings: Settings, events: Events) -> ReloadDesk | None:
    """Return where reloads are asked for, None where no file is fetched."""
    if not settings.targets_url:
        return None
    from wrapper.supervision.reload_desk import ReloadDesk  # noqa: PLC0415 - few fetch files

    limit_s = settings.notify_retry_delay_s * settings.notify_retry_max_attempts
    return ReloadDesk(events.put, limit_s + RELOAD_ALLOWANCE_S)


def _start_targets(
    start: Start,
    reloads: ReloadDesk | None,
    events: Events,
    watch: PrometheusWatch,
    actors: Actors,
) -> None:
    """Start fetching, where anything is to be fetched."""
    if reloads is None:
        return
    from wrapper.targets.targets_assembly import start_targets  # noqa: PLC0415 - few fetch files

    start_targets(start, reloads, events, watch, actors)


def _terms(start: Start) -> Terms:
    settings = start.settings
    return Terms(
        identity=_identity(start),
        incarnation=settings.incarnation,
        duration_s=settings.lease_duration_s,
        renew_deadline_s=settings.lease_renew_deadline_s,
        retry_period_s=settings.lease_retry_period_s,
        last_moment_s=settings.last_moment_s,
        url=_base_url(start) or None,
    )


def _identity(start: Start) -> str:
    """Return who this replica is; on one machine the hostname alone would name them all."""
    settings = start.settings
    is_file = settings.lock_kind(has_overrides=start.may_override) == "file"
    name = lease_fields.name(settings.identity)  # as it will be read back
    if not is_file or os.environ.get("POD_NAME"):
        return name
    return f"{name}:{urlsplit(_base_url(start)).port or os.getpid()}"


def _base_url(start: Start) -> str:
    """Return where Prometheus answers, "" where that is not known."""
    settings = start.settings
    if settings.owns_child:
        return start.arguments.base_url
    for url, ending in (
        (settings.notify_http_url, "/-/reload"),
        (settings.readiness_http_url, "/-/ready"),
        (settings.healthcheck_http_url, "/-/healthy"),
    ):
        if url.endswith(ending):
            return url.removesuffix(ending)
    return ""


def _notifier(settings: Settings) -> Notifier:
    return Notifier(
        url=settings.notify_http_url,
        method=settings.notify_http_method,
        timeout_s=settings.notify_timeout_s,
    )


def _frame(start: Start, terms: Terms, child: Child | None, lock: LeaseLock | None) -> Frame:
    now = clock.now()
    return Frame(
        observation=replace(
            _first_observation(start, child, now),
            leaving=Leaving(
                pause=None if lock is None else pause.read(pause.path_of(start.output))
            ),
        ),
        policy=_policy(start, terms, lock),
        constants=Constants(
            identity=terms.identity,
            election=lock.describe() if lock is not None else "none",
            prometheus_url=_base_url(start),
            child_start_time=child.start_time if child else None,
            start_time=clock.wall(),
        ),
    )


def _first_observation(start: Start, child: Child | None, now: float) -> Observation:
    """Return what is known at the start.

    Our own child has the follower rendering; someone else's Prometheus may still have what an
    earlier run of ours left it with, and so may our pod its label.
    """
    renderings = start.good
    known_child = ChildState(pid=child.process.pid if child else None)
    if child is not None and start.is_plain:
        plain = ConfigurationState(renderings, confirm.Loading())
        return Observation(plain, now, child=known_child)
    label = PodLabel() if start.settings.lease_pod_label else None
    problem = "\n".join(start.refusal)
    refused_here = problem if start.last_good is renderings else ""
    if child is not None:
        accepted = acceptance.started_with(
            start.last_good or renderings,
            start.keeper.proven_leader(renderings.leader),
            "" if refused_here else problem,
        )
        loading = confirm.started_with(start.first, now)
        configuration = ConfigurationState(renderings, loading, accepted, refused_here)
        return Observation(configuration, now, child=known_child, label=label)
    loading = confirm.write_started(confirm.Loading(), renderings.of(Role.LEADER))
    loading = confirm.written(loading, renderings.follower, now)
    configuration = ConfigurationState(renderings, loading, problem=refused_here)
    return Observation(configuration, now, label=label)


def _policy(start: Start, terms: Terms, lock: LeaseLock | None) -> Policy:
    settings = start.settings
    return Policy(
        terms=terms,
        fixed_role=Role(settings.role) if lock is None else None,
        owns_child=settings.owns_child,
        is_plain=settings.is_plain,
        can_start_over=start.can_start_over,
        demotion_grace_s=settings.demotion_grace_s,
        prometheus_grace_s=settings.prometheus_grace_s,
        web_grace_s=settings.api_shutdown_grace_delay_s,
        reload_retry_s=settings.notify_retry_delay_s,
        reload_attempts=settings.notify_retry_max_attempts,
        cool_down_s=settings.cool_down_s,
        failure_threshold=settings.healthcheck_failure_threshold,
        success_threshold=settings.healthcheck_success_threshold,
        step_down_pause_s=max(STEP_DOWN_PAUSE_S, 2 * settings.lease_duration_s),
        shorten_lease=lock.command_to_shorten(terms.duration_s)
        if isinstance(lock, KubernetesLease)
        else "",
    )


def _start_threads(
    start: Start, api: PrometheusApi, parts: Parts, events: Events, actors: Actors
) -> PrometheusWatch:
    settings = start.settings
    probing = _probing(settings, api)
    pid = parts.child.pid if parts.child else None
    fence = Fence(pid, urlsplit(_base_url(start)).port or 0)
    watch = PrometheusWatch(api, probing, fence, events.put)
    actors.start("watch-prometheus", watch.run, watch.end)
    if parts.elector is not None:
        actors.start("elector", parts.elector.run, parts.elector.end)
    if parts.labeller is not None:
        actors.start("labeller", parts.labeller.run, parts.labeller.end)
    if parts.loaded is not None:
        actors.start("watch-loaded", parts.loaded.run, parts.loaded.end)
    if not start.is_plain:
        actors.start("watch-inputs", parts.inputs.run, parts.inputs.end)
    if pid is not None:
        ended = threading.Event()
        measure = partial(sensors.measure_child, pid, MEASURE_PERIOD_S, events.put, ended)
        actors.start("measure-child", measure, ended.set)
    return watch


def _probing(settings: Settings, api: PrometheusApi) -> Probing:
    """Return where to ask: what the flags say, else what follows from the child's arguments."""
    derived = settings.owns_child
    ready = settings.readiness_http_url or (api.url("/-/ready") if derived else "")
    healthy = settings.healthcheck_http_url or (api.url("/-/healthy") if derived else "")
    return Probing(
        readiness_url=ready,
        readiness_period_s=settings.readiness_poll_period_s,
        readiness_timeout_s=settings.readiness_timeout_s,
        health_url=healthy,
        health_period_s=settings.healthcheck_period_s,
        health_timeout_s=settings.healthcheck_timeout_s,
    )


def _web_starter(start: Start, snapshots: SnapshotWriter) -> Callable[[], subprocess.Popen[bytes]]:
    """Return what starts the web server; it dies with us by its own doing."""
    command = _web_options(start, snapshots).command()
    inherit = (snapshots.fileno(),)
    return lambda: subprocess.Popen(command, pass_fds=inherit, process_group=0)


def _web_options(start: Start, snapshots: SnapshotWriter) -> WebOptions:
    settings = start.settings
    return WebOptions(
        snapshot_fd=snapshots.fileno(),
        parent_pid=os.getpid(),
        host=settings.api_listen_address.host,
        port=settings.api_listen_address.port,
        web_config_file=settings.web_config_file,
        prometheus_http_config=settings.prometheus_http_config,
        workers=settings.api_workers,
        shutdown_grace_s=settings.api_shutdown_grace_delay_s,
        proxy_enabled=settings.api_proxy_enabled,
        local_port=settings.api_proxy_prometheus_local_port,
        remote_port=settings.api_proxy_prometheus_remote_port,
        service_name=settings.api_proxy_prometheus_service_name,
        connect_timeout_s=settings.api_proxy_connect_timeout_s,
        idle_timeout_s=settings.api_proxy_idle_timeout_s,
        proxy_admin=settings.api_proxy_admin,
        max_body_bytes=settings.api_proxy_max_body,
        runtime_metrics=settings.runtime_metrics,
        log_level=settings.log_level,
        log_as_json=settings.log_format == "json",
        pause_file=str(pause.path_of(start.output)),
        peers=settings.peers or tuple(filter(None, (settings.api_proxy_prometheus_service_name,))),
    )
