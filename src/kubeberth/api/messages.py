"""The protobuf messages of the Kubernetes types: field numbers, wire types, Go pointers.

From `data/protobuf.txt`, whose head explains its notation. Two readers: `protobuf.py` decodes
bodies by it, and `schema.py` learns here what the published definitions do not say: whether a
field is a pointer, which decides if Go prints its zero value.
"""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from functools import cache

# Fields whose message is written nested on the wire but inlined in JSON.
INLINED = frozenset(
    {
        ("Volume", "volumeSource"),
        ("PersistentVolumeSpec", "persistentVolumeSource"),
        ("Probe", "handler"),
        ("EphemeralContainer", "ephemeralContainerCommon"),
        ("IngressRule", "ingressRuleValue"),
        ("SecretKeySelector", "localObjectReference"),
        ("ConfigMapKeySelector", "localObjectReference"),
        ("SecretEnvSource", "localObjectReference"),
        ("ConfigMapEnvSource", "localObjectReference"),
        ("SecretProjection", "localObjectReference"),
        ("ConfigMapProjection", "localObjectReference"),
        ("ConfigMapVolumeSource", "localObjectReference"),
        ("RuleWithOperations", "rule"),
        ("NamedRuleWithOperations", "ruleWithOperations"),
        ("DeviceAllocationConfiguration", "deviceConfiguration"),
        ("DeviceClaimConfiguration", "deviceConfiguration"),
        ("DeviceClassConfiguration", "deviceConfiguration"),
    }
)
# The wire names that differ from the JSON name.
RENAMED = {
    ("BoundObjectReference", "uID"): "uid",
    ("IngressClassParametersReference", "aPIGroup"): "apiGroup",
    ("JSONSchemaProps", "ref"): "$ref",
    ("JSONSchemaProps", "schema"): "$schema",
    ("JSONSchemaProps", "xKubernetesEmbeddedResource"): "x-kubernetes-embedded-resource",
    ("JSONSchemaProps", "xKubernetesIntOrString"): "x-kubernetes-int-or-string",
    ("JSONSchemaProps", "xKubernetesListMapKeys"): "x-kubernetes-list-map-keys",
    ("JSONSchemaProps", "xKubernetesListType"): "x-kubernetes-list-type",
    ("JSONSchemaProps", "xKubernetesMapType"): "x-kubernetes-map-type",
    ("JSONSchemaProps", "xKubernetesPreserveUnknownFields"): (
        "x-kubernetes-preserve-unknown-fields"
    ),
    ("JSONSchemaProps", "xKubernetesValidations"): "x-kubernetes-validations",
}

_MESSAGE = re.compile(r"(\w+)\{(.*)\}$")
_FIELD = re.compile(r"(\d+) (\w+):(\{?)(\w+)\}?([*?]?)")
# Where messages live that a package may use without saying so.
_SHARED_PACKAGES = ("core.v1", "apis.meta.v1", "runtime", "api.resource", "util.intstr")


@dataclass(frozen=True, slots=True)
class MessageField:
    """One field of a message.

    Parameters
    ----------
    name
        Its JSON name.
    type
        One of `s y b i l d`, or the name of a message.
    """

    number: int
    name: str
    type: str
    repeated: bool
    pointer: bool
    is_map: bool
    inlined: bool


@cache
def _bodies() -> dict[str, str]:
    """Return the text between the braces of every message, by `package.Message`."""
    data = pkgutil.get_data("kubeberth.api", "data/protobuf.txt")
    if data is None:
        raise FileNotFoundError("kubeberth/api/data/protobuf.txt")
    text = data.decode("ascii")
    bodies: dict[str, str] = {}
    package = ""
    for line in text.splitlines():
        if line.startswith("["):
            package = line.strip("[]")
        elif match := _MESSAGE.match(line):
            bodies[f"{package}.{match[1]}"] = match[2]
    return bodies


def resolve(package: str, name: str) -> str | None:
    """Return the full name of a message as a package means it, or None when there is none."""
    for home in (package, *_SHARED_PACKAGES):
        if f"{home}.{name}" in _bodies():
            return f"{home}.{name}"
    return None


@cache
def message(full_name: str) -> tuple[MessageField, ...]:
    """Return the fields of a message in wire form; empty when the message is not known."""
    short = full_name.rpartition(".")[2]
    return tuple(
        MessageField(
            number=int(number),
            name=RENAMED.get((short, name), name),
            type=kind,
            repeated=mark == "*",
            pointer=mark == "?",
            is_map=bool(brace),
            inlined=(short, name) in INLINED,
        )
        for number, name, brace, kind, mark in _FIELD.findall(_bodies().get(full_name, ""))
    )


@cache
def pointers(full_name: str) -> dict[str, bool] | None:
    """Return for every JSON field of a message whether it is a pointer; None when not known."""
    fields = message(full_name)
    if not fields:
        return None
    found: dict[str, bool] = {}
    package = full_name.rpartition(".")[0]
    for field in fields:
        if field.inlined:
            found |= pointers(resolve(package, field.type) or "") or {}
        else:
            found[field.name] = field.pointer
    return found
