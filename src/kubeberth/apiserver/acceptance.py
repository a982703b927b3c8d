"""Which names a CustomResourceDefinition gets, and what its conditions say of that; pure.

    Rule 1  Within a group nobody gets a name that another definition has got.
    Rule 2  What a definition has got it keeps, also when it then asks for a name it cannot get.
    Rule 3  It is established once, when it gets all the names it asks for, and stays so.

Matches `pkg/controller/status` and `pkg/controller/establish` of k8s.io/apiextensions-apiserver
1.36; here both are one step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from kubeberth.api.custom import conditions
from kubeberth.api.custom.definitions import is_true

Document = dict[str, Any]


def with_accepted_names(
    definition: Document, others: Iterable[Mapping[str, Any]], now: str
) -> Document:
    """Return a definition whose status says what it got.

    Parameters
    ----------
    others
        All definitions; itself among them does not matter.
    """
    new = copy.deepcopy(definition)
    status = new.setdefault("status", {})
    wanted, accepted = new["spec"]["names"], dict(status.get("acceptedNames") or {})
    conflict = _take(wanted, accepted, *_names_of_others(new, others))
    status["acceptedNames"] = accepted
    if conflict is None:
        conditions.put(new, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
    else:
        conditions.put(new, "NamesAccepted", "False", *conflict, now)
    if is_true(new, "Established"):
        return new
    if conflict is None:
        message = "the initial names have been accepted"
        conditions.put(new, "Established", "True", "InitialNamesAccepted", message, now)
    else:
        message = "not all names are accepted"
        conditions.put(new, "Established", "False", "NotAccepted", message, now)
    return new


def _names_of_others(
    definition: Document, others: Iterable[Mapping[str, Any]]
) -> tuple[set[str], set[str]]:
    """Return the resource names and the kinds that others in the group have got."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        is_self = other["metadata"]["name"] == definition["metadata"]["name"]
        if is_self or other["spec"]["group"] != definition["spec"]["group"]:
            continue
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources |= {names.get("plural", ""), names.get("singular", "")}
        resources |= set(names.get("shortNames") or ())
        kinds |= {names.get("kind", ""), names.get("listKind", "")}
    return resources - {""}, kinds - {""}


def _take(
    wanted: Mapping[str, Any], accepted: Document, resources: set[str], kinds: set[str]
) -> tuple[str, str] | None:
    """Take over the names that are free; return reason and message of what is not."""
    conflict: tuple[str, str] | None = None
    for name, reason, taken in (
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("shortNames", "ShortNamesConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ):
        values = wanted.get(name) or ()
        values = [values] if isinstance(values, str) else list(values)
        had = accepted.get(name) or ()
        had = [had] if isinstance(had, str) else had
        lost = [value for value in values if value in taken and value not in had]
        if lost:
            texts = [f'"{value}" is already in use' for value in lost]
            conflict = (reason, texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
        elif wanted.get(name):
            accepted[name] = wanted[name]
        else:
            accepted.pop(name, None)
    if wanted.get("categories"):
        accepted["categories"] = wanted["categories"]
    else:
        accepted.pop("categories", None)
    return conflict
