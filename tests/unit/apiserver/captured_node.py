"""A node n1 that somebody has got hold of, and n2, and what the server says to them."""

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

NODE_GROUPS = frozenset(("system:nodes", AUTHENTICATED))
N1 = User("system:node:n1", NODE_GROUPS)
NODES, PODS = "/api/v1/nodes", "/api/v1/namespaces/default/pods"
MIRROR = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}
GROUP = "rbac.authorization.k8s.io"
ROLES = f"/apis/{GROUP}/v1/clusterroles"
BINDINGS = f"/apis/{GROUP}/v1/clusterrolebindings"


async def nodes(api, **n1):
    """Make two nodes, and return the UID of the first."""
    answer = await api.post(NODES, {"metadata": {"name": "n1", **n1.pop("metadata", {})}, **n1})
    await api.post(NODES, {"metadata": {"name": "n2"}})
    return answer.json["metadata"]["uid"]


async def allow_nodes(api, verbs, *resources, groups=("",)):
    """Give all nodes more by RBAC, so that admission is what refuses."""
    rules = [{"verbs": verbs, "apiGroups": list(groups), "resources": list(resources)}]
    assert (await api.post(ROLES, {"metadata": {"name": "more"}, "rules": rules})).code == 201
    binding = {
        "metadata": {"name": "more"},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": "more"},
        "subjects": [{"kind": "Group", "apiGroup": GROUP, "name": "system:nodes"}],
    }
    assert (await api.post(BINDINGS, binding)).code == 201


def refused(answer, why):
    assert answer.code == 403, answer.body
    assert answer.message.endswith(f" is forbidden: {why}")


def mirror(uid, name="m", *, node="n1", owner=None, **spec):
    owned = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    owners = [owned | (owner or {})]
    return {
        "metadata": {"name": name, "annotations": MIRROR, "ownerReferences": owners},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}], **spec},
    }
