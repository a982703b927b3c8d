"""Numbers that may be percentages, and what pods ask for in all."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.core import Pod
from kubeberth.api.quantity import QuantityError
from kubeberth.api.requests import Amounts, effective_request
from kubeberth.api.scheme import PODS
from kubeberth.library.stored import to_stored
from kubeberth.lint.field import Field


def scaled(value: Any, total: int, *, default: int | str, is_up: bool) -> int:
    """Return a number, or the share of a total that a percentage is, rounded up or down."""
    given = default if value is None else value
    if isinstance(given, int):
        return given
    digits = str(given).removesuffix("%")
    if not digits.isdecimal():
        return 0
    product = int(digits) * total
    return -(-product // 100) if is_up else product // 100


def request_of(spec: Field) -> Amounts:
    """Return what a pod with a spec asks for, base units; nothing if the spec is malformed."""
    # As it would be stored: a pod requests what it is limited to, which a template need not say.
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": spec.value}
    try:
        return effective_request(msgspec.convert(to_stored(PODS, pod).document, Pod))
    except (msgspec.ValidationError, QuantityError):
        return {}
