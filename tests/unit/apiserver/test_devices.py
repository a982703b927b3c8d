"""Devices through the server: what it fills in, drops, counts, selects and prints."""

from kubeberth.api import protobuf

GROUP = "/apis/resource.k8s.io/v1"
CLAIMS = f"{GROUP}/namespaces/default/resourceclaims"
SLICES = f"{GROUP}/resourceslices"
TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
REQUESTS = [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}]
RESULT = {"request": "gpu", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}
ALLOCATION = {"devices": {"results": [RESULT]}}
CONSUMER = {"resource": "pods", "name": "p", "uid": "1"}
REPORT = {key: RESULT[key] for key in ("driver", "pool", "device")}


async def claimed(api, name="c"):
    body = {"metadata": {"name": name}, "spec": {"devices": {"requests": REQUESTS}}}
    return await api.post(CLAIMS, body)


async def sliced(api, name, node, *devices):
    pool = {"name": node, "resourceSliceCount": 1}
    spec = {"driver": "gpu.example.com", "pool": pool, "nodeName": node, "devices": [*devices]}
    return await api.post(SLICES, {"metadata": {"name": name}, "spec": spec})


async def row(api, path):
    table = (await api.get(path, accept=TABLE)).json
    names = [column["name"] for column in table["columnDefinitions"]]
    return dict(zip(names, table["rows"][0]["cells"], strict=True))


def test_a_claim_goes_from_pending_to_allocated_to_reserved(run):
    async def scenario(api):
        await claimed(api)
        assert (await row(api, CLAIMS))["State"] == "pending"
        await api.patch(f"{CLAIMS}/c/status", {"status": {"allocation": ALLOCATION}})
        assert (await row(api, CLAIMS))["State"] == "allocated"
        await api.patch(f"{CLAIMS}/c/status", {"status": {"reservedFor": [CONSUMER]}})
        assert (await row(api, CLAIMS))["State"] == "allocated,reserved"
        await api.patch(f"{CLAIMS}/c", {"metadata": {"finalizers": ["example.com/f"]}})
        await api.delete(f"{CLAIMS}/c")
        assert (await row(api, CLAIMS))["State"] == "deleted,allocated,reserved"

    run(scenario)


def test_what_drivers_reported_goes_with_the_allocation(run):
    async def scenario(api):
        await claimed(api)
        status = {"allocation": ALLOCATION, "devices": [REPORT]}
        await api.patch(f"{CLAIMS}/c/status", {"status": status})
        answer = await api.patch(f"{CLAIMS}/c/status", {"status": {"allocation": None}})
        assert answer.code == 200
        assert answer.json["status"] == {}

    run(scenario)


def test_slices_are_selected_by_node_and_by_driver(run):
    async def scenario(api):
        await sliced(api, "a", "n1")
        await sliced(api, "b", "n2")
        for query, names in (
            ("spec.nodeName=n1", ["a"]),
            ("spec.driver=gpu.example.com,spec.nodeName!=n1", ["b"]),
            ("spec.driver=other", []),
        ):
            found = (await api.get(f"{SLICES}?fieldSelector={query}")).json["items"]
            assert [item["metadata"]["name"] for item in found] == names
        assert (await row(api, f"{SLICES}/a"))["Node"] == "n1"

    run(scenario)


def test_a_taint_of_a_device_says_since_when(run):
    async def scenario(api):
        taint = {"key": "broken", "effect": "NoExecute"}
        made = await sliced(api, "a", "n1", {"name": "gpu-0", "taints": [taint]})
        (device,) = made.json["spec"]["devices"]
        assert device["taints"][0]["timeAdded"]
        assert made.json["metadata"]["generation"] == 1

    run(scenario)


def test_a_claim_may_be_posted_as_protobuf(run):
    def message(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    exactly = message(1, b"gpu")
    request = message(1, b"gpu") + message(2, exactly)
    config = message(2, message(1, message(1, b"gpu.example.com") + message(2, message(1, b"{}"))))
    spec = message(1, message(1, request) + message(3, config))
    meta = message(1, b"resource.k8s.io/v1") + message(2, b"ResourceClaim")
    body = (
        protobuf.MAGIC
        + message(1, meta)
        + message(2, message(1, message(1, b"c")) + message(2, spec))
    )

    async def scenario(api):
        answer = await api.ask(
            "POST", CLAIMS, body, content_type="application/vnd.kubernetes.protobuf"
        )
        assert answer.code == 201
        devices = answer.json["spec"]["devices"]
        assert devices["requests"][0]["exactly"]["deviceClassName"] == "gpu"
        opaque = {"driver": "gpu.example.com", "parameters": {}}
        assert devices["config"] == [{"opaque": opaque}]

    run(scenario)
