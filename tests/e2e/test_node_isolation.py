"""What a node that somebody has taken over can do: kubectl with a kubelet's own certificate."""

import json
import shlex

import pytest
import yaml

from tests.e2e.conftest import Berth

pytestmark = pytest.mark.e2e
SECURE = "node-restriction.kubernetes.io/zone"
NODES = f"""\
apiVersion: v1
kind: Node
metadata:
  name: secure
  labels: {{{SECURE}: secure, disktype: ssd}}
spec:
  taints: [{{key: dedicated, value: secrets, effect: NoSchedule}}]
---
apiVersion: v1
kind: Node
metadata: {{name: edge}}
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  nodeName: {node}
  containers: [{{name: c, image: nginx, envFrom: [{{secretRef: {{name: {name}}}}}]}}]
"""


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A cluster with a node for secrets and one at the edge, each with a pod that has a secret."""
    folder = tmp_path_factory.mktemp("split")
    (folder / "nodes.yaml").write_text(NODES)
    made = Berth(folder / "cluster")
    made.up("-f", str(folder / "nodes.yaml"))
    kubectl = made.kubectl()
    for name, node in (("theirs", "secure"), ("mine", "edge")):
        kubectl.run(f"kubectl create secret generic {name} --from-literal=key=value")
        (folder / f"{name}.yaml").write_text(POD.format(name=name, node=node))
        answer = kubectl.run(f"kubectl apply -f {folder / name}.yaml")
        assert answer.returncode == 0, answer.stderr
    yield made
    made.run("down")


@pytest.fixture(scope="module")
def as_edge(split):
    """Return what runs kubectl as the kubelet of the node at the edge."""
    config = yaml.safe_load((split.data / "kubeconfig").read_text())
    certificate = split.data / "pki/nodes/edge.pem"
    config["users"][0]["user"] = {
        "client-certificate": str(certificate),
        "client-key": str(certificate),
    }
    path = split.data.parent / "edge.kubeconfig"
    path.write_text(yaml.safe_dump(config))

    def run(command):
        program, _, rest = command.partition(" ")
        return split.kubectl().run(f"{program} --kubeconfig {shlex.quote(str(path))} {rest}")

    return run


def test_the_cluster_labels_a_new_node_with_what_its_kubelet_may_not(split):
    labels = split.kubectl().run(f"kubectl get nodes -L {SECURE},disktype --no-headers").stdout
    rows = {line.split()[0]: line.split()[5:] for line in labels.splitlines()}
    assert rows == {"secure": ["secure", "ssd"], "edge": []}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        pytest.param(
            f"kubectl label node edge {SECURE}=secure",
            'nodes "edge" is forbidden: is not allowed to modify labels: ' + SECURE,
            id="relabel itself",
        ),
        pytest.param(
            "kubectl taint node edge dedicated=secrets:NoSchedule",
            'nodes "edge" is forbidden: node "edge" is not allowed to modify taints',
            id="change its taints",
        ),
        pytest.param(
            "kubectl label node secure --overwrite disktype=hdd",
            "node 'edge' cannot read 'secure', only its own Node object",
            id="relabel another node",
        ),
        pytest.param(
            "kubectl delete node edge",
            'User "system:node:edge" cannot delete resource "nodes"',
            id="register anew",
        ),
        pytest.param(
            "kubectl get secret theirs",
            "no relationship found between node 'edge' and this object",
            id="read the secret of another node's pod",
        ),
        pytest.param("kubectl get secrets", "No Object name found", id="read all secrets"),
        pytest.param(
            "kubectl get pods -A",
            "can only list/watch pods with spec.nodeName field selector",
            id="see all pods",
        ),
        pytest.param(
            "kubectl get pod theirs",
            "no relationship found between node 'edge' and this object",
            id="see another node's pod",
        ),
        pytest.param(
            "kubectl delete pod theirs --wait=false",
            'node "edge" can only delete pods with spec.nodeName set to itself',
            id="delete another node's pod",
        ),
        pytest.param(
            "kubectl run spy --image=nginx",
            'pod does not have "kubernetes.io/config.mirror" annotation, node "edge" can only '
            "create mirror pods",
            id="run a pod",
        ),
        pytest.param(
            "kubectl create token default",
            "node requested token not bound to a pod",
            id="get a token for itself",
        ),
        pytest.param(
            "kubectl get lease secure -n kube-node-lease",
            "can only access node lease with the same name as the requesting node",
            id="keep another node's lease",
        ),
    ],
)
def test_a_node_that_was_taken_over_is_refused(as_edge, command, why):
    answer = as_edge(command)
    assert why in answer.stderr, (answer.stdout, answer.stderr)
    assert answer.returncode == 1


def test_nor_does_it_relabel_itself_through_its_status(as_edge, split, tmp_path):
    node = split.kubectl().items("node edge")[0]
    node["metadata"]["labels"][SECURE] = "secure"
    path = tmp_path / "node.json"
    path.write_text(json.dumps(node))
    answer = as_edge(f"kubectl replace --raw /api/v1/nodes/edge/status -f {path}")
    assert f"is not allowed to modify labels: {SECURE}" in answer.stderr


def test_it_still_does_what_a_kubelet_does(as_edge, split):
    assert as_edge("kubectl get node edge -o name").stdout == "node/edge\n"
    assert as_edge("kubectl label node edge disktype=hdd").returncode == 0
    assert as_edge("kubectl get secret mine -o name").stdout == "secret/mine\n"
    selected = "kubectl get pods -A --field-selector spec.nodeName=edge -o name"
    assert as_edge(selected).stdout == "pod/mine\n"
    wait = "kubectl wait --for=condition=Ready pod/mine pod/theirs --timeout=30s"
    assert split.kubectl().run(wait).returncode == 0
    # Last: the secret goes out of reach with its pod.
    assert as_edge("kubectl delete pod mine --grace-period=1").returncode == 0
    answer = as_edge("kubectl get secret mine")
    assert "no relationship found between node 'edge' and this object" in answer.stderr


def test_plugins_are_chosen_for_the_whole_cluster_and_for_the_next_time(berth):
    asked = ("--enable-admission-plugins", "LimitPodHardAntiAffinityTopology,AlwaysPullImages")
    berth.up("--nodes", "0", *asked)
    try_it = "kubectl create --dry-run=server -o jsonpath={.spec.containers[0].imagePullPolicy}"
    pod = POD.format(name="p", node="n1").replace("nginx", "nginx:1")
    (berth.data.parent / "pod.yaml").write_text(pod)
    command = f"{try_it} -f {berth.data.parent / 'pod.yaml'}"
    answer = berth.kubectl().run(command)
    assert answer.stdout == "Always", answer.stderr
    berth.run("down")
    berth.up()
    assert berth.kubectl().run(command).stdout == "Always"


@pytest.mark.parametrize(
    ("option", "why"),
    [
        (
            "--enable-admission-plugins=Nope",
            'enable-admission-plugins plugin "Nope" is unknown',
        ),
        (
            "--enable-admission-plugins=ImagePolicyWebhook",
            'enable-admission-plugins plugin "ImagePolicyWebhook" is not served by kubeberth',
        ),
    ],
)
def test_a_plugin_that_there_is_not_is_named_before_anything_starts(berth, option, why):
    answer = berth.run("up", option, check=False)
    assert answer.returncode == 1
    assert answer.stderr.strip() == f"error: {why}"
    assert not berth.data.exists()


def test_node_restriction_is_never_off_in_silence(berth):
    off = ("--nodes", "0", "--disable-admission-plugins", "NodeRestriction")
    answer = berth.run("up", "--port", "0", "--detach", *off)
    warning = "WARNING: NodeRestriction is off: every node may label itself"
    assert warning in answer.stderr
    log = (berth.data / "logs/apiserver.log").read_text()
    assert warning.removeprefix("WARNING: ") in log
    assert warning in berth.kubectl().run("kubectl get --raw /readyz?verbose").stdout
