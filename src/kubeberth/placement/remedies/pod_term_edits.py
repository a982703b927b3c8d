"""Edits for InterPodAffinity: wishes in place of demands, corrections, other pods that leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from kubeberth.api.core import Affinity, Pod, PodAffinity, PodAffinityTerm, WeightedPodAffinityTerm
from kubeberth.api.meta import LabelSelector
from kubeberth.api.near import near_miss
from kubeberth.api.well_known import meant_label
from kubeberth.placement.obstacles import keepers, pods_meant, term_text
from kubeberth.placement.placed import PlacedPod
from kubeberth.placement.podterm import PodTerm, to_pod_term
from kubeberth.placement.remedies.edit import CORRECT, SOFTEN, Alternative, Edit, with_spec
from kubeberth.placement.remedies.resource_edits import evict, may_leave
from kubeberth.placement.request import PodRequest
from kubeberth.placement.state import ClusterState

_MAX_LEAVING = 3
_WEIGHT = 100
_NO_RULES = PodAffinity()

AFFINITY, ANTI_AFFINITY = "pod_affinity", "pod_anti_affinity"
_SHOWN = {AFFINITY: "podAffinity", ANTI_AFFINITY: "podAntiAffinity"}


def pod_term_edits(
    state: ClusterState, pod: Pod, request: PodRequest, slot: int
) -> Iterator[Alternative]:
    """Yield what would let a pod and the pods around a node get along."""
    namespace = request.namespace
    shunned: dict[int, list[PlacedPod]] = {}
    for index, term in enumerate(required_terms(pod, ANTI_AFFINITY)):
        found = pods_meant(state, to_pod_term(term, namespace, is_own=True), slot)
        if found:
            shunned[index] = found
    lonely = [
        index
        for index, term in enumerate(required_terms(pod, AFFINITY))
        if not pods_meant(state, to_pod_term(term, namespace, is_own=True), slot)
    ]
    held = keepers(state, request, slot)
    if not held:
        softened = [
            *(soften_term(pod, ANTI_AFFINITY, index) for index in shunned),
            *(soften_term(pod, AFFINITY, index) for index in lonely),
        ]
        corrected = [_correct(state, pod, index, slot) for index in lonely]
        if any(corrected) and not shunned:
            yield tuple(
                edit or soften_term(pod, AFFINITY, index)
                for edit, index in zip(corrected, lonely, strict=True)
            )
        if softened:
            yield tuple(softened)
        every = range(len(required_terms(pod, AFFINITY)))
        if len(every) > 1:
            # One pod has to meet all of them, so each may be met and all of them not.
            yield tuple(soften_term(pod, AFFINITY, index) for index in every)
    pods = {p.key: p for found in (*shunned.values(), held) for p in found}
    if 0 < len(pods) <= _MAX_LEAVING and all(map(may_leave, pods.values())):
        softened = [soften_term(pod, AFFINITY, index) for index in lonely]
        yield (evict(tuple(pods.values()), _place(pods.values())), *softened)


def required_terms(pod: Pod, field: str) -> tuple[PodAffinityTerm, ...]:
    """Return the required terms of a pod's affinity or anti-affinity."""
    return _rules(pod, field).required_during_scheduling_ignored_during_execution


def without_term(pod: Pod, field: str, index: int) -> Pod:
    """Return a pod without one of its required terms."""
    terms = required_terms(pod, field)
    return _with_required(pod, field, (*terms[:index], *terms[index + 1 :]))


def shown_term(term: PodAffinityTerm, field: str, namespace: str) -> str:
    """Return a required term in words."""
    compiled = to_pod_term(term, namespace, is_own=True)
    return f"{_SHOWN[field]} to what {term_text(compiled)} per {term.topology_key}"


