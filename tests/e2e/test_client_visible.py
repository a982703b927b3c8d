"""What clients see of a running cluster, as far as no recorded session shows it.

The points are those of tests/rules/client_visible.yaml, which says what holds the others.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from contextlib import ExitStack

import pytest
import yaml
from benchmarks.fuzz_api import Connection, Sent

from tests.e2e.test_lifecycle import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SPACE = "/api/v1/namespaces/default"
MAPS = f"{SPACE}/configmaps"
AS_JSON = (("Content-Type", "application/json"),)


@pytest.fixture(scope="module")
def kubectl(cluster):
    return cluster.kubectl()


@pytest.fixture
def server(cluster):
    """A connection of an administrator's."""
    connection = Connection(cluster.data / "kubeconfig")
    yield connection
    connection.close()


def done(kubectl, command):
    answer = kubectl.run(f"kubectl {command}")
    assert answer.returncode == 0, f"{command}: {answer.stderr}"
    return answer.stdout


def refused(kubectl, command):
    answer = kubectl.run(f"kubectl {command}")
    assert answer.returncode, f"{command}: {answer.stdout}"
    return answer.stderr


def ask(server, method, path, body=None, headers=AS_JSON):
    raw = b"" if body is None else json.dumps(body).encode()
    code, answer = server.ask(Sent(method, path, headers, raw))
    return code, json.loads(answer) if answer.startswith(b"{") else answer


def config_map(name, **data):
    return {"metadata": {"name": name}, "data": data}


