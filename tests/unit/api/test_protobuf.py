import struct

import pytest

from kubeberth.api import codec, protobuf
from kubeberth.api.scheme import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    VALIDATING_WEBHOOK_CONFIGURATIONS,
)
from kubeberth.errors import BadRequestError


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """Encode one field: a number, a text, or a message made of fields."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def message(*fields):
    return b"".join(fields)


def body(api_version, kind, raw):
    type_meta = message(field(1, api_version), field(2, kind))
    return protobuf.MAGIC + message(field(1, type_meta), field(2, raw), field(3, ""), field(4, ""))


def decoded(raw, resource, api_version="v1"):
    text = body(api_version, resource.kind, raw)
    return codec.decode(text, codec.PROTOBUF, resource).document


def test_names_and_maps_are_read():
    labels = field(11, message(field(1, "app"), field(2, "web")))
    meta = field(1, message(field(1, "n"), field(3, ""), labels))
    document = decoded(meta, NAMESPACES)
    assert document["metadata"] == {"name": "n", "labels": {"app": "web"}}


def test_zero_values_that_go_writes_are_dropped_but_not_those_of_pointers():
    spec = field(2, message(field(1, 0), field(5, 0)))
    document = decoded(message(field(1, b""), spec), DEPLOYMENTS, "apps/v1")
    assert document["spec"]["replicas"] == 0
    assert "minReadySeconds" not in document["spec"]


def test_a_container_with_quantities_ports_and_probe_is_read():
    quantity = message(field(1, "cpu"), field(2, message(field(1, "0.5"))))
    port = field(2, message(field(1, 1), field(2, 0), field(3, "http")))
    probe = field(10, message(field(1, field(2, message(field(1, "/ok"), port))), field(3, 7)))
    container = message(
        field(1, "c"), field(3, "sh"), field(3, ""), field(8, field(2, quantity)), probe
    )
    document = decoded(field(2, field(2, container)), PODS)
    assert document["spec"]["containers"] == [
        {
            "name": "c",
            "command": ["sh", ""],
            "resources": {"requests": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"path": "/ok", "port": "http"}, "timeoutSeconds": 7},
        }
    ]


def test_volume_sources_are_inlined():
    volume = message(field(1, "v"), field(2, field(2, b"")))
    document = decoded(field(2, field(1, volume)), PODS)
    assert document["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]


def test_times_and_negative_numbers_are_read():
    meta = field(1, message(field(9, message(field(1, 1_700_000_000)))))
    toleration = message(field(1, "k"), field(5, -1))
    document = decoded(message(meta, field(2, field(22, toleration))), PODS)
    assert document["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    assert document["spec"]["tolerations"] == [{"key": "k", "tolerationSeconds": -1}]


def test_bytes_become_base64():
    entry = message(field(1, "k"), field(2, b"\x00\x01"))
    assert decoded(field(3, entry), CONFIG_MAPS)["binaryData"] == {"k": "AAE="}


def test_the_rules_of_a_webhook_are_inlined():
    rule = message(field(1, ""), field(2, "v1"), field(3, "pods"), field(4, "*"))
    service = field(1, message(field(1, "ns"), field(2, "svc"), field(4, 8443)))
    client = field(2, message(service, field(2, b"pem")))
    rules = field(3, message(field(1, "CREATE"), field(2, rule)))
    webhook = message(field(1, "a.example.com"), client, rules, field(7, 5), field(8, "v1"))
    raw = message(field(1, field(1, "n")), field(2, webhook))
    version = "admissionregistration.k8s.io/v1"
    document = decoded(raw, VALIDATING_WEBHOOK_CONFIGURATIONS, version)
    assert document["webhooks"] == [
        {
            "name": "a.example.com",
            "clientConfig": {
                "service": {"namespace": "ns", "name": "svc", "port": 8443},
                "caBundle": "cGVt",
            },
            "rules": [
                {
                    "operations": ["CREATE"],
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "resources": ["pods"],
                    "scope": "*",
                }
            ],
            "timeoutSeconds": 5,
            "admissionReviewVersions": ["v1"],
        }
    ]


def test_unknown_field_numbers_are_skipped():
    fixed = varint(900 << 3 | 1) + struct.pack("<d", 1.5)
    assert decoded(message(fixed, field(1, field(1, "n"))), NAMESPACES)["metadata"]["name"] == "n"


@pytest.mark.parametrize(
    "text",
    [b"{}", protobuf.MAGIC, protobuf.MAGIC + b"\x0a\xff", protobuf.MAGIC + b"\x0a\x05ab"],
    ids=["not protobuf", "no kind", "cut within a number", "cut within a text"],
)
def test_a_malformed_body_is_refused(text):
    with pytest.raises(BadRequestError, match="must be of type Pod"):
        codec.decode(text, codec.PROTOBUF, PODS)


def test_a_body_of_another_kind_is_refused():
    with pytest.raises(BadRequestError, match="unknown conversion"):
        codec.decode(body("v1", "Node", b""), codec.PROTOBUF, PODS)


def test_the_schema_of_a_definition_is_read_in_all_its_forms():
    def schema(*fields):
        return message(field(1, ""), *fields)  # Go writes empty texts, too

    text = schema(field(5, "string"))
    one, some = field(1, text), message(field(2, text), field(2, text))
    properties = {
        "list": schema(field(5, "array"), field(24, one)),
        "tuple": schema(field(24, some)),
        "map": schema(field(30, message(field(1, 1), field(2, text)))),
        "anything": schema(field(30, field(1, 1)), field(38, 1)),
        "nothing": schema(field(30, field(1, 0)), field(38, 0), field(40, 0)),
        "number": schema(varint(11 << 3 | 1) + struct.pack("<d", 1.5), field(8, field(1, "2"))),
        "choice": schema(field(20, field(1, '"a"')), field(20, field(1, "1"))),
        "checked": schema(field(44, message(field(1, "self > 1"), field(5, ".a")))),
    }
    entries = (field(29, message(field(1, k), field(2, v))) for k, v in properties.items())
    version = message(field(1, "v1"), field(2, 1), field(4, field(1, schema(*entries))))
    spec = message(field(1, "example.com"), field(3, field(1, "boats")), field(7, version))
    document = decoded(
        field(2, spec), CUSTOM_RESOURCE_DEFINITIONS, api_version="apiextensions.k8s.io/v1"
    )
    (read,) = document["spec"]["versions"]
    assert read["schema"]["openAPIV3Schema"]["properties"] == {
        "list": {"type": "array", "items": {"type": "string"}},
        "tuple": {"items": [{"type": "string"}] * 2},
        "map": {"additionalProperties": {"type": "string"}},
        "anything": {
            "additionalProperties": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
        "nothing": {
            "additionalProperties": False,
            "x-kubernetes-preserve-unknown-fields": False,
        },
        "number": {"minimum": 1.5, "default": 2},
        "choice": {"enum": ["a", 1]},
        "checked": {
            "x-kubernetes-validations": [{"rule": "self > 1", "fieldPath": ".a"}],
        },
    }
