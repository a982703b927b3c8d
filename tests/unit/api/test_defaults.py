import copy

import pytest

from kubeberth.api import codec, defaults
from kubeberth.api.scheme import (
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    PRIORITY_CLASSES,
    REPLICA_SETS,
    RESOURCES,
    SECRETS,
    SERVICES,
    Resource,
)

REPLICATION_CONTROLLERS = Resource("", "v1", "replicationcontrollers", "ReplicationController")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass")
VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
OTHERS = (REPLICATION_CONTROLLERS, STATEFUL_SETS, STORAGE_CLASSES, VOLUMES, CLAIMS)


def defaulted(resource, **fields):
    document = {"apiVersion": resource.api_version, "kind": resource.kind, **fields}
    document = codec.decode_document(document, resource).document
    defaults.apply_defaults(resource, document)
    return document


def container(**fields):
    pod = defaulted(PODS, spec={"containers": [{"name": "c", "image": "nginx", **fields}]})
    return pod["spec"]["containers"][0]


def test_a_pod_gets_the_defaults_that_kubectl_shows():
    spec = defaulted(PODS, spec={"containers": [{"name": "c", "image": "nginx"}]})["spec"]
    assert spec == {
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "imagePullPolicy": "Always",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("localhost:5000/nginx", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:0", "IfNotPresent"),
    ],
)
def test_an_image_that_may_change_is_always_pulled(image, policy):
    assert container(image=image)["imagePullPolicy"] == policy


def test_a_limit_without_request_becomes_the_request():
    resources = container(
        resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0"}}
    )
    assert resources["resources"]["requests"] == {"cpu": "0", "memory": "1Gi"}


def test_limits_of_a_template_are_not_copied():
    template = {"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}}
    spec = defaulted(DEPLOYMENTS, spec={"template": template})["spec"]
    assert "requests" not in spec["template"]["spec"]["containers"][0]["resources"]


def test_probes_and_ports_get_their_defaults():
    found = container(livenessProbe={"httpGet": {"port": 80}}, ports=[{"containerPort": 80}])
    assert found["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert found["ports"] == [{"containerPort": 80, "protocol": "TCP"}]


def test_host_network_makes_every_port_a_host_port():
    ports = [{"containerPort": 80}]
    pod = defaulted(PODS, spec={"hostNetwork": True, "containers": [{"name": "c", "ports": ports}]})
    assert pod["spec"]["containers"][0]["ports"][0]["hostPort"] == 80


def test_a_negative_grace_period_becomes_one_second():
    pod = defaulted(PODS, spec={"terminationGracePeriodSeconds": -5})
    assert pod["spec"]["terminationGracePeriodSeconds"] == 1


def test_pod_level_requests_are_the_sum_of_the_containers():
    containers = [{"name": n, "resources": {"requests": {"cpu": "250m"}}} for n in "ab"]
    resources = {"limits": {"cpu": "2", "memory": "1Gi"}}
    pod = defaulted(PODS, spec={"containers": containers, "resources": resources})
    assert pod["spec"]["resources"]["requests"] == {"cpu": "500m", "memory": "1Gi"}


def test_volumes_without_source_are_empty_directories_and_files_have_a_mode():
    volumes = [{"name": "a"}, {"name": "b", "configMap": {"name": "m"}}]
    pod = defaulted(PODS, spec={"volumes": volumes})
    assert pod["spec"]["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "configMap": {"name": "m", "defaultMode": 420}},
    ]


def test_a_deployment_rolls_by_a_quarter():
    spec = defaulted(DEPLOYMENTS)["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)


def test_replicas_of_zero_stay_zero():
    assert defaulted(REPLICA_SETS, spec={"replicas": 0})["spec"]["replicas"] == 0


def test_a_service_sends_to_the_port_it_listens_on():
    spec = defaulted(SERVICES, spec={"type": "NodePort", "ports": [{"port": 80}]})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["externalTrafficPolicy"] == "Cluster"


def test_a_node_can_give_away_all_it_has():
    node = defaulted(NODES, status={"capacity": {"cpu": "4"}})
    assert node["status"]["allocatable"] == {"cpu": "4"}


def test_a_namespace_is_labelled_with_its_name():
    namespace = defaulted(NAMESPACES, metadata={"name": "n"})
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "n"}


def test_texts_of_a_secret_are_stored_as_bytes():
    secret = defaulted(SECRETS, data={"a": "eA=="}, stringData={"a": "hi", "b": ""})
    assert secret["data"] == {"a": "aGk=", "b": ""}
    assert "stringData" not in secret
    assert secret["type"] == "Opaque"


def test_priority_classes_may_preempt():
    assert defaulted(PRIORITY_CLASSES)["preemptionPolicy"] == "PreemptLowerPriority"


def test_leases_lose_what_only_coordinated_election_has():
    assert "strategy" not in defaulted(LEASES, spec={"strategy": "OldestEmulationVersion"})["spec"]


def test_replication_controllers_select_the_pods_that_they_make():
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    controller = defaulted(REPLICATION_CONTROLLERS, spec={"template": template})
    assert controller["spec"]["selector"] == controller["metadata"]["labels"] == {"app": "web"}
    own = defaulted(REPLICATION_CONTROLLERS, spec={"template": template, "selector": {"a": "b"}})
    assert own["spec"]["selector"] == {"a": "b"}


def test_storage_classes_bind_at_once_unless_they_say_otherwise():
    assert defaulted(STORAGE_CLASSES)["volumeBindingMode"] == "Immediate"
    given = defaulted(STORAGE_CLASSES, volumeBindingMode="WaitForFirstConsumer")
    assert given["volumeBindingMode"] == "WaitForFirstConsumer"


def test_pod_level_requests_are_those_of_the_hungriest_moment():
    def asking(cpu, **fields):
        return {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}, **fields}

    spec = {
        "initContainers": [asking("100m", restartPolicy="Always"), asking("2")],
        "containers": [asking("500m"), asking("300m")],
        "resources": {"limits": {"cpu": "4", "memory": "1Gi"}},
    }
    pod = defaulted(PODS, spec=spec)
    assert pod["spec"]["resources"]["requests"] == {"cpu": "2100m", "memory": "1Gi"}


@pytest.mark.parametrize("resource", [*RESOURCES, *OTHERS], ids=lambda r: r.group_resource)
def test_setting_defaults_again_changes_nothing(resource):
    once = defaulted(resource, metadata={"name": "x"})
    twice = copy.deepcopy(once)
    defaults.apply_defaults(resource, twice)
    assert twice == once
