"""What the authorizer is told of RBAC is what a search through all stored objects says."""

import asyncio

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeberth.api.scheme import CLUSTER_ROLES, ROLES
from kubeberth.apiserver.auth.authn import User
from kubeberth.apiserver.auth.stored_policy import StoredPolicy
from kubeberth.apiserver.storage.memory import MemoryStore

GROUP = "rbac.authorization.k8s.io"
NAMESPACES, NAMES, VERBS = ("a", "b"), ("x", "y"), ("get", "list", "create")
names = st.sampled_from(NAMES)
namespaces = st.sampled_from(NAMESPACES)
subjects = st.one_of(
    names.map(lambda name: {"kind": "User", "name": name}),
    names.map(lambda name: {"kind": "Group", "name": name}),
    st.tuples(names, namespaces).map(
        lambda two: {"kind": "ServiceAccount", "name": two[0], "namespace": two[1]}
    ),
)
USERS = (
    User("x", frozenset(("y",))),
    User("y", frozenset(("x", "y"))),
    User("system:serviceaccount:a:x", frozenset()),
)


@st.composite
def roles(draw):
    """A key and a role: in a namespace, of the cluster, or one that gathers others."""
    name, verbs = draw(names), draw(st.lists(st.sampled_from(VERBS), max_size=2))
    document = {"metadata": {"name": name}, "rules": [{"verbs": verbs}]}
    if draw(st.booleans()):
        namespace = draw(namespaces)
        document["metadata"]["namespace"] = namespace
        return f"roles.{GROUP}/{namespace}/{name}", document
    document["metadata"]["labels"] = {"of": draw(names)}
    if draw(st.booleans()):
        selectors = [{"matchLabels": {"of": draw(names)}}]
        document["aggregationRule"] = {"clusterRoleSelectors": selectors}
    return f"clusterroles.{GROUP}/{name}", document


@st.composite
def bindings(draw):
    """A key and a binding, everywhere or in a namespace, perhaps of a role that is not there."""
    name = draw(names)
    kind = draw(st.sampled_from(("ClusterRole", "Role")))
    document = {
        "metadata": {"name": name},
        "roleRef": {"kind": kind, "name": draw(names)},
        "subjects": draw(st.lists(subjects, max_size=2)),
    }
    if kind == "ClusterRole" and draw(st.booleans()):
        return f"clusterrolebindings.{GROUP}/{name}", document
    namespace = draw(namespaces)
    document["metadata"]["namespace"] = namespace
    return f"rolebindings.{GROUP}/{namespace}/{name}", document


histories = st.lists(st.tuples(st.one_of(roles(), bindings()), st.booleans()), max_size=30)


class Objects:
    """What is stored, to be searched through."""

    def __init__(self) -> None:
        self.stored = {}

    def find(self, resource, namespace, name):
        parts = (resource.storage_key, *([namespace] if resource is ROLES else []), name)
        return self.stored.get("/".join(parts))

    def find_all(self, resource, namespace=""):
        start = f"{resource.storage_key}/"
        return [found for key, found in sorted(self.stored.items()) if key.startswith(start)]

    def verbs(self, user, namespace):
        """Return all verbs that a user has, looked for in every binding and role."""
        found = set()
        for key, binding in self.stored.items():
            where = binding["metadata"].get("namespace")
            if "bindings" not in key or where not in (None, namespace):
                continue
            if any(self._is(subject, user) for subject in binding["subjects"]):
                role = binding["roleRef"]
                resource = ROLES if role["kind"] == "Role" else CLUSTER_ROLES
                found |= self._of_role(self.find(resource, where or "", role["name"]), set())
        return found

    def _of_role(self, role, seen):
        if role is None or id(role) in seen:
            return set()
        seen.add(id(role))
        if "aggregationRule" not in role:
            return {verb for rule in role["rules"] for verb in rule["verbs"]}
        [selector] = role["aggregationRule"]["clusterRoleSelectors"]
        gathered = [
            self._of_role(other, seen)
            for other in self.find_all(CLUSTER_ROLES)
            if other["metadata"]["labels"]["of"] == selector["matchLabels"]["of"]
        ]
        return set().union(*gathered)

    def _is(self, subject, user):
        if subject["kind"] == "Group":
            return subject["name"] in user.groups
        if subject["kind"] == "User":
            return subject["name"] == user.name
        account = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
        return account == user.name


async def write(store, objects, key, document):
    entry = store.get(key)
    if document is None:
        if entry is not None:
            del objects.stored[key]
            await store.delete(key, entry.revision)
        return
    objects.stored[key] = document
    value = msgspec.json.encode(document)
    if entry is None:
        await store.create(key, value)
    else:
        await store.update(key, value, entry.revision)


def check(policy, objects):
    for user in USERS:
        for namespace in ("", *NAMESPACES):
            rules = [rule for grant in policy.grants(user, namespace) for rule in grant.rules]
            found = {verb for rule in rules for verb in rule.verbs}
            assert found == objects.verbs(user, namespace), (user.name, namespace)


@given(histories)
@settings(max_examples=200, deadline=None)
def test_after_every_write_the_policy_agrees_with_a_search_through_all_objects(history):
    async def scenario():
        store, objects = MemoryStore(), Objects()
        policy = StoredPolicy(objects, store)
        for (key, document), is_removed in history:
            await write(store, objects, key, None if is_removed else document)
            check(policy, objects)
        check(StoredPolicy(objects, store), objects)

    asyncio.run(scenario())
