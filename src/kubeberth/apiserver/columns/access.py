"""Columns of role bindings and certificate requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubeberth.apiserver.cells import NONE, age_of, age_text
from kubeberth.apiserver.columns.printer import AGE, NAME, Column, Document, Printer, name_of


def _binding_cells(binding: Document, now: float) -> list[Any]:
    role = binding.get("roleRef") or {}
    subjects = binding.get("subjects") or ()
    return [
        name_of(binding),
        f"{role.get('kind', '')}/{role.get('name', '')}",
        age_of(binding, now),
        _names(subjects, "User"),
        _names(subjects, "Group"),
        ", ".join(
            f"{subject.get('namespace', '')}/{subject.get('name', '')}"
            for subject in subjects
            if subject.get("kind") == "ServiceAccount"
        ),
    ]


def _names(subjects: Iterable[Document], kind: str) -> str:
    return ", ".join(s.get("name", "") for s in subjects if s.get("kind") == kind)


def _request_cells(request: Document, now: float) -> list[Any]:
    spec = request.get("spec") or {}
    seconds = spec.get("expirationSeconds")
    return [
        name_of(request),
        age_of(request, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        age_text(seconds) if seconds is not None else NONE,
        _request_condition(request.get("status") or {}),
    ]


def _request_condition(status: Document) -> str:
    types = {condition.get("type") for condition in status.get("conditions") or ()}
    text = next((name for name in ("Denied", "Approved") if name in types), "Pending")
    if "Failed" in types:
        text += ",Failed"
    return f"{text},Issued" if status.get("certificate") else text


_BINDING = Printer(
    (
        NAME,
        Column("Role", "the role it gives"),
        AGE,
        Column("Users", "users that get it", wide=True),
        Column("Groups", "groups that get it", wide=True),
        Column("ServiceAccounts", "service accounts that get it", wide=True),
    ),
    _binding_cells,
)
PRINTERS: dict[str, Printer] = {
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "certificatesigningrequests.certificates.k8s.io": Printer(
        (
            NAME,
            AGE,
            Column("SignerName", "who shall sign it"),
            Column("Requestor", "who asks for it"),
            Column("RequestedDuration", "how long it shall be good"),
            Column("Condition", "what became of it"),
        ),
        _request_cells,
    ),
}
