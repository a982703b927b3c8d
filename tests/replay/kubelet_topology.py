"""Replays recorded scenarios of the resource managers, `tests/golden/kubelet/README.md`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from kubeberth.api.core import Node
from kubeberth.kubelet.admission import Holdings, Situation, Verdict, admit, by_managers
from kubeberth.kubelet.pod import KubeletPod
from kubeberth.kubelet.predicates import with_own_os
from kubeberth.topology.checkpoint import from_json, to_json
from kubeberth.topology.configuration import POD_LEVEL_GATE, KubeletConfiguration, StartError
from kubeberth.topology.cpuset import cpu_list
from kubeberth.topology.description import machine_from, plugins_from
from kubeberth.topology.kept_state import KeptState
from kubeberth.topology.machine import Machine
from kubeberth.topology.managers import Allocations, Managers
from kubeberth.topology.masks import members
from kubeberth.topology.start import start
from tests.replay.kubelet_objects import to_node, to_pod

Document = dict[str, Any]

# Hints are not recorded of machines with more NUMA nodes: there would be too many.
MOST_WITH_HINTS = 4


@dataclass
class Replayed:
    """A kubelet that goes through a scenario.

    Parameters
    ----------
    node
        Its Node; None in the scenarios without the predicates that look at it.
    """

    machine: Machine
    configuration: KubeletConfiguration
    plugins: list[Document]
    holdings: Holdings
    node: Node | None
    active: dict[str, KubeletPod] = field(default_factory=dict)

    @classmethod
    def started(cls, scenario: Document) -> Replayed:
        """Return the kubelet of a scenario; raises StartError."""
        machine = machine_from(scenario["machine"])
        configuration = msgspec.convert(scenario["config"], KubeletConfiguration)
        plugins = scenario.get("devices", [])
        node = to_node(scenario.get("node"))
        started = start(machine, configuration, plugins_from(plugins, machine))
        holdings = Holdings(*started, configuration.has(POD_LEVEL_GATE))
        return cls(machine, configuration, plugins, holdings, node and with_own_os(node))

    def restart(self, config: Document | None) -> None:
        """Start anew with the present state."""
        before = self.configuration
        if config is not None:
            self.configuration = msgspec.convert(config, KubeletConfiguration)
        kept = KeptState(
            before.cpu_manager_policy,
            before.memory_manager_policy,
            self.holdings.allocations,
        )
        kept = from_json(to_json(kept))
        plugins = plugins_from(self.plugins, self.machine)
        started = start(self.machine, self.configuration, plugins, kept)
        self.holdings = Holdings(*started, self.configuration.has(POD_LEVEL_GATE))

    def set_devices(self, plugin: Document) -> None:
        """Replace the devices of one plugin."""
        others = [one for one in self.plugins if one["resource"] != plugin["resource"]]
        self.plugins = [*others, plugin]
        managers = self.holdings.managers.with_plugins(plugins_from(self.plugins, self.machine))
        self.holdings = replace(self.holdings, managers=managers)

    def admit(self, pod: KubeletPod) -> Verdict:
        """Have a pod go through the managers, and the other checks where there is a Node."""
        if self.node is None:
            verdict = by_managers(pod, self.holdings)
        else:
            others = [one for name, one in self.active.items() if name != pod.metadata.name]
            verdict = admit(pod, Situation(self.node, others), self.holdings)
        self.holdings = verdict.holdings
        for gone in verdict.victims:
            del self.active[gone.metadata.name]
        if verdict.refusal is None:
            self.active[pod.metadata.name] = pod
        else:
            self.active.pop(pod.metadata.name, None)
        return verdict

    def remove(self, name: str) -> None:
        """Take back what a pod has."""
        self.active.pop(name, None)
        self.holdings = self.holdings.without(name)

    def start_containers(self, name: str) -> None:
        """Start all containers of a pod, one after the other."""
        if (pod := self.active.get(name)) is not None:
            for container in (*pod.spec.init_containers, *pod.spec.containers):
                self.holdings = self.holdings.once_started(pod, container.name)

    def shown(self) -> Document:
        """Return the state as it is recorded."""
        return recorded_form(self.holdings.managers, self.holdings.allocations)


def shown(self) -> Document:
    """Return the state as it is recorded."""
    return shown(self.holdings.managers, self.holdings.allocations)


def _kept(allocations: Allocations) -> Allocations:
    """Return what survives a restart."""
    nobody = ("", frozenset())
    return Allocations(
        replace(allocations.cpus, reusable=nobody),
        replace(allocations.memory, reusable=("", {})),
        replace(allocations.devices, reusable=("", {})),
    )


def recorded_form(managers: Managers, allocations: Allocations) -> Document:
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


def told(replayed: Replayed, verdict: Verdict) -> Document:
    """Return what became of a pod as it is recorded."""
    refusal = verdict.refusal
    result: Document = {"admit": refusal is None}
    if refusal is not None:
        result |= {"reason": refusal.reason, "message": refusal.message}
    if replayed.holdings.managers.topology is not None:
        result["topology"] = list(_merges(replayed, verdict))
    if verdict.failures:
        result["failures"] = [failure.message for failure in verdict.failures]
    if verdict.victims:
        result["victims"] = [victim.metadata.name for victim in verdict.victims]
    return result


def _merges(replayed: Replayed, verdict: Verdict) -> Iterator[Document]:
    for merge in verdict.merges:
        entry: Document = {"admit": merge.is_admitted, "merged": str(merge.best)}
        if merge.container:
            entry["container"] = merge.container
        if len(replayed.machine.numa_nodes) <= MOST_WITH_HINTS:
            entry["hints"] = {
                resource: None if hints is None else [str(hint) for hint in hints]
                for resource, hints in merge.hints.items()
            }
        yield entry


def answers(scenario: Document) -> Document:
    """Return what is expected of a scenario, as kubeberth has it."""
    try:
        replayed = Replayed.started(scenario)
    except StartError as error:
        return {"startError": {"manager": error.manager, "message": error.message}}
    results: list[Document] = []
    expected = {"start": replayed.shown(), "ops": results}
    for operation in scenario["ops"]:
        try:
            result = _operate(replayed, operation)
        except StartError as error:
            results.append({"startError": {"manager": error.manager, "message": error.message}})
            break
        results.append({**result, "state": replayed.shown()})
    return expected


def _operate(replayed: Replayed, operation: Document) -> Document:
    kind = operation["op"]
    if kind == "add":
        return told(replayed, replayed.admit(to_pod(operation["pod"])))
    if kind == "restart":
        replayed.restart(operation.get("config"))
        pods = list(replayed.active.items())
        again = [{"pod": name, **told(replayed, replayed.admit(pod))} for name, pod in pods]
        return {"admissions": again}
    if kind == "start":
        replayed.start_containers(operation["name"])
    elif kind == "remove":
        replayed.remove(operation["name"])
    else:
        replayed.set_devices(operation["devices"])
    return {}
