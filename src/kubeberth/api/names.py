"""Syntax of names, label keys and label values; every function returns what is wrong, in words.

Matches `k8s.io/apimachinery/pkg/util/validation` of Kubernetes 1.36.
"""

from __future__ import annotations

import re

_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_C_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_DNS1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"

_NAME_RE = re.compile(_NAME, re.ASCII)
_LABEL_RE = re.compile(_LABEL, re.ASCII)
_SUBDOMAIN_RE = re.compile(_SUBDOMAIN, re.ASCII)
_C_IDENTIFIER_RE = re.compile(_C_IDENTIFIER, re.ASCII)
_DNS1035_RE = re.compile(_DNS1035, re.ASCII)

_QUALIFIED = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    f"validation is '{_NAME}')"
)


def _too_long(limit: int, unit: str = "bytes") -> str:
    return f"must be no more than {limit} {unit}"


def qualified_name_errors(text: str, what: str = "a valid label key") -> list[str]:
    """Return what keeps a text from being a label key: `[prefix/]name`."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        return [
            f"{what} {_QUALIFIED} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    errors = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        errors += [f"prefix part {error}" for error in dns1123_subdomain_errors(prefix, "bytes")]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        errors.append(f"name part {_too_long(63)}")
    if not _NAME_RE.fullmatch(name):
        errors.append(f"name part {_QUALIFIED}")
    return errors


def c_identifier_errors(text: str) -> list[str]:
    """Return what keeps a text from being an identifier of C, such as a device attribute's name."""
    if _C_IDENTIFIER_RE.fullmatch(text):
        return []
    return [
        "a valid C identifier must start with alphabetic character or '_', followed by a string of "
        "alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used "
        f"for validation is '{_C_IDENTIFIER}')"
    ]


def label_value_errors(text: str) -> list[str]:
    """Return what keeps a text from being a label value."""
    errors = [_too_long(63)] if len(text.encode()) > 63 else []
    if text and not _NAME_RE.fullmatch(text):
        errors.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' "
            "or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
            f"'my_value',  or '12345', regex used for validation is '({_NAME})?')"
        )
    return errors


def dns1123_label_errors(text: str) -> list[str]:
    """Return what keeps a text from being an RFC 1123 label, such as a namespace's name."""
    errors = [_too_long(63, "characters")] if len(text.encode()) > 63 else []
    if not _LABEL_RE.fullmatch(text) and _SUBDOMAIN_RE.fullmatch(text):
        errors.append("must not contain dots")
    elif not _LABEL_RE.fullmatch(text):
        errors.append(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
            "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
            f"regex used for validation is '{_LABEL}')"
        )
    return errors


def dns1123_subdomain_errors(text: str, unit: str = "characters") -> list[str]:
    """Return what keeps a text from being an RFC 1123 subdomain, such as most objects' names."""
    errors = [_too_long(253, unit)] if len(text.encode()) > 253 else []
    if not _SUBDOMAIN_RE.fullmatch(text):
        errors.append(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, "
            "'-' or '.', and must start and end with an alphanumeric character (e.g. "
            f"'example.com', regex used for validation is '{_SUBDOMAIN}')"
        )
    return errors


def dns1035_label_errors(text: str) -> list[str]:
    """Return what keeps a text from being an RFC 1035 label, such as a service's name."""
    errors = [_too_long(63, "characters")] if len(text.encode()) > 63 else []
    if not _DNS1035_RE.fullmatch(text):
        errors.append(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start "
            "with an alphabetic character, and end with an alphanumeric character (e.g. "
            f"'my-name',  or 'abc-123', regex used for validation is '{_DNS1035}')"
        )
    return errors
