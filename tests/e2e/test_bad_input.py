"""Bad input gets the answer that the real thing gives, and the cluster goes on."""

import dataclasses

import pytest
import yaml

from kubeberth.clock import SystemClock
from kubeberth.cluster.kubeconfigs import embedded_user, kubeconfig
from kubeberth.cluster.pki import ADMIN, Authority

pytestmark = pytest.mark.e2e

AFFINITY = "spec.affinity.nodeAffinity"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NOT_A_NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
UNAUTHORIZED = "error: You must be logged in to the server (Unauthorized)\n"


def pod(name="bad", labels=None, **spec):
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels or {}},
            "spec": {"containers": [{"name": "main", "image": "nginx"}], **spec},
        }
    )


def node_affinity(weight=1, operator="Exists"):
    expression = {"key": "disktype", "operator": operator}
    return {
        "nodeAffinity": {
            REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [expression]}]},
            PREFERRED: [
                {
                    "weight": weight,
                    "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]},
                }
            ],
        }
    }


def pod_affinity(topology_key):
    term = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": topology_key}
    return {"podAffinity": {REQUIRED: [term]}}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        pytest.param("a: [", "yaml: line 1: did not find expected node content", id="yaml"),
        pytest.param('{"kind": "Pod"', "error parsing", id="json"),
        pytest.param(
            "apiVersion: v1\nkind: Pood\nmetadata: {name: x}",
            'no matches for kind "Pood" in version "v1"',
            id="unknown kind",
        ),
        pytest.param(
            pod(nodeSelector="text"),
            "json: cannot unmarshal string into Go struct field PodSpec.spec.nodeSelector "
            "of type map[string]string",
            id="wrong type",
        ),
        pytest.param(
            pod(nodeSelectr={"a": "b"}),
            'strict decoding error: unknown field "spec.nodeSelectr"',
            id="unknown field",
        ),
        pytest.param(
            pod(affinity=node_affinity(operator="Equals")),
            f"{AFFINITY}.{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].operator: "
            'Invalid value: "Equals": not a valid selector operator',
            id="unknown operator",
        ),
        pytest.param(
            pod(labels={"a b": "c"}),
            f'metadata.labels: Invalid value: "a b": {NOT_A_NAME}',
            id="label key",
        ),
        *(
            pytest.param(
                pod(affinity=node_affinity(weight=weight)),
                f"{AFFINITY}.{PREFERRED}[0].weight: "
                f"Invalid value: {weight}: must be in the range 1-100",
                id=f"weight {weight}",
            )
            for weight in (0, 101)
        ),
        pytest.param(
            pod(affinity=pod_affinity("")),
            f"spec.affinity.podAffinity.{REQUIRED}[0].topologyKey: "
            "Required value: can not be empty",
            id="empty topology key",
        ),
    ],
)
def test_a_bad_manifest_gets_upstreams_answer(apply, manifest, message):
    done = apply(manifest)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_good_manifest_is_taken_after_all_the_bad_ones(apply):
    assert apply(pod(name="good")).stdout == "pod/good created\n"


def get_pods(cluster, tmp_path, ca_file, user):
    server = cluster.kubectl().run("kubectl config view --minify -o jsonpath={..server}").stdout
    path = tmp_path / "kubeconfig"
    path.write_text(kubeconfig(server, ca_file, user))
    return dataclasses.replace(cluster.kubectl(), kubeconfig=path).run("kubectl get pods")


def test_nobody_gets_in_without_a_certificate(cluster, tmp_path):
    done = get_pods(cluster, tmp_path, cluster.data / "pki/ca.crt", {"token": "guessed"})
    assert done.returncode == 1
    assert done.stderr == UNAUTHORIZED


def test_nobody_gets_in_with_a_certificate_of_another_authority(cluster, tmp_path):
    foreign = Authority(tmp_path / "pki", SystemClock().now()).client("admin", ADMIN)
    done = get_pods(cluster, tmp_path, cluster.data / "pki/ca.crt", embedded_user(foreign))
    assert done.returncode == 1
    assert done.stderr == UNAUTHORIZED


def test_nobody_gets_in_with_an_expired_certificate(cluster, tmp_path):
    pki = tmp_path / "pki"
    pki.mkdir()
    for name in ("ca.crt", "ca.key"):
        (pki / name).write_bytes((cluster.data / "pki" / name).read_bytes())
    two_years_ago = SystemClock().now() - 2 * 365 * 86400
    expired = Authority(pki, two_years_ago).client("admin", ADMIN)
    done = get_pods(cluster, tmp_path, cluster.data / "pki/ca.crt", embedded_user(expired))
    assert done.returncode == 1
    assert done.stderr == UNAUTHORIZED


def test_a_server_of_another_authority_is_not_trusted(cluster, tmp_path):
    foreign = Authority(tmp_path / "pki", SystemClock().now())
    done = get_pods(cluster, tmp_path, foreign.cert_file, {"token": "any"})
    assert done.returncode == 1
    assert "x509" in done.stderr
