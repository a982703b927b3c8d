"""Soundness: whether account can be kept of an object at all.

Validation has seen to it where an API server stored the object. A broken server, or a caller of
`ClusterState.apply`, may bring an amount that is no quantity or is less than nothing, or
constraints that contradict each other; sums would be wrong for good, so such an object is refused
before anything changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from kubeberth.api.core import Container, ContainerStatus, Node, Pod
from kubeberth.api.meta import ObjectMeta
from kubeberth.api.quantity import QuantityError, parse_quantity
from kubeberth.api.storage import (
    CSIStorageCapacity,
    PersistentVolume,
    PersistentVolumeClaim,
    StorageObject,
)
from kubeberth.api.validation.field_error import FieldError, duplicate, invalid, not_supported
from kubeberth.api.validation.resources import NOT_NEGATIVE
from kubeberth.errors import InvalidObjectError

_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")

Amounts = Iterable[tuple[str, Mapping[str, str]]]
"""Paths of resource lists, and the lists."""


def check_node(node: Node) -> None:
    """Raise InvalidObjectError unless a node's amounts can be counted."""
    _check("Node", node.metadata, (("status.allocatable", node.status.allocatable),))


def check_pod(pod: Pod) -> None:
    """Raise InvalidObjectError unless a pod's amounts can be counted, and its constraints met."""
    _check("Pod", pod.metadata, _amounts_of(pod))
    faults = list(_constraint_faults(pod))
    if faults:
        raise InvalidObjectError("Pod", pod.metadata.namespace, pod.metadata.name, faults)


def check_storage(item: StorageObject) -> None:
    """Raise InvalidObjectError unless the sizes that a storage object names can be compared."""
    amounts: Amounts = ()
    match item:
        case PersistentVolumeClaim():
            amounts = (("spec.resources.requests", item.spec.resources.requests),)
        case PersistentVolume():
            amounts = (("spec.capacity", item.spec.capacity),)
        case CSIStorageCapacity():
            sizes = {"capacity": item.capacity, "maximumVolumeSize": item.maximum_volume_size}
            amounts = (("", {field: text for field, text in sizes.items() if text is not None}),)
    _check(type(item).__name__, item.metadata, amounts)


def _constraint_faults(pod: Pod) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with spread constraints: of one kind, a topology key has at most one."""
    met: set[tuple[str, str]] = set()
    for index, constraint in enumerate(pod.spec.topology_spread_constraints):
        here = f"spec.topologySpreadConstraints[{index}]"
        action = constraint.when_unsatisfiable
        if action not in _ACTIONS:
            fault = not_supported(f"{here}.whenUnsatisfiable", action, _ACTIONS)
            yield fault.field, fault.body
        pair = (constraint.topology_key, action)
        if pair in met:
            fault = duplicate(
                f"{here}.{{topologyKey, whenUnsatisfiable}}", f"{{{', '.join(pair)}}}"
            )
            yield fault.field, fault.body
        met.add(pair)


def _amounts_of(pod: Pod) -> Iterator[tuple[str, Mapping[str, str]]]:
    spec, status = pod.spec, pod.status
    yield from _of_containers(spec.containers, "spec.containers")
    yield from _of_containers(spec.init_containers, "spec.initContainers")
    yield "spec.overhead", spec.overhead
    if spec.resources is not None:
        yield "spec.resources.requests", spec.resources.requests
    yield from _of_statuses(status.container_statuses, "status.containerStatuses")
    yield from _of_statuses(status.init_container_statuses, "status.initContainerStatuses")
    yield "status.allocatedResources", status.allocated_resources
    if status.resources is not None:
        yield "status.resources.requests", status.resources.requests


def _of_containers(
    containers: Iterable[Container], path: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    for index, container in enumerate(containers):
        yield f"{path}[{index}].resources.requests", container.resources.requests


def _of_statuses(
    statuses: Iterable[ContainerStatus], path: str
) -> Iterator[tuple[str, Mapping[str, str]]]:
    for index, status in enumerate(statuses):
        yield f"{path}[{index}].allocatedResources", status.allocated_resources
        if status.resources is not None:
            yield f"{path}[{index}].resources.requests", status.resources.requests


def _check(kind: str, meta: ObjectMeta, amounts: Amounts) -> None:
    faults = [
        (fault.field, fault.body)
        for path, resources in amounts
        for name, text in resources.items()
        if (fault := _fault(f"{path}[{name}]" if path else name, text)) is not None
    ]
    if faults:
        raise InvalidObjectError(kind, meta.namespace, meta.name, faults)


def _fault(field: str, text: str) -> FieldError | None:
    try:
        quantity = parse_quantity(text)
    except QuantityError as error:
        return invalid(field, text, str(error))
    return invalid(field, text, NOT_NEGATIVE) if quantity.nanos < 0 else None
