"""Pods: at creation, later, and their status."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from kubeberth.api import names
from kubeberth.api.pod_references import MIRROR
from kubeberth.api.validation.containers import validate_images
from kubeberth.api.validation.faultless import Faultless
from kubeberth.api.validation.field_error import FieldError, each_invalid, forbidden, invalid
from kubeberth.api.validation.internal_form import difference, pod_spec_as_shown
from kubeberth.api.validation.metadata import (
    IMMUTABLE,
    validate_label_key,
    validate_metadata,
    validate_metadata_update,
)
from kubeberth.api.validation.pod_spec import validate_pod_spec
from kubeberth.api.validation.taints import validate_tolerations

_OTHER_FIELDS = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)
_MAX_INT32 = 2**31 - 1
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_CONTAINER_LISTS = {"containers": "containers", "initContainers": "init containers"}


def validate_pod(pod: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a new pod."""
    errors = validate_metadata_and_spec(pod)
    spec = pod.get("spec") or {}
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        detail = "cannot be set until all schedulingGates have been cleared"
        errors.append(forbidden("spec.nodeName", detail))
    return errors


def validate_metadata_and_spec(pod: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults that no pod may have, be it new or changed."""
    spec = pod.get("spec") or {}
    errors = validate_metadata(pod.get("metadata") or {})
    return errors + _validate_spec(spec)


def _spec_errors(spec: Mapping[str, Any]) -> list[FieldError]:
    errors = validate_pod_spec(spec, "spec")
    for field in _CONTAINER_LISTS:
        errors += validate_images(spec.get(field) or [], f"spec.{field}")
    return errors


_validate_spec = Faultless(_spec_errors)


def validate_pod_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a pod's update is not allowed: most of it."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    if spec is before:
        errors += validate_metadata(new["metadata"])
        return errors + _validate_mirror_annotation(new["metadata"], old["metadata"])
    errors += validate_metadata_and_spec(new)
    errors += _validate_mirror_annotation(new["metadata"], old["metadata"])
    for field, what in _CONTAINER_LISTS.items():
        if len(spec.get(field) or []) != len(before.get(field) or []):
            detail = f"pod updates may not add or remove {what.rpartition(' ')[2]}"
            return [*errors, forbidden(f"spec.{field}", detail)]
        for index, container in enumerate(spec.get(field) or []):
            if not container.get("image"):
                errors.append(_missing_image(f"spec.{field}[{index}].image"))
    deadline_errors, is_final = _validate_deadline(spec, before)
    errors += deadline_errors
    if is_final:
        return errors
    errors += _validate_only_added_tolerations(spec, before)
    errors += _validate_only_removed_gates(spec, before)
    munged = _without_changeable(spec, before)
    if before.get("schedulingGates"):
        errors += _validate_tightening(munged, before)
    if munged != before:
        shown = difference(pod_spec_as_shown(before), pod_spec_as_shown(munged))
        errors.append(forbidden("spec", f"{_OTHER_FIELDS}\n{shown}"))
    return errors


def _validate_mirror_annotation(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Refuse to make a mirror pod of a pod that is none, or the other way round."""
    value, before = ((meta.get("annotations") or {}).get(MIRROR) for meta in (new, old))
    if value == before:
        return []
    what = "add" if before is None else "remove or update"
    return [forbidden(f"metadata.annotations[{MIRROR}]", f"may not {what} mirror pod annotation")]


def _missing_image(path: str) -> FieldError:
    return FieldError("FieldValueRequired", path, "Required value")


def _validate_deadline(
    spec: Mapping[str, Any], before: Mapping[str, Any]
) -> tuple[list[FieldError], bool]:
    """Return the faults of the deadline, and whether upstream stops looking after them."""
    path = "spec.activeDeadlineSeconds"
    new, old = spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    if new is None:
        detail = "must not update from a positive integer to nil value"
        return ([invalid(path, None, detail)] if old is not None else []), False
    if not 0 <= new <= _MAX_INT32:
        return [invalid(path, new, f"must be between 0 and {_MAX_INT32}, inclusive")], True
    if old is not None and new > old:
        return [invalid(path, new, "must be less than or equal to previous value")], True
    return [], False


def _validate_only_added_tolerations(
    spec: Mapping[str, Any], before: Mapping[str, Any]
) -> list[FieldError]:
    """Return the fault of a lost toleration; how long it tolerates may change."""
    path = "spec.tolerations"
    new = spec.get("tolerations") or []
    kept = [_without_seconds(toleration) for toleration in new]
    for old in before.get("tolerations") or []:
        if _without_seconds(old) not in kept:
            detail = "existing toleration can not be modified except its tolerationSeconds"
            return [forbidden(path, detail)]
    return validate_tolerations(new, path)


def _without_seconds(toleration: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _validate_only_removed_gates(
    spec: Mapping[str, Any], before: Mapping[str, Any]
) -> list[FieldError]:
    known = {gate.get("name") for gate in before.get("schedulingGates") or []}
    return [
        forbidden(
            f"spec.schedulingGates[{index}].name",
            f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'",
        )
        for index, gate in enumerate(spec.get("schedulingGates") or [])
        if gate.get("name") not in known
    ]


def _without_changeable(spec: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new spec with everything that may change set back to what it was."""
    munged = dict(spec)
    for field in _CONTAINER_LISTS:
        if field in munged and field in before:
            munged[field] = [
                {**new, "image": old.get("image", "")}
                for new, old in zip(munged[field], before[field], strict=True)
            ]
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _set_back(munged, before, field)
    was_negative = before.get("terminationGracePeriodSeconds", 0) < 0
    if was_negative and spec.get("terminationGracePeriodSeconds") == 1:
        _set_back(munged, before, "terminationGracePeriodSeconds")
    return munged


def _set_back(munged: dict[str, Any], before: Mapping[str, Any], field: str) -> None:
    if field in before:
        munged[field] = before[field]
    else:
        munged.pop(field, None)


def _validate_tightening(munged: dict[str, Any], before: Mapping[str, Any]) -> list[FieldError]:
    """Return the faults of a gated pod's new node rules, and set them back in `munged`.

    As long as a pod is gated, its node selector and required node affinity may become narrower.
    """
    errors: list[FieldError] = []
    selector, old_selector = munged.get("nodeSelector"), before.get("nodeSelector") or {}
    if any((selector or {}).get(key) != value for key, value in old_selector.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(invalid("spec.nodeSelector", selector, detail))
    _set_back(munged, before, "nodeSelector")

    affinity = munged.get("affinity")
    old_affinity = before.get("affinity")
    new_rules = (affinity or {}).get("nodeAffinity")
    old_rules = (old_affinity or {}).get("nodeAffinity")
    if new_rules == old_rules:
        return errors
    errors += _validate_affinity_mutation(new_rules or {}, old_rules or {})
    merged = {key: value for key, value in (affinity or {}).items() if key != "nodeAffinity"}
    if old_rules is not None:
        merged["nodeAffinity"] = old_rules
    if merged or old_affinity is not None:
        munged["affinity"] = merged
    else:
        munged.pop("affinity", None)
    return errors


def _validate_affinity_mutation(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return the required terms that did not merely gain expressions."""
    path = f"spec.affinity.nodeAffinity.{_REQUIRED}.nodeSelectorTerms"
    old_terms = (old.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    new_terms = (new.get(_REQUIRED) or {}).get("nodeSelectorTerms") or []
    if not old_terms:
        return []
    if len(new_terms) != len(old_terms):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [invalid(path, [_term_as_shown(term) for term in new_terms] or None, detail)]
    detail = "only additions are allowed (no mutations or deletions)"
    return [
        invalid(f"{path}[{index}]", _term_as_shown(new_term), detail)
        for index, (new_term, old_term) in enumerate(zip(new_terms, old_terms, strict=True))
        if not _only_adds(new_term, old_term)
    ]


def _only_adds(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    """Tell whether a term begins with all it had; one that was empty has to stay so."""
    fields = ("matchExpressions", "matchFields")
    if not any(old.get(field) for field in fields):
        return not any(new.get(field) for field in fields)
    for field in fields:
        had = old.get(field) or []
        if (new.get(field) or [])[: len(had)] != had:
            return False
    return True


def _term_as_shown(term: Mapping[str, Any]) -> dict[str, Any]:
    """Return a node selector term as upstream prints it: the internal struct."""
    return {
        name: [
            {"Key": r.get("key", ""), "Operator": r.get("operator", ""), "Values": r.get("values")}
            for r in term[field]
        ]
        if term.get(field)
        else None
        for name, field in (
            ("MatchExpressions", "matchExpressions"),
            ("MatchFields", "matchFields"),
        )
    }


def validate_pod_status_update(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[FieldError]:
    """Return what of a status update is not allowed."""
    errors = validate_metadata_update(new["metadata"], old["metadata"])
    errors += _validate_mirror_annotation(new["metadata"], old["metadata"])
    status, before = new.get("status") or {}, old.get("status") or {}
    spec, old_spec = new.get("spec") or {}, old.get("spec") or {}
    for index, condition in enumerate(status.get("conditions") or []):
        path = f"status.conditions[{index}].Type"
        errors += validate_label_key(condition.get("type", ""), path)
    if (generation := status.get("observedGeneration", 0)) < 0:
        detail = "must be a non-negative integer"
        errors.append(invalid("status.observedGeneration", generation, detail))
    if spec.get("nodeName") != old_spec.get("nodeName"):
        errors.append(forbidden("status.nodeName", "may not be changed directly"))
    errors += _validate_nomination(status, before, old_spec)
    if before.get("qosClass") and status.get("qosClass") != before["qosClass"]:
        errors.append(invalid("status.qosClass", status.get("qosClass", ""), IMMUTABLE))
    for field in ("initContainerStatuses", "containerStatuses"):
        errors += _validate_states(status, before, field, old_spec.get("restartPolicy", "Always"))
    return errors + _validate_addresses(status.get("podIPs") or [], "status.podIPs")


def _validate_nomination(
    status: Mapping[str, Any], before: Mapping[str, Any], spec: Mapping[str, Any]
) -> list[FieldError]:
    nominated, path = status.get("nominatedNodeName", ""), "status.nominatedNodeName"
    if not nominated or nominated == before.get("nominatedNodeName", ""):
        return []
    errors = each_invalid(path, nominated, names.dns1123_subdomain_errors(nominated))
    if spec.get("nodeName"):
        detail = "may not be set on pods that are already bound to a node"
        errors.append(forbidden(path, detail))
    return errors


def _validate_states(
    status: Mapping[str, Any], before: Mapping[str, Any], field: str, restart_policy: str
) -> list[FieldError]:
    """Return the terminated containers that came back to life though their pod does not restart."""
    if restart_policy == "Always":
        return []
    new = {s.get("name"): s.get("state") or {} for s in status.get(field) or []}
    errors: list[FieldError] = []
    for index, old in enumerate(before.get(field) or []):
        terminated = (old.get("state") or {}).get("terminated")
        if terminated is None or (restart_policy == "OnFailure" and terminated.get("exitCode")):
            continue
        state = new.get(old.get("name"))
        if state is not None and state.get("terminated") is None:
            detail = "may not be transitioned to non-terminated state"
            errors.append(forbidden(f"status.{field}[{index}].state", detail))
    return errors


def _validate_addresses(addresses: list[dict[str, Any]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    versions: list[int] = []
    for index, entry in enumerate(addresses):
        text = entry.get("ip", "")
        try:
            versions.append(ipaddress.ip_address(text).version)
        except ValueError:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            errors.append(invalid(f"{path}[{index}]", text, detail))
    if len(versions) > len(set(versions)) and not errors:
        detail = "may specify no more than one IP for each IP family"
        errors.append(invalid(path, addresses, detail))
    return errors
