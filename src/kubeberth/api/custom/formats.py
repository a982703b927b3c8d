"""The `format`s of texts that are checked, as `k8s.io/kube-openapi/pkg/validation/strfmt` does.

Formats that are not listed are not checked.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from urllib.parse import urlsplit

from kubeberth.api.times import TimeError, canonical_micro_time

_HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_EMAIL = re.compile(r"[^@\s<>]+@[^@\s<>]+")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.I)
_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}([:-][0-9a-f]{2}){0,2}", re.I)
_DURATION = re.compile(
    r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+)"
    r"|\d+\s*(ns|us|ms|s|m|h|d|w|seconds?|minutes?|hours?|days?|weeks?)"
)
_COLOUR = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})", re.I)


def _is_time(text: str) -> bool:
    try:
        canonical_micro_time(text.replace("t", "T").replace("z", "Z"))
    except TimeError:
        return False
    return True


def _is_date(text: str) -> bool:
    try:
        return len(date.fromisoformat(text).isoformat()) == len(text)
    except ValueError:
        return False


def _is_address(version: int) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _is_cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


def _is_uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme or text.startswith("/"))


def _is_host(text: str) -> bool:
    name = text.removesuffix(".")
    return len(name) <= 255 and all(_HOST_LABEL.fullmatch(part) for part in name.split("."))


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


_CHECKS: dict[str, Callable[[str], bool]] = {
    "byte": _is_base64,
    "cidr": _is_cidr,
    "date": _is_date,
    "date-time": _is_time,
    "datetime": _is_time,
    "duration": _matches(_DURATION),
    "email": _matches(_EMAIL),
    "hexcolor": _matches(_COLOUR),
    "hostname": _is_host,
    "ipv4": _is_address(4),
    "ipv6": _is_address(6),
    "mac": _matches(_MAC),
    "uri": _is_uri,
    "uuid": _matches(_UUID),
}


def has_format(text: str, name: str) -> bool:
    """Return whether a text has a format; one that is not known allows all."""
    check = _CHECKS.get(name)
    return check is None or check(text)
