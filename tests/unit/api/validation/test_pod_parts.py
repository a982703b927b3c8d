import copy

import pytest

from kubeberth.api import defaults
from kubeberth.api.scheme import PODS
from kubeberth.api.validation import validate_update

DEBUG = {"name": "debug", "image": "busybox"}


def pod(status=None, annotations=None, **spec):
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "n",
            "resourceVersion": "1",
            "annotations": annotations or {},
        },
        "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec},
        "status": status or {},
    }
    defaults.apply_defaults(PODS, document)
    return document


def faults(old, part, **changes):
    new = copy.deepcopy(old)
    new["spec"] |= changes
    defaults.apply_defaults(PODS, new)
    return [str(error) for error in validate_update(PODS, new, old, part)]


def debug_faults(*containers, **options):
    return faults(pod(**options), "ephemeralcontainers", ephemeralContainers=list(containers))


def resources(requests=None, limits=None):
    given = {"requests": requests, "limits": limits}
    return {"resources": {name: amounts for name, amounts in given.items() if amounts}}


def container(name="c", **more):
    return {"name": name, "image": "nginx", **more}


def resize_faults(new, old, **options):
    return faults(pod(containers=old, **options), "resize", containers=copy.deepcopy(new))


def test_an_ephemeral_container_may_come_to_a_pod():
    assert debug_faults(DEBUG) == []
    assert debug_faults({**DEBUG, "targetContainerName": "c"}) == []


@pytest.mark.parametrize(
    ("container", "fault"),
    [
        pytest.param(
            {**DEBUG, "name": "c"},
            'spec.ephemeralContainers[0].name: Duplicate value: "c"',
            id="the name of another container",
        ),
        pytest.param(
            {**DEBUG, "targetContainerName": "x"},
            'spec.ephemeralContainers[0].targetContainerName: Not found: "x"',
            id="aims at nothing",
        ),
        pytest.param(
            {**DEBUG, "ports": [{"containerPort": 80}]},
            "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral "
            "Container",
            id="ports",
        ),
        pytest.param(
            {**DEBUG, **resources({"cpu": "1"})},
            "spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral "
            "Container",
            id="resources",
        ),
        pytest.param(
            {**DEBUG, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}}},
            "spec.ephemeralContainers[0].lifecycle: Forbidden: cannot be set for an Ephemeral "
            "Container",
            id="hooks",
        ),
        pytest.param(
            {"name": "debug"},
            "spec.ephemeralContainers[0].image: Required value",
            id="no image",
        ),
        pytest.param(
            {**DEBUG, "image": " busybox"},
            'spec.ephemeralContainers[0].image: Invalid value: " busybox": must not have leading '
            "or trailing whitespace",
            id="a blank image",
        ),
        pytest.param(
            {**DEBUG, "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "s"}]},
            "spec.ephemeralContainers[0].volumeMounts[0].subPath: Forbidden: cannot be set for an "
            "Ephemeral Container",
            id="a part of a volume",
        ),
    ],
)
def test_an_ephemeral_container_may_not_be_all_that_others_are(container, fault):
    assert debug_faults(container, volumes=[{"name": "v", "emptyDir": {}}]) == [fault]


def test_ephemeral_containers_stay_as_they_came():
    old = pod(ephemeralContainers=[DEBUG])
    assert faults(old, "ephemeralcontainers", ephemeralContainers=[]) == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be '
        "removed\n"
    ]
    (changed,) = faults(
        old, "ephemeralcontainers", ephemeralContainers=[{**DEBUG, "image": "other"}]
    )
    assert changed.splitlines() == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be '
        "changed",
        "@@ -1,6 +1,6 @@",
        " {",
        '  "Name": "debug",',
        '- "Image": "busybox",',
        '+ "Image": "other",',
        '  "Command": null,',
        '  "Args": null,',
        '  "WorkingDir": "",',
    ]


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        ("ephemeralcontainers", ": Forbidden: static pods do not support ephemeral containers"),
        ("resize", ": Forbidden: static pods cannot be resized"),
    ],
)
def test_a_static_pod_is_its_nodes_to_change(part, fault):
    annotations = {"kubernetes.io/config.mirror": "x"}
    old = pod(annotations=annotations)
    assert faults(old, part, hostname="other") == [fault]


