"""Columns of who looks at writes: webhooks and admission policies."""

from __future__ import annotations

from typing import Any

from kubeberth.apiserver.cells import age_of
from kubeberth.apiserver.columns.printer import AGE, NAME, Column, Document, Printer, name_of

_UNSET = "<unset>"


def _webhook_cells(configuration: Document, now: float) -> list[Any]:
    n_webhooks = len(configuration.get("webhooks") or ())
    return [name_of(configuration), n_webhooks, age_of(configuration, now)]


def _policy_cells(policy: Document, counted: str, now: float) -> list[Any]:
    spec = policy.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else _UNSET
    return [name_of(policy), len(spec.get(counted) or ()), shown, age_of(policy, now)]


def _binding_cells(binding: Document, now: float) -> list[Any]:
    spec = binding.get("spec") or {}
    reference = spec.get("paramRef") or {}
    shown = _UNSET
    if name := reference.get("name"):
        # Whether it is in a namespace cannot be told from here.
        shown = f"{reference.get('namespace') or '*'}/{name}"
    elif (selector := reference.get("selector")) is not None:
        shown = _selector_text(selector)
    return [name_of(binding), spec.get("policyName", ""), shown, age_of(binding, now)]


def _selector_text(selector: Document) -> str:
    """Return a selector as Go prints the struct."""
    labels = "".join(f"{k}: {v}," for k, v in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{item.get('key', '')},Operator:{item.get('operator', '')},"
        f"Values:[{' '.join(item.get('values') or ())}],}},"
        for item in selector.get("matchExpressions") or ()
    )
    shown = f"[]LabelSelectorRequirement{{{expressions}}}"
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:{shown},}}"


_WEBHOOKS = Printer(
    (NAME, Column("Webhooks", "number of webhooks", type="integer"), AGE), _webhook_cells
)
_PARAM_KIND = Column("ParamKind", "of which kind its parameters are")
_BINDINGS = Printer(
    (
        NAME,
        Column("PolicyName", "which policy it puts into force"),
        Column("ParamRef", "which parameters the policy gets"),
        AGE,
    ),
    _binding_cells,
)
PRINTERS: dict[str, Printer] = {
    "mutatingadmissionpolicies.admissionregistration.k8s.io": Printer(
        (NAME, Column("Mutations", "number of mutations", type="integer"), _PARAM_KIND, AGE),
        lambda policy, now: _policy_cells(policy, "mutations", now),
    ),
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": _BINDINGS,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": Printer(
        (NAME, Column("Validations", "number of rules", type="integer"), _PARAM_KIND, AGE),
        lambda policy, now: _policy_cells(policy, "validations", now),
    ),
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": _BINDINGS,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _WEBHOOKS,
}
