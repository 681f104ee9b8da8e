"""Creates and connects the threads and processes around Prometheus, once it has been started.

This module only creates the parts and gives each its settings. ``launch`` performs the steps before
the start of Prometheus.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wrapper.access.prometheus_access import PrometheusAccess
from wrapper.base import clock, log
from wrapper.base.process import Child, DeadMansSwitch
from wrapper.base.snapshot_channel import SnapshotWriter
from wrapper.base.thread_group import ThreadGroup
from wrapper.configuration.config_view import ConfigViewWriter
from wrapper.configuration.config_view_updater import ConfigViewUpdater
from wrapper.configuration.input_watch import InputWatch
from wrapper.election import lease_fields, step_down_pause
from wrapper.election.elector import Elector
from wrapper.election.kubernetes_lease import KubernetesLease
from wrapper.election.lease_rules import LeaseTerms
from wrapper.election.pod_label_state import PodLabel
from wrapper.election.pod_label_updater import PodLabelUpdater
from wrapper.election.pod_patch import Pod
from wrapper.model.lease import LeaseLock
from wrapper.model.roles import Role
from wrapper.options.gate_options import GateOptions
from wrapper.options.settings import HealthChecks, Settings
from wrapper.startup.startup_state import StartupHandles, StartupState
from wrapper.startup.startup_warnings import say_start
from wrapper.supervision import config_rollback, loaded_rendering, sensors
from wrapper.supervision.child_state import ChildState
from wrapper.supervision.configuration_state import ConfigurationState
from wrapper.supervision.event_queue import Events
from wrapper.supervision.gate_state import GateState
from wrapper.supervision.observation import Observation
from wrapper.supervision.performer import Output, Performer, PerformerParts
from wrapper.supervision.policy import Policy
from wrapper.supervision.prometheus_api import PrometheusApi
from wrapper.supervision.sensors import Fence, LoadedSensor, PrometheusWatch
from wrapper.supervision.snapshot_builder import Constants
from wrapper.supervision.stop_requests import StopRequests
from wrapper.supervision.supervisor import InitialState, Supervisor

if TYPE_CHECKING:
    from wrapper.supervision.gate_process import GateProcess
    from wrapper.supervision.reload_requests import ReloadRequests

MEASURE_PERIOD_S = 5.0
STEP_DOWN_PAUSE_S = 30.0  # the minimum
END_S = 1.0  # for all threads to end, once nothing depends on them
RELOAD_ALLOWANCE_S = 30.0  # for delays of a requested reload: other requests and other reloads


def supervise(
    start: StartupState,
    events: Events,
    threads: ThreadGroup,
    child: Child | None,
    handles: StartupHandles,
) -> tuple[int, bool]:
    """Start the threads, and run the loop, which starts the web server and the gate.

    Return the exit status, and whether this program has to execute itself again.
    """
    threading.excepthook = threads.excepthook
    settings = start.settings
    lock = handles.file_lease or _kubernetes_lease(start)
    terms = _terms(start)
    elector = Elector(lock, terms, events.put, threads.start) if lock is not None else None
    api = PrometheusApi(start.base_url, start.access or PrometheusAccess())
    loaded = LoadedSensor(api, events.put) if api.knows_status else None
    snapshots = SnapshotWriter()
    view_updater = ConfigViewUpdater(ConfigViewWriter(snapshots.fileno()))
    inputs = InputWatch(start.inputs, settings.files.rehash_period_s, events.put, view_updater.show)
    reloads = _reload_requests(settings, events)
    parts = PerformerParts(
        child=child.process if child else None,
        switch=DeadMansSwitch() if child else None,
        elector=elector,
        labeller=_labeller(settings, events),
        loaded=loaded,
        reloads=reloads,
        inputs=inputs,
        output=Output(start.output, settings.files.output_mode),
        last_good=start.saved,
        notifier=settings.notifier,
        api=api,
        start_web=_web_starter(start, snapshots),
        gate=_gate_process(start, terms, handles, events, threads),
    )
    performer = Performer(parts, events.put, threads)
    initial = _initial_state(start, terms, child, lock)
    watch = _start_threads(start, api, parts, events, threads)
    if not start.is_plain:
        threads.start("config-view", view_updater.run, view_updater.end)
    if reloads is not None:
        from wrapper.startup.targets_assembly import start_targets  # noqa: PLC0415 - few fetch files

        start_targets(start, reloads, events, watch, threads)
    say_start(start, initial.constants)
    try:
        status = Supervisor(initial, events, performer, snapshots).run()
        return status, performer.re_executes
    finally:
        performer.leave_nothing()
        threads.end(END_S)


def _kubernetes_lease(start: StartupState) -> KubernetesLease | None:
    """Return the Lease of Kubernetes, None if the leader is not elected by one."""
    if start.lock.kind != "kubernetes":
        return None
    lease = start.settings.lease
    return KubernetesLease(
        name=lease.name,
        namespace=lease.namespace,
        kubeconfig=lease.kubeconfig,
        incarnation=start.settings.replica.incarnation,
        request_timeout_s=lease.request_timeout_s,
    )


def _labeller(settings: Settings, events: Events) -> PodLabelUpdater | None:
    """Return the updater of this pod's label, None without --lease-pod-label."""
    lease, replica = settings.lease, settings.replica
    label = lease.pod_label
    if label is None:
        return None
    pod = Pod(
        name=replica.pod_name,
        namespace=replica.pod_namespace or lease.namespace,
        uid=replica.pod_uid,
        label=(label.key, label.value),
        kubeconfig=lease.kubeconfig,
        request_timeout_s=lease.request_timeout_s,
    )
    return PodLabelUpdater(pod, str(label), events.put)


