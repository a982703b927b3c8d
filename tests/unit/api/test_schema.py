import pytest

from kubeberth.api import schema
from kubeberth.api.messages import message, pointers
from kubeberth.api.schema import INT32, LIST, OBJECT, QUANTITY, STRING


def field(api_version, kind, path):
    definition = schema.definition_of(api_version, kind)
    *parents, last = path.split(".")
    for name in parents:
        type_ = definition.fields[name].type
        definition = (type_.element if type_.code == LIST else type_).definition
    return definition.fields[last]


@pytest.mark.parametrize(
    ("path", "merge_key", "map_keys"),
    [
        ("spec.containers", "name", ("name",)),
        ("spec.containers.ports", "containerPort", ("containerPort", "protocol")),
        (
            "spec.topologySpreadConstraints",
            "topologyKey",
            ("topologyKey", "whenUnsatisfiable"),
        ),
        ("spec.hostAliases", "ip", ("ip",)),
    ],
)
def test_merge_keys_and_map_keys_differ_where_upstream_has_them_differ(path, merge_key, map_keys):
    found = field("v1", "Pod", path)
    assert found.merges
    assert (found.merge_key, found.map_keys) == (merge_key, map_keys)


@pytest.mark.parametrize("path", ["spec.tolerations", "spec.containers.args"])
def test_lists_without_a_strategy_are_replaced(path):
    assert not field("v1", "Pod", path).merges


def test_volumes_also_retain_keys():
    assert field("v1", "Pod", "spec.volumes").retains_keys


def test_types_come_with_their_codes():
    assert field("apps/v1", "Deployment", "spec.replicas").code == INT32
    assert field("v1", "Pod", "spec.affinity").code == OBJECT
    assert field("v1", "Pod", "spec.nodeName").code == STRING
    assert field("v1", "Pod", "spec.containers.resources.requests").type.element.code == QUANTITY


def test_kinds_are_found_by_api_version():
    assert schema.has_kind("policy/v1", "Eviction")
    assert not schema.has_kind("v1", "Pods")
    assert schema.has_version("apps/v1")
    assert schema.definition_of("v2", "Pod") is None


def test_every_definition_compiles():
    schemas = schema.published_schemas()
    n_fields = sum(
        len(schema.definition(name).fields) for name, s in schemas.items() if "properties" in s
    )
    assert (len(schemas), n_fields) == (771, 3137)


def test_pointers_are_known_also_through_inlined_messages():
    assert pointers("core.v1.Volume")["emptyDir"] is True
    assert pointers("core.v1.PodSpec")["nodeName"] is False
    assert pointers("core.v1.NoSuchMessage") is None


def test_messages_keep_their_numbers():
    numbers = {f.name: f.number for f in message("core.v1.PodSpec")}
    assert (numbers["nodeName"], numbers["tolerations"], numbers["schedulingGates"]) == (10, 22, 38)