def test_kubectl_tells_version_and_address_of_the_server(kubectl):
    server = yaml.safe_load(kubectl.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert "Server Version: v1.36.2\n" in done(kubectl, "version")
    told = re.sub(r"\x1b\[[\d;]*m", "", done(kubectl, "cluster-info"))
    assert f"Kubernetes control plane is running at {server}\n" in told


def test_discovery_is_read_once(kubectl):
    done(kubectl, "get pods")
    second = kubectl.run("kubectl get pods -v=8").stderr
    assert "/api/v1/namespaces/default/pods" in second
    assert not re.search(r"/apis?\?timeout", second)


def test_get_all_shows_what_belongs_to_it(kubectl):
    done(kubectl, "create service clusterip all-kinds --tcp=80")
    done(kubectl, "create configmap not-all-kinds")
    shown = done(kubectl, "get all")
    assert "service/all-kinds" in shown
    assert "not-all-kinds" not in shown


def test_openapi_documents_may_be_kept_by_their_hash(cluster):
    with Connection(cluster.data / "kubeconfig").open() as raw:
        index = exchanged(raw, "GET /openapi/v3")[1]
        path = json.loads(index)["paths"]["api/v1"]["serverRelativeURL"]
        assert re.fullmatch(r"/openapi/v3/api/v1\?hash=[0-9A-F]+", path)
        head, document = exchanged(raw, f"GET {path}")
        assert "cache-control: public, immutable" in head.lower()
        assert json.loads(document)["openapi"].startswith("3.")


def exchanged(raw, request, *headers, body=b""):
    """Return head and body of the answer to a request that is written by hand."""
    lines = [f"{request} HTTP/1.1", "Host: x", *headers, "", ""]
    raw.sendall("\r\n".join(lines).encode() + body)
    return read_answer(raw)


def read_answer(raw):
    seen = b""
    while b"\r\n\r\n" not in seen:
        part = raw.recv(65536)
        assert part, seen
        seen += part
    head, _, rest = seen.partition(b"\r\n\r\n")
    if not (length := re.search(rb"(?i)content-length: (\d+)", head)):
        return head.decode(), rest
    while len(rest) < int(length[1]):
        rest += raw.recv(65536)
    return head.decode(), rest


def test_a_thousand_generated_names_differ(server):
    body = {"metadata": {"generateName": "drawn-"}}
    names = {ask(server, "POST", MAPS, body)[1]["metadata"]["name"] for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch("drawn-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in names)


def test_an_unknown_field_may_be_ignored(kubectl, tmp_path):
    path = tmp_path / "map.yaml"
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: extra}, colour: red}"
    path.write_text(text)
    answer = kubectl.run(f"kubectl create --validate=ignore -f {path}")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "red" not in done(kubectl, "get configmap extra -o yaml")


def test_a_watch_shows_what_happened(kubectl, server):
    watching = kubectl_watching(kubectl, "configmaps --output-watch-events --watch-only")
    try:
        time.sleep(1.0)  # until it listens, which it does not say
        ask(server, "POST", MAPS, config_map("watched"))
        ask(server, "PUT", f"{MAPS}/watched", config_map("watched", a="b"))
        ask(server, "DELETE", f"{MAPS}/watched")
        lines = [watching.stdout.readline() for _ in range(4)]
    finally:
        watching.kill()
        watching.communicate()
    assert [line.split()[0] for line in lines] == ["EVENT", "ADDED", "MODIFIED", "DELETED"]


def kubectl_watching(kubectl, what):
    environment = {"HOME": str(kubectl.home), "KUBECONFIG": str(kubectl.kubeconfig)}
    command = [kubectl.program, "get", *what.split()]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_list_and_watch_tell_of_each_object_once(cluster, server):
    space = "/api/v1/namespaces/told-once"
    ask(server, "POST", "/api/v1/namespaces", {"metadata": {"name": "told-once"}})
    names = [f"told-{number}" for number in range(1000)]
    writer = Connection(cluster.data / "kubeconfig")
    writing = threading.Thread(
        target=lambda: [
            ask(writer, "POST", f"{space}/configmaps", config_map(name)) for name in names
        ]
    )
    writing.start()
    time.sleep(0.2)
    listed = ask(server, "GET", f"{space}/configmaps")[1]
    version = listed["metadata"]["resourceVersion"]
    seen = [item["metadata"]["name"] for item in listed["items"]]
    with server.open() as raw:
        raw.sendall(
            f"GET {space}/configmaps?watch=true&resourceVersion={version} HTTP/1.1\r\n"
            "Host: x\r\n\r\n".encode()
        )
        seen += names_until(raw, names[-1])
    writing.join()
    writer.close()
    assert sorted(name for name in seen if name.startswith("told-")) == sorted(names)


def names_until(raw, last):
    """Return the names that a watch tells of, up to one."""
    text = b""
    while f'"name":"{last}"'.encode() not in text:
        part = raw.recv(65536)
        assert part
        text += part
    return [name.decode() for name in re.findall(rb'"metadata":\{"name":"([^"]+)"', text)]


def test_kubectl_waits_until_a_pod_is_gone(kubectl):
    done(kubectl, "run going --image=nginx")
    done(kubectl, "wait --for=condition=Ready pod/going --timeout=20s")
    done(kubectl, "delete pod going --wait=false")
    done(kubectl, "wait --for=delete pod/going --timeout=60s")
    assert "not found" in refused(kubectl, "get pod going")


def test_apply_removes_what_the_file_no_longer_has(kubectl, tmp_path):
    path = tmp_path / "deployment.yaml"

    def applied(strategy, *containers):
        document = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "applied"},
            "spec": {
                "replicas": 0,
                "strategy": strategy,
                "selector": {"matchLabels": {"app": "applied"}},
                "template": {
                    "metadata": {"labels": {"app": "applied"}},
                    "spec": {"containers": [*containers]},
                },
            },
        }
        path.write_text(json.dumps(document))
        done(kubectl, f"apply -f {path}")
        return json.loads(done(kubectl, "get deployment applied -o json"))["spec"]

    def container(name, **env):
        variables = [{"name": key, "value": value} for key, value in env.items()]
        return {"name": name, "image": "nginx:1", "env": variables}

    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3}}
    applied(rolling, container("a", ONE="1", TWO="2"), container("b"), container("c"))
    spec = applied(rolling, container("c"), container("a", TWO="2"))
    found = spec["template"]["spec"]["containers"]
    assert [c["name"] for c in found] == ["c", "a"]
    assert found[1]["env"] == [{"name": "TWO", "value": "2"}]
    assert applied({"type": "Recreate"}, container("a"))["strategy"] == {"type": "Recreate"}


def test_of_two_replacements_at_once_one_wins(cluster, server):
    made = ask(server, "POST", MAPS, config_map("contended"))[1]
    codes = []

    def replace(number):
        connection = Connection(cluster.data / "kubeconfig")
        body = {**made, "data": {"number": str(number)}}
        codes.append(ask(connection, "PUT", f"{MAPS}/contended", body)[0])
        connection.close()

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [409] * 7


def test_a_hundred_pods_are_placed_and_events_tell_so(kubectl):
    done(kubectl, "create namespace hundred")
    done(kubectl, "create deployment many -n hundred --image=nginx --replicas=100")
    done(kubectl, "rollout status deployment/many -n hundred --timeout=60s")
    pods = kubectl.items("pods -n hundred")
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 3
    told = "get events -n hundred --field-selector reason=Scheduled -o name"
    wait_for(lambda: len(done(kubectl, told).splitlines()) == 100)
    done(kubectl, "delete namespace hundred --wait=false")