def _reload_requests(settings: Settings, events: Events) -> ReloadRequests | None:
    """Return the object by which threads request reloads, None if no file is fetched."""
    if not settings.targets.feeds:
        return None
    from wrapper.supervision.reload_requests import ReloadRequests  # noqa: PLC0415 - few fetch files

    return ReloadRequests(events.put, settings.time_limits.reload_limit_s + RELOAD_ALLOWANCE_S)


def _terms(start: StartupState) -> LeaseTerms:
    lease = start.settings.lease
    return LeaseTerms(
        identity=_identity(start),
        incarnation=start.settings.replica.incarnation,
        duration_s=lease.duration_s,
        renew_deadline_s=lease.renew_deadline_s,
        retry_period_s=lease.retry_period_s,
        last_moment_s=lease.last_moment_s,
        url=start.base_url or None,
    )


def _identity(start: StartupState) -> str:
    """Return the holder identity.

    With a lock file, several replicas may share the hostname. So it then includes Prometheus' port,
    or the process ID if the port is not known, unless ``POD_NAME`` is set.
    """
    name = lease_fields.name(start.settings.replica.identity)  # as the API server returns it
    if start.lock.kind != "file" or os.environ.get("POD_NAME"):
        return name
    return f"{name}:{urlsplit(start.base_url).port or os.getpid()}"


def _initial_state(
    start: StartupState, terms: LeaseTerms, child: Child | None, lock: LeaseLock | None
) -> InitialState:
    now = clock.now()
    return InitialState(
        observation=replace(
            _first_observation(start, child, now),
            stopping=StopRequests(
                pause=None
                if lock is None
                else step_down_pause.read(step_down_pause.path_of(start.output))
            ),
        ),
        policy=_policy(start, terms, lock),
        constants=Constants(
            identity=terms.identity,
            election=lock.describe() if lock is not None else "none",
            prometheus_url=start.base_url,
            child_start_time=child.start_time if child else None,
            start_time=clock.wall(),
        ),
    )


def _first_observation(start: StartupState, child: Child | None, now: float) -> Observation:
    """Return the observation at the start.

    A Prometheus that this program has started has the follower rendering. A sidecar's Prometheus
    may still have the leader rendering of an earlier run. The pod may still have the label.
    """
    renderings = start.good
    known_child = ChildState(pid=child.process.pid if child else None)
    if child is not None and start.is_plain:
        plain = ConfigurationState(renderings, loaded_rendering.LoadState())
        return Observation(plain, now, child=known_child)
    label = PodLabel() if start.settings.lease.pod_label else None
    gate = GateState() if start.settings.gate.enabled else None
    problem = "\n".join(start.refusal)
    refused_here = problem if start.last_good is renderings else ""
    if child is not None:
        rollback = config_rollback.started_with(
            start.last_good or renderings,
            start.saved.proven_leader(renderings.leader),
            "" if refused_here else problem,
        )
        loading = loaded_rendering.started_with(start.first, now)
        configuration = ConfigurationState(renderings, loading, rollback, refused_here)
        return Observation(configuration, now, child=known_child, label=label, gate=gate)
    loading = loaded_rendering.write_started(
        loaded_rendering.LoadState(), renderings.of(Role.LEADER)
    )
    loading = loaded_rendering.written(loading, renderings.follower, now)
    configuration = ConfigurationState(renderings, loading, problem=refused_here)
    return Observation(configuration, now, label=label, gate=gate)


