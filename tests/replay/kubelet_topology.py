"""Replays recorded scenarios of the resource managers, `tests/golden/kubelet/README.md`."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.defaults import apply_defaults
from kubeberth.api.qos import qos_class
from kubeberth.api.scheme import PODS
from kubeberth.topology.configuration import POD_LEVEL_GATE, KubeletConfiguration, StartError
from kubeberth.topology.cpuset import cpu_list
from kubeberth.topology.description import machine_from, plugins_from
from kubeberth.topology.machine import Machine
from kubeberth.topology.managers import Admission, Allocations, Managers
from kubeberth.topology.masks import members
from kubeberth.topology.requests import pod_request
from kubeberth.topology.start import KeptState, start

Document = dict[str, Any]

# Hints are not recorded of machines with more NUMA nodes: there would be too many.
MOST_WITH_HINTS = 4


def defaulted(document: Document) -> Document:
    """Return a pod as the API server stores it, with its name as its UID."""
    pod = copy.deepcopy(document)
    apply_defaults(PODS, pod)
    pod["metadata"] |= {"namespace": "default", "uid": pod["metadata"]["name"]}
    pod["status"] = {"qosClass": qos_class(pod["spec"])}
    return pod


@dataclass
class Node:
    """A kubelet that goes through a scenario."""

    machine: Machine
    configuration: KubeletConfiguration
    plugins: list[Document]
    managers: Managers
    allocations: Allocations
    active: dict[str, Pod] = field(default_factory=dict)

    @classmethod
    def started(cls, scenario: Document) -> Node:
        """Return the node of a scenario; raises StartError."""
        machine = machine_from(scenario["machine"])
        configuration = msgspec.convert(scenario["config"], KubeletConfiguration)
        plugins = scenario.get("devices", [])
        managers, allocations = start(machine, configuration, plugins_from(plugins, machine))
        return cls(machine, configuration, plugins, managers, allocations)

    def restart(self, config: Document | None) -> None:
        """Start anew with the present state."""
        before = self.configuration
        if config is not None:
            self.configuration = msgspec.convert(config, KubeletConfiguration)
        kept = KeptState(
            before.cpu_manager_policy, before.memory_manager_policy, _kept(self.allocations)
        )
        plugins = plugins_from(self.plugins, self.machine)
        self.managers, self.allocations = start(self.machine, self.configuration, plugins, kept)

    def set_devices(self, plugin: Document) -> None:
        """Replace the devices of one plugin."""
        others = [one for one in self.plugins if one["resource"] != plugin["resource"]]
        self.plugins = [*others, plugin]
        self.managers = self.managers.with_plugins(plugins_from(self.plugins, self.machine))

    def admit(self, pod: Pod) -> Admission:
        """Have a pod go through the managers; what a refused one held is given back."""
        pools = self.configuration.has(POD_LEVEL_GATE)
        admission = self.managers.admit(self.allocations, pod_request(pod, pools=pools))
        self.allocations = admission.allocations
        if admission.refusal is not None:
            self.drop([pod.metadata.name])
        return admission

    def drop(self, uids: Iterable[str]) -> None:
        """Take back what some pods have."""
        for uid in uids:
            self.allocations = self.allocations.without(uid)
            self.active.pop(uid, None)

    def start_containers(self, name: str) -> None:
        """Start all containers of a pod, one after the other."""
        if (pod := self.active.get(name)) is None:
            return
        request = pod_request(pod, pools=self.configuration.has(POD_LEVEL_GATE))
        names = [one.name for one in request.containers]
        self.allocations = self.managers.started(self.allocations, request, names)

    def shown(self) -> Document:
        """Return the state as it is recorded."""
        return shown(self.managers, self.allocations)


def _kept(allocations: Allocations) -> Allocations:
    """Return what survives a restart."""
    nobody = ("", frozenset())
    return Allocations(
        replace(allocations.cpus, reusable=nobody),
        replace(allocations.memory, reusable=("", {})),
        replace(allocations.devices, reusable=("", {})),
    )


def shown(managers: Managers, allocations: Allocations) -> Document:
    """Return allocations as they are recorded; empty maps are left out."""
    state: Document = {
        "cpus": {
            uid: {name: cpu_list(cpus) for name, cpus in containers.items()}
            for uid, containers in allocations.cpus.assigned.items()
        },
        "blocks": {
            uid: {
                name: {
                    block.type: {"numa": list(members(block.mask)), "size": block.size_bytes}
                    for block in blocks
                }
                for name, blocks in containers.items()
            }
            for uid, containers in allocations.memory.blocks.items()
        },
        "devices": {
            uid: {
                name: {resource: sorted(ids) for resource, ids in resources.items()}
                for name, resources in containers.items()
            }
            for uid, containers in allocations.devices.held.items()
        },
    }
    state = {key: value for key, value in state.items() if value}
    if managers.cpus is not None:
        state["shared"] = cpu_list(allocations.cpus.shared)
    if managers.memory is not None:
        state["memory"] = {
            str(numa_id): {
                "assignments": table.n_assignments,
                "cells": list(members(table.cells)),
                "free": {type_: stock.free for type_, stock in table.stocks.items()},
            }
            for numa_id, table in allocations.memory.tables.items()
        }
    return state


def verdict(node: Node, admission: Admission) -> Document:
    """Return what became of a pod as it is recorded."""
    refusal = admission.refusal
    result: Document = {"admit": refusal is None}
    if refusal is not None:
        result |= {"reason": refusal.reason, "message": refusal.message}
    if node.managers.topology is not None:
        result["topology"] = list(_merges(node, admission))
    return result


def _merges(node: Node, admission: Admission) -> Iterator[Document]:
    for merge in admission.merges:
        entry: Document = {"admit": merge.is_admitted, "merged": str(merge.best)}
        if merge.container:
            entry["container"] = merge.container
        if len(node.machine.numa_nodes) <= MOST_WITH_HINTS:
            entry["hints"] = {
                resource: None if hints is None else [str(hint) for hint in hints]
                for resource, hints in merge.hints.items()
            }
        yield entry


def answers(scenario: Document) -> Document:
    """Return what is expected of a scenario, as kubeberth has it."""
    try:
        node = Node.started(scenario)
    except StartError as error:
        return {"startError": {"manager": error.manager, "message": error.message}}
    results: list[Document] = []
    expected = {"start": node.shown(), "ops": results}
    for operation in scenario["ops"]:
        try:
            result = _operate(node, operation)
        except StartError as error:
            results.append({"startError": {"manager": error.manager, "message": error.message}})
            break
        results.append({**result, "state": node.shown()})
    return expected


def _operate(node: Node, operation: Document) -> Document:
    kind = operation["op"]
    if kind == "add":
        pod = msgspec.convert(defaulted(operation["pod"]), Pod)
        admission = node.admit(pod)
        if admission.refusal is None:
            node.active[pod.metadata.name] = pod
        return verdict(node, admission)
    if kind == "start":
        node.start_containers(operation["name"])
    elif kind == "remove":
        node.drop([operation["name"]])
    elif kind == "devices":
        node.set_devices(operation["devices"])
    else:
        node.restart(operation.get("config"))
        admitted_again = [
            {"pod": name, **verdict(node, node.admit(pod))}
            for name, pod in list(node.active.items())
        ]
        return {"admissions": admitted_again}
    return {}