def test_cpu_and_memory_may_be_resized_up_and_down():
    old = [container(**resources({"cpu": "1", "memory": "1Gi"}, {"memory": "2Gi"}))]
    new = [container(**resources({"cpu": "2", "memory": "512Mi"}, {"memory": "1Gi"}))]
    assert resize_faults(new, old) == []


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        pytest.param(
            [container(**resources({"cpu": "1"}))],
            [container()],
            ['spec: Invalid value: "": Pod QOS Class may not change as a result of resizing'],
            id="another quality of service",
        ),
        pytest.param(
            [container(**resources({"cpu": "1"}))],
            [container(**resources({"cpu": "1", "memory": "1Gi"}))],
            [
                "spec.containers[0].resources.requests: Forbidden: resource requests cannot be "
                "removed"
            ],
            id="a request taken away",
        ),
        pytest.param(
            [container(**resources({"cpu": "1", "ephemeral-storage": "1Gi"}))],
            [container(**resources({"cpu": "1"}))],
            ["spec: Forbidden: only cpu and memory resources are mutable"],
            id="storage",
        ),
        pytest.param(
            [container(**resources({"cpu": "1"})), container("d")],
            [container(**resources({"cpu": "1"}))],
            ["spec.containers: Forbidden: containers may not be added or removed on resize"],
            id="one more",
        ),
        pytest.param(
            [container("d", **resources({"cpu": "1"}))],
            [container(**resources({"cpu": "1"}))],
            [
                "spec.containers[0].name: Forbidden: containers may not be renamed or reordered "
                "on resize"
            ],
            id="another name",
        ),
        pytest.param(
            [container(**resources({"cpu": "2"}, {"cpu": "1"}))],
            [container(**resources({"cpu": "1"}, {"cpu": "1"}))],
            [
                'spec.containers[0].resources.requests: Invalid value: "2": must be less than or '
                "equal to cpu limit of 1"
            ],
            id="more than the limit",
        ),
    ],
)
def test_a_resize_may_do_nothing_else(new, old, expected):
    assert resize_faults(new, old) == expected


def test_a_node_that_tells_no_resources_of_running_containers_cannot_resize():
    state = {"name": "c", "state": {"running": {}}}
    old = [container(**resources({"cpu": "1"}))]
    new = [container(**resources({"cpu": "2"}))]
    assert resize_faults(new, old, status={"containerStatuses": [state]}) == [
        "spec: Forbidden: Pod running on node without support for resize"
    ]
    told = {**state, "resources": {}}
    assert resize_faults(new, old, status={"containerStatuses": [told]}) == []


def test_init_containers_are_resized_unless_that_would_run_them_again():
    policy = {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]}
    regular = [container(**resources({"cpu": "1"}))]
    old = pod(
        containers=regular,
        initContainers=[container("i", **resources({"cpu": "1"}))],
    )
    resized = container("i", **resources({"cpu": "2"}))
    assert faults(old, "resize", initContainers=[resized]) == []
    restarting = [container("i", **resources({"cpu": "1"}), **policy)]
    old = pod(containers=regular, initContainers=restarting)
    assert faults(old, "resize", initContainers=[{**resized, **policy}]) == [
        "spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of "
        "RestartContainer cannot be resized"
    ]


def test_what_the_pod_asks_for_as_a_whole_is_resized_but_not_taken_away():
    old = pod(resources={"requests": {"cpu": "1"}})
    assert faults(old, "resize", resources={"requests": {"cpu": "2"}}) == []
    assert faults(old, "resize", resources={"requests": {"memory": "1Gi"}}) == [
        "spec.resources.requests: Forbidden: pod-level resource requests cannot be removed"
    ]