def soften_term(pod: Pod, field: str, index: int) -> Edit:
    """Return what makes a wish of a required term."""
    term = required_terms(pod, field)[index]

    def change(pod: Pod) -> Pod:
        # Others may have gone before, so it is looked for by what it says.
        terms = required_terms(pod, field)
        if term not in terms:
            return pod
        pod = without_term(pod, field, terms.index(term))
        rules = _rules(pod, field)
        wish = WeightedPodAffinityTerm(weight=_WEIGHT, pod_affinity_term=term)
        wishes = (*rules.preferred_during_scheduling_ignored_during_execution, wish)
        return _with_rules(
            pod, field, replace(rules, preferred_during_scheduling_ignored_during_execution=wishes)
        )

    shown = shown_term(term, field, pod.metadata.namespace)
    kind = "soften-pod-affinity" if field == AFFINITY else "soften-pod-anti-affinity"
    return Edit(kind, f"prefer rather than require the {shown}", SOFTEN, on_pod=change)


def _correct(state: ClusterState, pod: Pod, index: int, slot: int) -> Edit | None:
    """Return what a term was probably meant to say: another label, or another topology key."""
    term = required_terms(pod, AFFINITY)[index]
    labels = state.node(slot).metadata.labels
    key = meant_label(term.topology_key, labels)
    if key:
        text = f"correct topologyKey {term.topology_key} to {key}"
        return _replace_term(index, replace(term, topology_key=key), text)
    compiled = to_pod_term(term, pod.metadata.namespace, is_own=True)
    found = _meant_selector(term.label_selector, _labels_there(state, compiled))
    if found is None:
        return None
    selector, text = found
    return _replace_term(index, replace(term, label_selector=selector), text)


def _meant_selector(
    selector: LabelSelector | None, there: Mapping[str, set[str]]
) -> tuple[LabelSelector, str] | None:
    """Return a selector with the first misspelt label put right, and what was put right."""
    for key, value in (selector.match_labels if selector else {}).items():
        if key in there:
            new_key, new_value = key, near_miss(value, there[key])
        else:
            new_key, new_value = near_miss(key, there), value
        if selector is None or not (new_key and new_value) or value in there.get(key, ()):
            continue
        rest = {k: v for k, v in selector.match_labels.items() if k != key}
        text = f"correct podAffinity {key}={value} to {new_key}={new_value}"
        return replace(selector, match_labels={**rest, new_key: new_value}), text
    return None


def _labels_there(state: ClusterState, term: PodTerm) -> dict[str, set[str]]:
    """Return which labels the pods have that are in a term's namespaces."""
    found: dict[str, set[str]] = {}
    for name in state.node_names:
        for placed in state.pods_on(name):
            if term.pods[0].covers(placed.request.namespace, state.namespaces):
                for key, value in placed.labels.items():
                    found.setdefault(key, set()).add(value)
    return found


def _replace_term(index: int, term: PodAffinityTerm, text: str) -> Edit:
    def change(pod: Pod) -> Pod:
        terms = list(required_terms(pod, AFFINITY))
        terms[index] = term
        return _with_required(pod, AFFINITY, tuple(terms))

    return Edit("correct-value", text, CORRECT, on_pod=change)


def _place(pods: Iterable[PlacedPod]) -> str:
    return " and ".join(sorted({pod.node_name for pod in pods}))


def _rules(pod: Pod, field: str) -> PodAffinity:
    affinity = pod.spec.affinity
    rules: PodAffinity | None = getattr(affinity, field) if affinity is not None else None
    return rules or _NO_RULES


def _with_required(pod: Pod, field: str, terms: tuple[PodAffinityTerm, ...]) -> Pod:
    rules = replace(_rules(pod, field), required_during_scheduling_ignored_during_execution=terms)
    return _with_rules(pod, field, rules)


def _with_rules(pod: Pod, field: str, rules: PodAffinity) -> Pod:
    whole = pod.spec.affinity or Affinity()
    return with_spec(pod, affinity=replace(whole, **{field: rules}))
