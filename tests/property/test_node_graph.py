"""The graph of the node authorizer says what a search through all stored objects says."""

import asyncio

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeberth.apiserver.auth.node_graph import NodeGraph, Vertex
from kubeberth.apiserver.storage.memory import MemoryStore

NODES = ("n1", "n2", "n3")
NAMESPACES = ("a", "b")
NAMES = ("x", "y")
names = st.sampled_from(NAMES)


def references(kind):
    return st.lists(names, max_size=2).map(lambda found: [{"name": n} for n in found])


@st.composite
def pods(draw):
    """A key and a pod, bound or not, perhaps a mirror, with some references."""
    namespace, name = draw(st.sampled_from(NAMESPACES)), draw(names)
    volumes = [
        *({"name": "s", "secret": {"secretName": n}} for n in draw(st.lists(names, max_size=1))),
        *({"name": "m", "configMap": {"name": n}} for n in draw(st.lists(names, max_size=1))),
        *(
            {"name": "c", "persistentVolumeClaim": {"claimName": n}}
            for n in draw(st.lists(names, max_size=2))
        ),
    ]
    pod = {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": draw(st.sampled_from(({}, {}, {"kubernetes.io/config.mirror": "1"}))),
        },
        "spec": {
            "nodeName": draw(st.sampled_from(("", *NODES))),
            "serviceAccountName": draw(names),
            "imagePullSecrets": draw(references("secrets")),
            "volumes": volumes,
        },
    }
    return f"pods/{namespace}/{name}", pod


@st.composite
def volumes(draw):
    """A key and a persistent volume, claimed or not, with secrets of both kinds."""
    name = draw(names)
    spec = {
        "csi": {
            "driver": "d",
            "nodeStageSecretRef": {"namespace": draw(st.sampled_from(NAMESPACES)), "name": name},
            "controllerExpandSecretRef": {"namespace": "b", "name": draw(names)},
        }
    }
    if draw(st.booleans()):
        spec["claimRef"] = {"namespace": draw(st.sampled_from(NAMESPACES)), "name": draw(names)}
    return f"persistentvolumes/{name}", {"metadata": {"name": name}, "spec": spec}


@st.composite
def attachments(draw):
    name = draw(names)
    spec = {"nodeName": draw(st.sampled_from(NODES))}
    key = f"volumeattachments.storage.k8s.io/{name}"
    return key, {"metadata": {"name": name}, "spec": spec}


objects = st.one_of(pods(), pods(), volumes(), attachments())
histories = st.lists(st.tuples(objects, st.booleans()), max_size=30)


def readable(stored, node):
    """Everything a node may read, looked for in all objects, again and again."""
    found, claims = set(), set()
    for key, document in stored.items():
        spec = document["spec"]
        if key.startswith("volumeattachments"):
            if spec["nodeName"] == node:
                found.add(Vertex("volumeattachments.storage.k8s.io", "", key.split("/")[1]))
        elif key.startswith("pods/") and spec["nodeName"] == node:
            _, namespace, name = key.split("/")
            found.add(Vertex("pods", namespace, name))
            if document["metadata"]["annotations"]:
                continue
            found.add(Vertex("serviceaccounts", namespace, spec["serviceAccountName"]))
            for reference in spec["imagePullSecrets"]:
                found.add(Vertex("secrets", namespace, reference["name"]))
            for volume in spec["volumes"]:
                if "secret" in volume:
                    found.add(Vertex("secrets", namespace, volume["secret"]["secretName"]))
                elif "configMap" in volume:
                    found.add(Vertex("configmaps", namespace, volume["configMap"]["name"]))
                else:
                    claim = volume["persistentVolumeClaim"]["claimName"]
                    claims.add((namespace, claim))
                    found.add(Vertex("persistentvolumeclaims", namespace, claim))
    for key, document in stored.items():
        claim = document["spec"].get("claimRef")
        if claim and (claim["namespace"], claim["name"]) in claims:
            found.add(Vertex("persistentvolumes", "", key.split("/")[1]))
            stage = document["spec"]["csi"]["nodeStageSecretRef"]
            found.add(Vertex("secrets", stage["namespace"], stage["name"]))
    return found


EVERY_VERTEX = [
    *(
        Vertex(resource, namespace, name)
        for resource in ("pods", "secrets", "configmaps", "serviceaccounts")
        for namespace in NAMESPACES
        for name in NAMES
    ),
    *(Vertex("persistentvolumeclaims", ns, name) for ns in NAMESPACES for name in NAMES),
    *(Vertex("persistentvolumes", "", name) for name in NAMES),
    *(Vertex("volumeattachments.storage.k8s.io", "", name) for name in NAMES),
]


async def write(store, stored, key, document):
    entry = store.get(key)
    if document is None:
        if entry is not None:
            await store.delete(key, entry.revision)
            del stored[key]
        return
    value = msgspec.json.encode(document)
    if entry is None:
        await store.create(key, value)
    else:
        await store.update(key, value, entry.revision)
    stored[key] = document


def check(graph, stored):
    for node in NODES:
        expected = readable(stored, node)
        found = {vertex for vertex in EVERY_VERTEX if graph.reaches(node, vertex)}
        assert found == expected, node


@given(histories)
@settings(max_examples=200, deadline=None)
def test_after_every_write_the_graph_agrees_with_a_search_through_all_objects(history):
    async def scenario():
        store, stored = MemoryStore(), {}
        graph = NodeGraph(store)
        for (key, document), is_written in history:
            await write(store, stored, key, document if is_written else None)
            check(graph, stored)
        check(NodeGraph(store), stored)  # as after a restart

    asyncio.run(scenario())
