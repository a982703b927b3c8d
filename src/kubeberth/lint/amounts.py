"""Numbers that may be percentages, and what pods ask for in all."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.core import Pod, PodSpec
from kubeberth.api.quantity import QuantityError
from kubeberth.api.requests import Amounts, effective_request
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
    """Return what a pod asks for, base units; nothing if its spec is malformed."""
    try:
        return effective_request(Pod(spec=msgspec.convert(spec.value, PodSpec, strict=False)))
    except (msgspec.ValidationError, QuantityError):
        return {}
