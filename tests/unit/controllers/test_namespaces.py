from tests.objects import NOW, namespace

from kubeberth.api.meta import ObjectMeta
from kubeberth.api.scheme import EVENTS, NEW_EVENTS, PODS, SERVICE_ACCOUNTS
from kubeberth.api.workloads import ConfigMap, Object
from kubeberth.controllers.action import CreateObject, DeleteContent, Failure, PatchObject
from kubeberth.controllers.bootstrap import reconcile_account, reconcile_root_ca
from kubeberth.controllers.namespace import CONTENT
from kubeberth.controllers.namespace import reconcile as reconcile_namespace


def test_a_namespace_in_use_needs_nothing():
    assert reconcile_namespace(namespace(), None, NOW).actions == ()


def test_a_terminating_namespace_is_emptied_and_then_finalized():
    emptying, finalizing = reconcile_namespace(namespace(deleting=True), None, NOW).actions
    assert emptying == DeleteContent("team", CONTENT)
    assert finalizing.sub == "finalize"
    assert finalizing.body["spec"] == {"finalizers": []}
    assert finalizing.body["metadata"] == {"name": "team", "uid": "uid-team"}


def test_content_is_every_namespaced_resource_that_is_stored_itself():
    assert PODS in CONTENT
    assert EVENTS in CONTENT
    assert NEW_EVENTS not in CONTENT, "it is another view of the same events"
    assert all(resource.namespaced for resource in CONTENT)


def test_what_still_remains_is_told_in_the_conditions():
    message = "Some resources are remaining: pods. has 2 resource instances"
    failure = Failure("SomeResourcesRemain", message)
    first = reconcile_namespace(namespace(deleting=True), failure, NOW).actions[0]
    conditions = {entry["type"]: entry for entry in first.patch["status"]["conditions"]}
    assert conditions["NamespaceContentRemaining"]["status"] == "True"
    assert conditions["NamespaceContentRemaining"]["message"] == message
    assert conditions["NamespaceDeletionContentFailure"]["status"] == "False"


def test_every_namespace_gets_the_service_account_default():
    [creation] = reconcile_account(namespace(), None).actions
    assert isinstance(creation, CreateObject)
    assert (creation.resource, creation.namespace) == (SERVICE_ACCOUNTS, "team")
    assert creation.body["metadata"]["name"] == "default"
    assert creation.if_absent
    assert reconcile_account(namespace(), Object()).actions == ()
    assert reconcile_account(namespace(deleting=True), None).actions == ()


def test_every_namespace_gets_the_cluster_ca_and_keeps_it():
    [creation] = reconcile_root_ca(namespace(), None, "PEM").actions
    assert creation.body["metadata"]["name"] == "kube-root-ca.crt"
    assert creation.body["data"] == {"ca.crt": "PEM"}
    meta = ObjectMeta(name="kube-root-ca.crt", namespace="team")
    right = ConfigMap(metadata=meta, data={"ca.crt": "PEM"})
    assert reconcile_root_ca(namespace(), right, "PEM").actions == ()
    wrong = ConfigMap(metadata=meta, data={"ca.crt": "old", "more": "x"})
    [patch] = reconcile_root_ca(namespace(), wrong, "PEM").actions
    assert isinstance(patch, PatchObject)
    assert patch.patch == {"data": {"ca.crt": "PEM", "more": None}}
