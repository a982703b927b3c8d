"""Field numbers and types of protobuf messages, against the descriptors that kubectl 1.33 carries.

Programs of Kubernetes up to 1.33 hold the descriptors of all messages, compressed. Where no such
kubectl is installed, there is nothing to compare.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import pytest

from kubeberth.api import messages
from kubeberth.api.protobuf import _wire_fields
from tests.e2e.conftest import kubectl_programs

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GZIP = b"\x1f\x8b\x08"
MAX_PACKED = 400_000  # of the core group's descriptor: some 60,000
SCALARS = {1: "d", 3: "l", 5: "i", 8: "b", 9: "s", 12: "y"}
REPEATED = 3
# That of 1.34, which is the same, less what is newer.
RENAMED_PACKAGES = {"resource.v1beta2": "resource.v1"}
# Written small in the table, since JSON has them so.
CAPITALIZED = {"Webhooks", "Expression", "Name"}


@cache
def descriptors():
    """Return the fields of each message, by `package.Message`: number to name, type and form."""
    found = {}
    for program in kubectl_programs()[1:]:
        beside = sorted(Path(program).resolve().parent.glob("kubectl*"))
        for data in (path.read_bytes() for path in beside[-1:]):
            for raw in unpacked(data):
                found |= messages_of(raw)
    return found


def unpacked(data):
    """Yield what is compressed in a program and looks like a description of a package."""
    at = data.find(GZIP)
    while at >= 0:
        try:
            raw = zlib.decompressobj(31).decompress(data[at : at + MAX_PACKED])
        except zlib.error:
            raw = b""
        if b"generated.proto" in raw[:200]:
            yield raw
        at = data.find(GZIP, at + 1)


def messages_of(raw):
    fields = _wire_fields(raw)
    package = dict(fields)[2].decode()
    short = package.removeprefix("k8s.io.api.").removeprefix("k8s.io.apimachinery.pkg.")
    short = RENAMED_PACKAGES.get(short, short)
    read = [message_of(value) for number, value in fields if number == 4]
    return {f"{short}.{name}": described for name, described in read}


def message_of(raw):
    parts = _wire_fields(raw)
    name = dict(parts)[1].decode()
    entries = {}
    for number, value in parts:
        if number == 3:  # the entries of a map are messages of their own
            inner = dict(_wire_fields(value))[1].decode()
            entries[inner] = [dict(_wire_fields(v)) for n, v in _wire_fields(value) if n == 2][1]
    fields = [dict(_wire_fields(value)) for number, value in parts if number == 2]
    return name, {field[3]: described(field, entries) for field in fields}


def described(field, entries):
    name, kind = field[1].decode(), type_of(field)
    if kind in entries:
        return name, type_of(entries[kind]), "map"
    return name, kind, "list" if field[4] == REPEATED else "single"


def type_of(field):
    return SCALARS.get(field[5]) or field[6].decode().rpartition(".")[2]


def in_the_table(full_name):
    return {
        field.number: (
            field.name,
            field.type,
            "map" if field.is_map else "list" if field.repeated else "single",
        )
        for field in messages.message(full_name)
    }


def as_in_json(full_name, name):
    short = full_name.rpartition(".")[2]
    name = messages.RENAMED.get((short, name), name)
    return name.lower() if name in CAPITALIZED else name


def test_every_message_in_the_table_has_the_numbers_that_programs_write():
    if not descriptors():
        pytest.skip("no kubectl up to 1.33 is installed")
    compared, wrong = 0, []
    for full_name, fields in descriptors().items():
        known = in_the_table(full_name)
        for number, (name, kind, form) in fields.items() if known else ():
            compared += 1
            expected = (as_in_json(full_name, name), kind, form)
            if known.get(number) != expected:
                wrong.append(f"{full_name} {number}: {known.get(number)}, not {expected}")
    assert not wrong, "\n".join(wrong)
    assert compared > 1700


def test_every_message_that_one_in_the_table_refers_to_is_there():
    bodies = messages._bodies()
    special = {
        "FieldsV1", "IntOrString", "JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool",
        "JSONSchemaPropsOrStringArray", "MicroTime", "Quantity", "RawExtension", "Time", "Verbs",
    }  # fmt: skip
    missing = [
        f"{name}.{field.name}: {field.type}"
        for name in bodies
        for field in messages.message(name)
        if len(field.type) > 1
        and field.type not in special
        and messages.resolve(name.rpartition(".")[0], field.type) is None
    ]
    assert not missing, "\n".join(missing)
