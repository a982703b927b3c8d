"""Logs, streams and proxies of pods that run on simulated nodes."""

import pytest

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User

PODS = "/api/v1/namespaces/default/pods"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
STARTED = "2024-01-01T00:00:00Z"
LINE = b"container c is simulated by kubeberth and prints nothing\n"
WEBSOCKET = {"connection": "Upgrade", "upgrade": "websocket"}
SPDY = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}


def state(name="c", **state):
    told = {"name": name, "image": "i", "imageID": "", "ready": True, "restartCount": 0}
    return {**told, "state": state}


async def running(api, name="p", *, last=None, **spec):
    """Make a pod whose container has run since the beginning of 2024."""
    await api.pod(name, nodeName="n1", **spec)
    status = state(running={"startedAt": STARTED})
    if last:
        status["lastState"] = {"terminated": {"exitCode": 1, "startedAt": last}}
    change = {"status": {"containerStatuses": [status], "podIP": "10.0.0.1"}}
    assert (await api.patch(f"{PODS}/{name}/status", change)).code == 200


async def log(api, query="", name="p"):
    answer = await api.get(f"{PODS}/{name}/log?{query}")
    return answer.body if answer.code == 200 else (answer.code, answer.message)


def test_a_log_says_in_one_line_that_the_container_is_simulated(run):
    async def scenario(api):
        await running(api)
        assert await log(api) == LINE
        assert await log(api, "timestamps=true") == STARTED.encode() + b" " + LINE
        answer = await api.get(f"{PODS}/p/log")
        assert answer.headers["content-type"] == "text/plain"

    run(scenario)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("limitBytes=9", LINE[:9], id="its beginning"),
        pytest.param("tailLines=0", b"", id="no lines"),
        pytest.param("tailLines=1", LINE, id="the last line"),
        pytest.param("sinceSeconds=60", b"", id="of the last minute"),
        pytest.param("sinceTime=2023-12-31T23:59:59Z", LINE, id="since before"),
        pytest.param("sinceTime=2024-01-01T02:00:01%2B02:00", b"", id="since later, elsewhere"),
    ],
)
def test_a_log_shows_as_much_as_is_asked_for(run, query, expected):
    async def scenario(api):
        await running(api)
        assert await log(api, query) == expected

    run(scenario)


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        pytest.param(
            "tailLines=-1",
            422,
            'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or '
            "equal to 0",
            id="fewer than no lines",
        ),
        pytest.param(
            "limitBytes=0",
            422,
            'PodLogOptions "p" is invalid: limitBytes: Invalid value: 0: must be greater than 0',
            id="no bytes",
        ),
        pytest.param(
            "sinceSeconds=0",
            422,
            'PodLogOptions "p" is invalid: sinceSeconds: Invalid value: 0: must be greater than 0',
            id="since now",
        ),
        pytest.param(
            f"sinceSeconds=1&sinceTime={STARTED}",
            422,
            'PodLogOptions "p" is invalid: : Forbidden: at most one of `sinceTime` or '
            "`sinceSeconds` may be specified",
            id="since two moments",
        ),
        pytest.param(
            "previous=true",
            400,
            'previous terminated container "c" in pod "p" not found',
            id="of a container that has not run before",
        ),
        pytest.param("container=x", 400, "container x is not valid for pod p", id="no container"),
        pytest.param(
            "tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax', id="no number"
        ),
    ],
)
def test_not_every_log_can_be_had(run, query, code, text):
    async def scenario(api):
        await running(api)
        assert await log(api, query) == (code, text)

    run(scenario)


def test_the_log_of_the_run_before_is_that_runs(run):
    async def scenario(api):
        await running(api, last="2023-06-01T00:00:00Z")
        shown = await log(api, "previous=true&timestamps=true")
        assert shown == b"2023-06-01T00:00:00Z " + LINE

    run(scenario)


def test_of_several_containers_one_has_to_be_named(run):
    async def scenario(api):
        containers = [{"name": name, "image": "i"} for name in ("c", "d")]
        await running(api, containers=containers, initContainers=[{"name": "a", "image": "i"}])
        assert await log(api) == (
            400,
            "a container name must be specified for pod p, choose one of: [a c d]",
        )
        assert await log(api, "container=c") == LINE

    run(scenario)


@pytest.mark.parametrize(
    ("waiting", "why"),
    [
        ({"reason": "ContainerCreating"}, "ContainerCreating"),
        ({"reason": "ImagePullBackOff"}, "trying and failing to pull image"),
        ({"reason": "ErrImagePull"}, "image can't be pulled"),
    ],
)
def test_a_container_that_waits_has_no_log_yet(run, waiting, why):
    async def scenario(api):
        await api.pod("p", nodeName="n1")
        change = {"status": {"containerStatuses": [state(waiting=waiting)]}}
        await api.patch(f"{PODS}/p/status", change)
        text = f'container "c" in pod "p" is waiting to start: {why}'
        assert await log(api) == (400, text)

    run(scenario)


