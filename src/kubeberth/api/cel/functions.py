"""The functions of CEL, those of the specification and those that Kubernetes adds.

Rule: https://kubernetes.io/docs/reference/using-api/cel/#cel-options-language-features-and-libraries
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, urlsplit

from kubeberth.api.custom.patterns import Pattern, PatternError, compile_pattern
from kubeberth.api.quantity import Quantity, QuantityError, parse_quantity


class CelError(ValueError):
    """An expression has no value."""


class Optional:
    """A value that may be absent."""

    __slots__ = ("has_value", "value")

    def __init__(self, *value: Any) -> None:
        self.has_value = bool(value)
        self.value = value[0] if value else None


class Receiver:
    """A value whose functions and fields are those of the host of an expression.

    The functions are methods, of which `RECEIVER_FUNCTIONS` knows the names.
    """

    def field(self, name: str) -> Any:
        """Return a field."""
        raise CelError(f"no such key: {name}")


def no_overload(name: str) -> CelError:
    """Return the error of a function that is called with what it cannot take."""
    return CelError(f"no such overload: {name}")


def equals(a: Any, b: Any) -> bool:
    """Return whether two values are equal; numbers may be of different types, no others."""
    if isinstance(a, bool) or isinstance(b, bool):
        return isinstance(a, bool) and isinstance(b, bool) and a == b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equals, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equals(a[key], b[key]) for key in a)
    return bool(a == b)


def contains(items: Any, item: Any) -> bool:
    """Return whether something is in a list, or a key of a map."""
    if isinstance(items, dict):
        return item in items
    if isinstance(items, list):
        return any(equals(item, other) for other in items)
    raise no_overload("in")


def _size(value: Any) -> int:
    if not isinstance(value, str | bytes | list | dict):
        raise no_overload("size")
    return len(value)


def _string(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.decode()
        case float() if value.is_integer():
            return str(int(value))
        case timedelta():
            return f"{value.total_seconds():g}s"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _int(value: Any) -> int:
    try:
        return int(value.timestamp()) if isinstance(value, datetime) else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CelError(f"cannot convert {value!r} to int") from error


def _double(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise CelError(f"cannot convert {value!r} to double") from error


def _bool(value: Any) -> bool:
    if value in (True, "true", "1", "t", "TRUE", "True"):
        return True
    if value in (False, "false", "0", "f", "FALSE", "False"):
        return False
    raise CelError(f"cannot convert {value!r} to bool")


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def _duration(text: Any) -> timedelta:
    if isinstance(text, timedelta):
        return text
    plain = text.lstrip("+-")
    parts = _DURATION.findall(plain)
    if plain != "0" and "".join(number + unit for number, unit in parts) != plain:
        raise CelError(f"invalid duration {text}")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


def _timestamp(text: Any) -> datetime:
    if isinstance(text, datetime):
        return text
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise CelError(f"invalid timestamp {text}") from error


def _matches(text: str, pattern: str) -> bool:
    return _pattern(pattern).search(text) is not None


def _pattern(pattern: str) -> Pattern:
    try:
        return compile_pattern(pattern)
    except PatternError as error:
        raise CelError(str(error)) from error


def _find(text: str, pattern: str) -> str:
    match = _pattern(pattern).search(text)
    return match[0] if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in _pattern(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        return list(text)
    return text.split(separator, limit - 1 if limit > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    if not 0 <= start <= end <= len(text):
        raise CelError(f"index out of range: {start}")
    return text[start:end]


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(items: Any, item: Any) -> int:
    if isinstance(items, str):
        return items.find(item)
    return next((i for i, other in enumerate(items) if equals(item, other)), -1)


def _last_index_of(items: Any, item: Any) -> int:
    if isinstance(items, str):
        return items.rfind(item)
    return max((i for i, other in enumerate(items) if equals(item, other)), default=-1)


def _is_sorted(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _extreme(pick: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        items = values[0] if len(values) == 1 and isinstance(values[0], list) else values
        if not items:
            raise CelError("list is empty")
        return pick(items)

    return extreme


def _distinct(items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not contains(found, item):
            found.append(item)
    return found


def _flatten(items: list[Any]) -> list[Any]:
    return [x for item in items for x in (item if isinstance(item, list) else [item])]


def _quantity(text: str) -> Quantity:
    try:
        return parse_quantity(text)
    except QuantityError as error:
        raise CelError(str(error)) from error


def _is(parse: Callable[[Any], Any]) -> Callable[[Any], bool]:
    def check(text: Any) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _compare(a: Any, b: Any) -> int:
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        a, b = a.nanos, b.nanos
    return int(a > b) - int(a < b)


def _url(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise CelError(f"URL parse error: {error}") from error
    if not parts.scheme and not text.startswith("/"):
        raise CelError(f"URL parse error: parse {text}: invalid URI for request")
    return parts


def _contains_ip(net: Any, address: Any) -> bool:
    return ipaddress.ip_address(str(address)) in net


def _contains_net(net: Any, other: Any) -> bool:
    inner = ipaddress.ip_network(str(other), strict=False)
    return inner.version == net.version and inner.subnet_of(net)


def _type_name(value: Any) -> str:
    names = {bool: "bool", int: "int", float: "double", str: "string", bytes: "bytes"}
    others = {list: "list", dict: "map", type(None): "null_type"}
    return (names | others).get(type(value), type(value).__name__)


# Of the authorizer that Kubernetes hands to expressions: in CEL, and in Python.
RECEIVER_FUNCTIONS = {
    "allowed": "allowed",
    "check": "check",
    "error": "error",
    "errored": "errored",
    "group": "group",
    "name": "name",
    "namespace": "namespace",
    "path": "path",
    "reason": "reason",
    "resource": "resource",
    "serviceAccount": "service_account",
    "subresource": "subresource",
}


def _of_receiver(name: str, method: str) -> Callable[..., Any]:
    def call(receiver: Any, *arguments: Any) -> Any:
        if not isinstance(receiver, Receiver):
            raise no_overload(name)
        return getattr(receiver, method)(*arguments)

    return call


# By name; of a method the first argument is what it is called on.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "size": _size,
    "string": _string,
    "int": _int,
    "uint": _int,
    "double": _double,
    "bool": _bool,
    "bytes": lambda value: value.encode() if isinstance(value, str) else value,
    "dyn": lambda value: value,
    "type": _type_name,
    "duration": _duration,
    "timestamp": _timestamp,
    "matches": _matches,
    "find": _find,
    "findAll": _find_all,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "contains": lambda text, part: part in text,
    "lowerAscii": lambda text: text.lower(),
    "upperAscii": lambda text: text.upper(),
    "trim": lambda text: text.strip(),
    "replace": lambda text, old, new, n=-1: text.replace(old, new, n),
    "split": _split,
    "join": lambda items, separator="": separator.join(items),
    "substring": _substring,
    "charAt": _char_at,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "reverse": lambda items: items[::-1],
    "isSorted": _is_sorted,
    "sum": sum,
    "min": _extreme(min),
    "max": _extreme(max),
    "distinct": _distinct,
    "flatten": _flatten,
    "sort": sorted,
    "slice": lambda items, start, end: items[start:end],
    "sets.contains": lambda items, part: all(contains(items, item) for item in part),
    "sets.intersects": lambda items, part: any(contains(items, item) for item in part),
    "sets.equivalent": lambda a, b: (
        all(contains(a, item) for item in b) and all(contains(b, item) for item in a)
    ),
    "math.greatest": _extreme(max),
    "math.least": _extreme(min),
    "math.abs": abs,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.round": round,
    "quantity": _quantity,
    "isQuantity": _is(_quantity),
    "isInteger": lambda quantity: quantity.nanos % 10**9 == 0,
    "asInteger": lambda quantity: quantity.nanos // 10**9,
    "asApproximateFloat": lambda quantity: quantity.nanos / 10**9,
    "sign": lambda quantity: (quantity.nanos > 0) - (quantity.nanos < 0),
    "compareTo": _compare,
    "isGreaterThan": lambda a, b: _compare(a, b) > 0,
    "isLessThan": lambda a, b: _compare(a, b) < 0,
    "url": _url,
    "isURL": _is(_url),
    "getScheme": lambda url: url.scheme,
    "getHost": lambda url: url.netloc.rpartition("@")[2],
    "getHostname": lambda url: url.hostname or "",
    "getPort": lambda url: str(url.port or ""),
    "getEscapedPath": lambda url: url.path,
    "ip": ipaddress.ip_address,
    "isIP": _is(ipaddress.ip_address),
    "cidr": lambda text: ipaddress.ip_network(text, strict=False),
    "isCIDR": lambda text: "/" in text and _is(ipaddress.ip_interface)(text),
    "family": lambda address: address.version,
    "containsIP": _contains_ip,
    "containsCIDR": _contains_net,
    "prefixLength": lambda net: net.prefixlen,
    "isLoopback": lambda address: address.is_loopback,
    "isUnspecified": lambda address: address.is_unspecified,
    "getSeconds": lambda value: (
        int(value.total_seconds()) if isinstance(value, timedelta) else value.second
    ),
    "getMinutes": lambda value: (
        int(value.total_seconds() // 60) if isinstance(value, timedelta) else value.minute
    ),
    "getHours": lambda value: (
        int(value.total_seconds() // 3600) if isinstance(value, timedelta) else value.hour
    ),
    "getFullYear": lambda value: value.year,
    "jsonpatch.escapeKey": lambda text: text.replace("~", "~0").replace("/", "~1"),
    "optional.of": Optional,
    "optional.none": Optional,
    "hasValue": lambda optional: optional.has_value,
    "value": lambda optional: optional.value,
    "orValue": lambda optional, other: optional.value if optional.has_value else other,
    "or": lambda optional, other: optional if optional.has_value else other,
    **{name: _of_receiver(name, method) for name, method in RECEIVER_FUNCTIONS.items()},
}
