"""Planning: a cluster, manifests and questions in, a Plan out. Pure: the same in, the same out.

cluster's objects -> World -> settle
manifests, sizes, new nodes -> settle
zones that go, nodes that are drained -> settle
-> Plan
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeberth.api.batch import CronJob
from kubeberth.api.scheme import CRON_JOBS, JOBS, NAMESPACES, PODS, Resource
from kubeberth.api.workloads import seconds_of
from kubeberth.controllers.cache import ref_of
from kubeberth.errors import BerthError, InvalidObjectError, UsageError
from kubeberth.library.manifests import Source
from kubeberth.placement.profile import default_profile
from kubeberth.placement.ties import FirstAdded
from kubeberth.planner import questions as asked
from kubeberth.planner.kinds import TYPES
from kubeberth.planner.manifests import Reading, Wanted, read
from kubeberth.planner.moments import newest
from kubeberth.planner.outcome import Books, to_plan
from kubeberth.planner.params import is_param, params_of
from kubeberth.planner.plan import Plan, Warned
from kubeberth.planner.questions import Questions
from kubeberth.planner.rollouts import n_wanted
from kubeberth.planner.words import refusals
from kubeberth.planner.world import Rules, World

Document = Mapping[str, Any]

# As many as Kubernetes supports in one cluster; and three times as many nodes.
MAX_PODS = 150_000
MAX_NODES = 15_000

# Of a revision; etcd's are 64 bits.
_MAX_DIGITS = 19

# When nothing in a cluster says what time it is. 2026-01-01.
_NEW_YEAR = 1_767_225_600.0


def default_rules() -> Rules:
    """Return kube-scheduler's own rules; of equal nodes the first one is taken."""
    profile = default_profile()
    return Rules({profile.name: profile}, FirstAdded())


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be planned.

    Parameters
    ----------
    cluster
        The objects of the cluster, as an API server gives them or as manifests.
    wanted
        What is to be in it.
    rules
        By what pods are placed.
    watch
        Told how many decisions have been made, after each.
    unread
        What of the cluster may not be read, a line each.
    """

    cluster: Sequence[Document]
    wanted: Reading = field(default_factory=Reading)
    questions: Questions = field(default_factory=Questions)
    rules: Rules = field(default_factory=default_rules)
    watch: Callable[[int], None] = lambda _: None
    unread: Sequence[str] = ()


class RefusedError(BerthError):
    """The manifests hold objects that an API server would refuse.

    Attributes
    ----------
    errors
        Each fault.
    warnings
        What it would warn of besides.
    """

    def __init__(self, errors: Sequence[BerthError], warnings: Sequence[Warned] = ()) -> None:
        self.errors, self.warnings = tuple(errors), tuple(warnings)
        super().__init__("\n".join(map(str, errors)))


def make_plan(task: Task) -> Plan:
    """Return where everything lands; see `carry_out` for what it raises."""
    world, books = carry_out(task)
    plan = to_plan(world, books, task.wanted)
    return msgspec.structs.replace(plan, unread=tuple(task.unread))


def carry_out(task: Task) -> tuple[World, Books]:
    """Return the cluster as it is in the end, and what has happened to it.

    Raises
    ------
    RefusedError
        Manifests are refused.
    UsageError
        A question asks for what the cluster does not have.
    """
    at = newest(task.cluster)
    world = World(task.rules, _NEW_YEAR if at is None else at + 1, task.watch)
    load(world, task.cluster)
    has_namespaces = any(entry.get("kind") == NAMESPACES.kind for entry in task.cluster)
    world.settle()
    books = Books.open(world)
    _apply(world, task.wanted.wanted, books, is_strict=has_namespaces)
    for name, size in task.questions.scale:
        if size > MAX_PODS:
            raise UsageError(f"--scale {name}={size}: a plan takes {MAX_PODS} pods at most")
        books.concerned[asked.scale(world, name, size)] = None
    for nodes in task.questions.add_nodes:
        if nodes.count > MAX_NODES:
            raise UsageError(f"--add-nodes {nodes.count}: at most {MAX_NODES} at a time")
        asked.add_nodes(world, nodes)
    world.settle()
    for name in task.questions.drain:
        asked.cordon(world, name)
    books.lost += asked.lose_zones(world, task.questions.without)
    for name in task.questions.drain:
        books.drained[name] = asked.drain(world, name)
    world.settle()
    return world, books


def plan_in(
    cluster: Sequence[Document],
    sources: Sequence[Source],
    questions: Questions,
    rules: Rules,
    namespace: str = "default",
) -> Plan:
    """Return the plan of some manifests; see `make_plan`."""
    return make_plan(Task(cluster, read(sources, namespace), questions, rules))


def load(world: World, documents: Iterable[Document]) -> None:
    """Take in the objects of a cluster; those of kinds that no plan needs are left out.

    Raises
    ------
    InvalidObjectError
        An object that no API server has admitted would be refused.
    """
    by_kind = {(resource.api_version, resource.kind): resource for resource in TYPES}
    found: dict[Resource, list[Document]] = {resource: [] for resource in TYPES}
    given = list(documents)
    params = list(params_of(given))
    for document in given:
        kind = document.get("apiVersion", ""), document.get("kind", "")
        if (resource := by_kind.get(kind)) is not None:
            found[resource].append(document)
        if any(is_param(document, param) for param in params):
            world.objects.know_params(dict(document))
    # Pods that wait are tried by age, and of equals the last to come is a victim first; in a file
    # they stand by name.
    found[PODS].sort(key=_age)
    for resource, those in found.items():
        for document in those:
            world.objects.load(resource, document)
    namespaced = (resource for resource in TYPES if resource.namespaced)
    named = {item.metadata.namespace for each in namespaced for item in world.objects.all(each)}
    for name in sorted(named):
        world.objects.know_namespace(name)
    for pod in world.objects.all(PODS):
        world.evictions.look_at(pod)
        if not world.objects.has_kubelet(pod.spec.node_name):
            continue
        if pod.status.phase == "Pending":
            world.objects.bind(pod.metadata.key, pod.spec.node_name)
        if pod.is_terminating:
            world.objects.await_end(pod.metadata.key)


def _age(document: Document) -> tuple[float, int]:
    """Return what sorts objects by age; of one second, by when they were last written."""
    meta = document.get("metadata")
    revision = str(meta.get("resourceVersion", "")) if isinstance(meta, dict) else ""
    is_number = revision.isdecimal() and len(revision) <= _MAX_DIGITS
    stamp = meta.get("creationTimestamp") if isinstance(meta, dict) else None
    created_at = seconds_of(stamp) if isinstance(stamp, str) else 0.0
    return created_at, int(revision) if is_number else 0


def _apply(world: World, wanted: Iterable[Wanted], books: Books, *, is_strict: bool) -> None:
    """Take in manifests; all that are refused are told of together."""
    errors: list[BerthError] = []
    for item in wanted:
        namespace = str((item.document.get("metadata") or {}).get("namespace") or "")
        try:
            if item.resource.namespaced and namespace:
                _check_namespace(world, namespace, is_strict=is_strict)
            _apply_one(world, item, books)
        except InvalidObjectError as error:
            errors += item.blame_each(error)
        except BerthError as error:
            place = f"{item.manifest.source}: {item.resource.kind}"
            errors += (_NotTakenError(f"{place}: {why}") for why in refusals(error))
    if errors:
        raise RefusedError(errors, books.warnings)


class _NotTakenError(BerthError):
    """A manifest is fine in itself, and yet cannot be taken in."""


def _check_namespace(world: World, name: str, *, is_strict: bool) -> None:
    """Refuse what goes into a namespace that is not there, where the namespaces are known."""
    if is_strict and name != "default" and world.objects.get(NAMESPACES, name) is None:
        raise _NotTakenError(f'namespaces "{name}" not found')
    world.objects.know_namespace(name)


def _apply_one(world: World, item: Wanted, books: Books) -> None:
    objects, resource = world.objects, item.resource
    objects.warnings.clear()
    key = objects.apply(resource, item.document)
    books.warnings += (Warned(item.manifest.source, text) for text in objects.warnings)
    if key is None:
        books.unchanged.append(f"{resource.kind}/{item.document['metadata']['name']}")
        return
    books.concerned[resource, key] = None
    n_pods = n_wanted(objects.get(resource, key), 0)
    if n_pods > MAX_PODS:
        fault = ("spec.replicas", f"Invalid value: {n_pods}: a plan takes {MAX_PODS} pods at most")
        meta = item.document["metadata"]
        raise InvalidObjectError(resource.kind, meta.get("namespace", ""), meta["name"], [fault])
    if resource is CRON_JOBS:
        _start(world, objects.get(CRON_JOBS, key))


def _start(world: World, cron_job: CronJob | None) -> None:
    """Start a job of a cron job as if its time had come: its pods have to fit, too."""
    if cron_job is not None and not cron_job.spec.suspend:
        from kubeberth.controllers.batch.cron_job import new_job  # late: it knows calendars

        me = ref_of(CRON_JOBS, cron_job)
        job = new_job(cron_job, me, f"{me.name}-planned", world.objects.time)
        world.objects.create(JOBS, job)