def _policy(start: StartupState, terms: LeaseTerms, lock: LeaseLock | None) -> Policy:
    settings = start.settings
    return Policy(
        terms=terms,
        fixed_role=Role(settings.lease.role) if lock is None else None,
        owns_child=settings.mode.owns_child,
        is_plain=settings.mode.is_plain,
        can_re_execute=start.can_re_execute,
        failure_threshold=settings.health_checks.failure_threshold,
        success_threshold=settings.health_checks.success_threshold,
        step_down_pause_s=max(STEP_DOWN_PAUSE_S, 2 * settings.lease.duration_s),
        shorten_lease=lock.command_to_shorten(terms.duration_s)
        if isinstance(lock, KubernetesLease)
        else "",
        is_lock_file=start.lock.kind == "file",
        gate_memory_bytes=settings.gate.memory_bytes if settings.gate.enabled else 0,
        **asdict(settings.time_limits),
    )


def _start_threads(
    start: StartupState,
    api: PrometheusApi,
    parts: PerformerParts,
    events: Events,
    threads: ThreadGroup,
) -> PrometheusWatch:
    settings = start.settings
    health_checks = _health_checks(settings, api)
    pid = parts.child.pid if parts.child else None
    fence = Fence(pid, urlsplit(start.base_url).port or 0)
    may_reload = start.is_plain and not settings.targets.fetches_rules
    watch = PrometheusWatch(api, health_checks, fence, events.put, may_reload=may_reload)
    threads.start("watch-prometheus", watch.run, watch.end)
    if parts.elector is not None:
        threads.start("elector", parts.elector.run, parts.elector.end)
    if parts.labeller is not None:
        threads.start("labeller", parts.labeller.run, parts.labeller.end)
    if parts.loaded is not None:
        threads.start("watch-loaded", parts.loaded.run, parts.loaded.end)
    if not start.is_plain:
        threads.start("watch-inputs", parts.inputs.run, parts.inputs.end)
    if pid is not None:
        ended = threading.Event()
        measure = partial(sensors.measure_child, pid, MEASURE_PERIOD_S, events.put, ended)
        threads.start("measure-child", measure, ended.set)
    return watch


def _health_checks(settings: Settings, api: PrometheusApi) -> HealthChecks:
    """Return the probes, with URLs from the flags, else from Prometheus' arguments."""
    health_checks = settings.health_checks
    if not settings.mode.owns_child:
        return health_checks
    return replace(
        health_checks,
        readiness_url=health_checks.readiness_url or api.url("/-/ready"),
        health_url=health_checks.health_url or api.url("/-/healthy"),
    )


def _gate_process(
    start: StartupState,
    terms: LeaseTerms,
    handles: StartupHandles,
    events: Events,
    threads: ThreadGroup,
) -> GateProcess | None:
    """Return what starts the gate, None without a gate."""
    listener = handles.gate_listener
    if listener is None:
        return None
    from wrapper.supervision.gate_process import GateProcess  # noqa: PLC0415 - few have a gate

    web = start.settings.web
    options = GateOptions(
        listen_fd=listener.fileno(),
        control_fd=-1,
        parent_pid=os.getpid(),
        memory_bytes=start.settings.gate.memory_bytes,
        identity=terms.identity,
        peers=web.peers,
        api_port=web.port,
        api_is_tls=bool(web.web_config_file),
        log_level=start.settings.log.level,
        log_form=log.form_in_use(),
    )
    return GateProcess(options, listener, lambda: handles.locks, events.put, threads)


def _web_starter(
    start: StartupState, snapshots: SnapshotWriter
) -> Callable[[], subprocess.Popen[bytes]]:
    """Return a function that starts the web server, which exits when this process exits."""
    options = replace(
        start.settings.web,
        snapshot_fd=snapshots.fileno(),
        parent_pid=os.getpid(),
        pause_file=str(step_down_pause.path_of(start.output)),
        log_level=start.settings.log.level,
        log_form=log.form_in_use(),
    )
    command, inherit = options.command(), (snapshots.fileno(),)
    return lambda: subprocess.Popen(command, pass_fds=inherit, process_group=0)