def test_a_pod_without_a_node_has_no_log(run):
    async def scenario(api):
        await api.pod("p")
        answer = await api.get(f"{PODS}/p/log")
        assert (answer.code, answer.body) == (204, b"")

    run(scenario)


@pytest.mark.parametrize("part", ["exec", "attach", "portforward"])
@pytest.mark.parametrize(
    ("method", "headers"),
    [pytest.param("GET", WEBSOCKET, id="WebSocket"), pytest.param("POST", SPDY, id="SPDY")],
)
def test_no_stream_leads_into_a_simulated_pod(run, part, method, headers):
    async def scenario(api):
        await running(api)
        path = f"{PODS}/p/{part}?command=ls&container=c"
        answer = await api.ask(method, path, **headers)
        assert answer.code == 501
        assert answer.message.startswith('pod "p" is simulated by kubeberth and runs no containers')
        assert "\n" not in answer.message
        assert (await api.ask(method, path)).message == "Upgrade request required"

    run(scenario)


def test_a_stream_is_refused_for_what_is_wrong_with_it_first(run):
    async def scenario(api):
        await api.pod("waiting")
        await running(api)
        for name, query, code, text in (
            ("absent", "", 404, 'pods "absent" not found'),
            ("waiting", "", 400, "pod waiting does not have a host assigned"),
            ("p", "container=x", 400, "container x is not valid for pod p"),
        ):
            answer = await api.post(f"{PODS}/{name}/exec?{query}", b"", **SPDY)
            assert (answer.code, answer.message) == (code, text)

    run(scenario)


def test_who_may_only_read_runs_no_commands_by_websocket(run):
    async def scenario(api):
        await running(api)
        rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods/exec"]}
        await api.post(f"{RBAC}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "reader"}
        binding = {"metadata": {"name": "r"}, "roleRef": role, "subjects": [subject]}
        await api.post(f"{RBAC}/rolebindings", binding)
        reader = User("reader", frozenset((AUTHENTICATED,)))
        answer = await api.get(f"{PODS}/p/exec?command=ls", user=reader, **WEBSOCKET)
        assert answer.code == 403
        assert 'cannot create resource "pods/exec"' in answer.message

    run(scenario)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("rest", ["", "/", "/metrics/cadvisor"])
def test_no_request_is_passed_on_to_a_simulated_node(run, method, rest):
    async def scenario(api):
        await api.post("/api/v1/nodes", {"metadata": {"name": "n1"}})
        for name in ("n1", "https:n1:10250"):
            answer = await api.ask(method, f"/api/v1/nodes/{name}/proxy{rest}")
            assert answer.code == 503
            assert answer.message == (
                'error trying to reach service: node "n1" is simulated by kubeberth and has no API '
                "of its own"
            )

    run(scenario)


def test_requests_for_pods_and_services_go_nowhere(run):
    async def scenario(api):
        await running(api)
        await api.pod("waiting")
        port = {"port": 80, "name": "http"}
        await api.post(
            "/api/v1/namespaces/default/services",
            {"metadata": {"name": "s"}, "spec": {"ports": [port], "selector": {"a": "b"}}},
        )
        for path, code, text in (
            ("pods/p/proxy/x", 503, 'pod "p" is simulated by kubeberth and answers no requests'),
            ("pods/p:80/proxy", 503, 'pod "p" is simulated by kubeberth and answers no requests'),
            ("pods/waiting/proxy", 400, "address not allowed"),
            ("pods/a:b:c:d/proxy", 400, 'invalid pod request "a:b:c:d"'),
            ("pods/absent/proxy", 404, 'pods "absent" not found'),
            ("services/s:81/proxy", 503, 'no service port "81" found for service "s"'),
            ("services/s:http/proxy", 503, 'no endpoints available for service "s"'),
        ):
            answer = await api.get(f"/api/v1/namespaces/default/{path}")
            assert (answer.code, text in answer.message) == (code, True), answer.message
        slice_ = {
            "metadata": {"name": "s-1", "labels": {"kubernetes.io/service-name": "s"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.0.0.1"]}],
        }
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        assert (await api.post(slices, slice_)).code == 201
        answer = await api.get("/api/v1/namespaces/default/services/s/proxy")
        assert 'service "s" is simulated' in answer.message

    run(scenario)
