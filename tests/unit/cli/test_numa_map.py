"""Pictures of machines."""

from tests.replay.kubelet_objects import to_pod

from kubeberth.cli.numa_map import draw
from kubeberth.topology.layout import layout_from
from kubeberth.topology.pod_resources import pod_resources
from kubeberth.topology.requests import pod_request

LAYOUT = layout_from(
    {
        "numaNodes": [
            {"id": 0, "memory": "4Gi", "cpus": "0-1", "hugepages": {"2Mi": 256}},
            {"id": 1, "memory": "4Gi"},
        ],
        "devices": [{"resource": "example.com/key", "devices": [{"id": "k0"}, {"id": "k1"}]}],
        "kubeletConfiguration": {
            "cpuManagerPolicy": "static",
            "memoryManagerPolicy": "Static",
            "reservedSystemCPUs": "0",
            "kubeReserved": {"memory": "412Mi"},
            "reservedMemory": [{"numaNode": 0, "limits": {"memory": "512Mi"}}],
        },
    }
)


def pod(name, **limits):
    resources = {"limits": {"cpu": "1", "memory": "6Gi", "example.com/key": "1", **limits}}
    spec = {"containers": [{"name": "c", "image": "app", "resources": resources}]}
    return to_pod({"metadata": {"name": name}, "spec": spec})


def given(*pods):
    managers, allocations = LAYOUT.start()
    for one in pods:
        allocations = managers.admit(allocations, pod_request(one, pools=False)).allocations
    return allocations


def test_every_cpu_every_device_and_all_memory_are_in_the_picture():
    web = pod("web")
    assert draw("n1", LAYOUT, given(web), {"web": web}).splitlines() == [
        "n1: 2 NUMA nodes, 1 sockets, 2 CPUs",
        "topology manager none",
        "cpu manager static, memory manager Static",
        "",
        "NUMA node 0, socket 0",
        "  CPUs     |0-|1a|",
        "  memory   0 of 3Gi free, 512Mi kept for the system",
        "           hugepages-2Mi: 512Mi of 512Mi free",
        "           given away together with that of NUMA nodes 0, 1",
        "",
        "NUMA node 1, memory only",
        "  memory   1Gi of 4Gi free",
        "           given away together with that of NUMA nodes 0, 1",
        "",
        "on no NUMA node: example.com/key: k0 a, k1 .",
        "",
        ". shared or free   - reserved   ! not healthy",
        "a default/web: c has CPUs 1 and 6Gi memory of NUMA 0,1 and k0",
    ]


def test_a_pod_that_is_gone_from_the_api_is_called_by_its_uid():
    drawn = draw("n1", LAYOUT, given(pod("web")), {})
    assert "a web, which is gone: c has CPUs 1" in drawn


def test_the_pod_resources_view_lists_pods_that_have_nothing_too():
    web, plain = (
        pod("web"),
        to_pod({"metadata": {"name": "plain"}, "spec": {"containers": [{"name": "c"}]}}),
    )
    view = pod_resources(LAYOUT, given(web), [web, plain])
    assert view["podResources"][1] == {
        "name": "plain",
        "namespace": "default",
        "containers": [{"name": "c"}],
    }
    assert view["podResources"][0]["containers"] == [
        {
            "name": "c",
            "devices": [{"resourceName": "example.com/key", "deviceIds": ["k0"]}],
            "cpuIds": ["1"],
            "memory": [
                {
                    "memoryType": "memory",
                    "size": "6442450944",
                    "topology": {"nodes": [{"ID": "0"}, {"ID": "1"}]},
                }
            ],
        }
    ]
    assert view["allocatable"]["cpuIds"] == ["1"]
