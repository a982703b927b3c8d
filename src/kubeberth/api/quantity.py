"""Quantities such as `500m` and `1536Mi`: parsed exactly, printed canonically.

Matches `resource.Quantity` of Kubernetes 1.36: values finer than 10^-9 round up, away from zero,
and a text that looks canonical by upstream's cheap test is printed as it was typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

NANO = 10**9
_MAX_INT64 = 2**63 - 1
_SHAPE = re.compile(r"([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)")
_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?")
_SHAPE_TEXT = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIXES = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIXES = ("", *_BINARY)
# Numbers of up to so many digits take upstream's int64 path, the only one that keeps typed text.
_FAST_DECIMAL_DIGITS = 18
_FAST_BINARY_DIGITS = 14


class QuantityError(ValueError):
    """A text that is no quantity."""


def _ceil_away(value: int, divisor: int) -> int:
    """Divide, rounding away from zero."""
    return -(-value // divisor) if value >= 0 else value // divisor


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount and the family of suffixes it prints with.

    Parameters
    ----------
    nanos
        The value in units of 10^-9.
    text
        What was typed, when upstream would print it unchanged; else empty.
    """

    nanos: int
    format: Format = "DecimalSI"
    text: str = ""

    def __str__(self) -> str:
        return self.text or self._canonical()

    def units(self) -> int:
        """Return whole units (bytes, pods, cores), rounded away from zero."""
        return _ceil_away(self.nanos, NANO)

    def milli(self) -> int:
        """Return thousandths (milli-CPU), rounded away from zero."""
        return _ceil_away(self.nanos, NANO // 1000)

    def rounded_up_to_milli(self) -> Quantity:
        """Return the value as resource lists store it, never finer than one thousandth."""
        millis = self.milli()
        if millis * (NANO // 1000) == self.nanos:
            return self
        return Quantity(millis * (NANO // 1000), self.format)

    def _canonical(self) -> str:
        if self.nanos == 0:
            return "0"
        whole, rest = divmod(self.nanos, NANO)
        if self.format == "BinarySI" and rest == 0 and abs(whole) >= 1024:
            return _print_binary(whole)
        return _print_decimal(self.nanos, self.format)


def _print_binary(value: int) -> str:
    power = 0
    while value % 1024 == 0 and power < len(_BINARY_SUFFIXES) - 1:
        value //= 1024
        power += 1
    return f"{value}{_BINARY_SUFFIXES[power]}"


def _print_decimal(nanos: int, format_: Format) -> str:
    exponent = -9
    while nanos % 1000 == 0 and (exponent < 18 or format_ == "DecimalExponent"):
        nanos //= 1000
        exponent += 3
    if format_ == "DecimalExponent":
        return f"{nanos}e{exponent}" if exponent else str(nanos)
    return f"{nanos}{_DECIMAL_SUFFIXES[exponent]}"


def parse_quantity(text: str | int | float) -> Quantity:
    """Return the quantity that a JSON string or number stands for.

    Raises
    ------
    QuantityError
        With upstream's text.
    """
    return _parse(text.strip() if isinstance(text, str) else repr(text))


# More make numbers that nobody means, and that take long to reckon with.
_MAX_DIGITS = 1000


@lru_cache(maxsize=8192)
def _parse(text: str) -> Quantity:
    if text in ("+", "-", "."):  # upstream reads them as zero
        return Quantity(0)
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise QuantityError(f"quantities must match the regular expression '{_SHAPE_TEXT}'")
    number = _NUMBER.fullmatch(shape[1])
    if number is None:
        raise QuantityError("unable to parse numeric part of quantity")
    sign, whole, fraction = number[1], number[2].lstrip("0") or "0", number[3] or ""
    digits = whole + fraction
    if len(digits) > _MAX_DIGITS:
        raise QuantityError("unable to parse numeric part of quantity")
    mantissa = int(digits) * (-1 if sign == "-" else 1)
    suffix = shape[2]
    if suffix in _BINARY:
        return _parse_binary(text, mantissa, whole, fraction, _BINARY[suffix])
    exponent, format_ = _decimal_exponent(suffix)
    return _parse_decimal(text, mantissa, digits, exponent - len(fraction), format_)


def _decimal_exponent(suffix: str) -> tuple[int, Format]:
    if suffix in _DECIMAL:
        return _DECIMAL[suffix], "DecimalSI"
    exponent = _EXPONENT.fullmatch(suffix)
    if exponent is None or len(exponent[1].lstrip("+-0")) >= len(str(_MAX_DIGITS)):
        raise QuantityError("unable to parse quantity's suffix")
    return int(exponent[1]), "DecimalExponent"


def _parse_decimal(text: str, mantissa: int, digits: str, scale: int, format_: Format) -> Quantity:
    shift = scale + 9
    nanos = mantissa * 10**shift if shift >= 0 else _ceil_away(mantissa, 10**-shift)
    is_fast = len(digits) <= _FAST_DECIMAL_DIGITS and shift >= 0
    looks_canonical = scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"
    return Quantity(nanos, format_, text if is_fast and looks_canonical else "")


def _parse_binary(text: str, mantissa: int, whole: str, fraction: str, power: int) -> Quantity:
    scaled = mantissa * NANO << power
    nanos = _ceil_away(scaled, 10 ** len(fraction))
    limit = _MAX_INT64 * NANO
    nanos = max(-limit, min(limit, nanos))
    if 0 < abs(nanos) < NANO:
        return Quantity(nanos)
    is_fast = not fraction and len(whole) + power * 3 // 10 <= _FAST_BINARY_DIGITS
    return Quantity(nanos, "BinarySI", text if is_fast and mantissa % 8 else "")


def canonical_quantity(text: str | int | float) -> str:
    """Return the text that the API server stores for a typed quantity."""
    return str(parse_quantity(text))


@lru_cache(maxsize=8192)
def milli_value(text: str) -> int:
    """Return a quantity in thousandths, rounded up: `0.1` is 100."""
    return parse_quantity(text).milli()


@lru_cache(maxsize=8192)
def int_value(text: str) -> int:
    """Return a quantity in whole units, rounded up: `1Ki` is 1024."""
    return parse_quantity(text).units()