def test_an_autoscaler_is_stored(kubectl):
    done(kubectl, "create deployment scaled --image=nginx --replicas=0")
    done(kubectl, "autoscale deployment scaled --min=2 --max=5 --cpu=80%")
    (found,) = kubectl.items("horizontalpodautoscaler scaled")
    assert found["apiVersion"] == "autoscaling/v2"
    assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (2, 5)
    [metric] = found["spec"]["metrics"]
    assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}


def test_a_token_has_the_rights_of_a_role_from_when_it_is_bound(kubectl):
    done(kubectl, "create serviceaccount robot")
    token = done(kubectl, "create token robot").strip()
    who = "system:serviceaccount:default:robot"
    kubectl.kubeconfig.with_name("robot").write_text(with_token(kubectl.kubeconfig, token))
    robot = type(kubectl)(kubectl.program, kubectl.kubeconfig.with_name("robot"), kubectl.home)
    question = f"auth can-i create pods --as={who}"
    assert kubectl.run(f"kubectl {question}").stdout == "no\n"
    assert f'User "{who}" cannot list' in refused(robot, "get pods")
    done(kubectl, "create rolebinding robot --clusterrole=edit --serviceaccount=default:robot")
    assert kubectl.run(f"kubectl {question}").stdout == "yes\n"
    done(robot, "get pods")
    assert who in done(robot, "auth whoami")
    done(kubectl, "delete serviceaccount robot")
    assert "Unauthorized" in refused(robot, "get pods")


def with_token(kubeconfig, token):
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    return yaml.safe_dump(document)


def test_rights_are_listed(kubectl):
    listed = done(kubectl, "auth can-i --list --as=system:kube-scheduler")
    assert re.search(r"(?m)^pods/binding +\[\] +\[\] +\[create\]", listed)
    assert re.search(r"(?m)^ +\[/healthz\] +\[\] +\[get\]", listed)


def test_a_role_for_pods_is_none_for_their_logs_or_for_all_of_them(kubectl):
    done(kubectl, "run logged --image=nginx")
    done(kubectl, "wait --for=condition=Ready pod/logged --timeout=20s")
    done(kubectl, "create role reader --verb=get,list --resource=pods")
    done(kubectl, "create rolebinding reader --role=reader --user=jane")
    done(kubectl, "get pods --as=jane")
    told = refused(kubectl, "logs logged --as=jane")
    assert 'cannot get resource "pods/log" in API group "" in the namespace "default"' in told
    done(kubectl, "create role one --verb=get,list --resource=configmaps --resource-name=mine")
    done(kubectl, "create rolebinding one --role=one --user=jane")
    done(kubectl, "create configmap mine")
    done(kubectl, "get configmap mine --as=jane")
    assert "cannot list" in refused(kubectl, "get configmaps --as=jane")
    done(kubectl, "get configmaps --field-selector metadata.name=mine --as=jane")


def test_hundreds_of_watches_hear_of_every_write(server):
    names = [f"heard-{number}" for number in range(100)]
    with ExitStack() as stack:
        watching = [stack.enter_context(server.open()) for _ in range(500)]
        for raw in watching:
            raw.sendall(
                f"GET {MAPS}?watch=true&resourceVersion=0 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            )
        for raw in watching:
            assert raw.recv(20).startswith(b"HTTP/1.1 200")
        for name in names:
            ask(server, "POST", MAPS, config_map(name))
        for raw in watching:
            heard = [name for name in names_until(raw, names[-1]) if name.startswith("heard-")]
            assert heard == names


def test_http_is_spoken_as_clients_do(cluster):
    connection = Connection(cluster.data / "kubeconfig")
    body = json.dumps(config_map("chunked")).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:9], body[9:]))
    with connection.open() as raw:
        head, _ = exchanged(
            raw, f"POST {MAPS}", "Transfer-Encoding: chunked", body=pieces + b"0\r\n\r\n"
        )
        assert head.startswith("HTTP/1.1 201")
        expecting = json.dumps(config_map("expected")).encode()
        length = f"Content-Length: {len(expecting)}"
        head, _ = exchanged(raw, f"POST {MAPS}", "Expect: 100-continue", length)
        assert head.startswith("HTTP/1.1 100")
        raw.sendall(expecting)
        assert read_answer(raw)[0].startswith("HTTP/1.1 201")
        head, _ = exchanged(raw, f"GET {MAPS}/chunked", "Connection: close")
        assert head.startswith("HTTP/1.1 200")
        assert raw.recv(1) == b""


def test_unknown_parameters_and_headers_are_ignored(server):
    headers = (*AS_JSON, ("X-Colour", "red"), ("Kubectl-Command", "x"))
    code, answer = ask(
        server, "POST", f"{MAPS}?colour=red&timeout=32s", config_map("plain"), headers
    )
    assert (code, answer["metadata"]["name"]) == (201, "plain")
