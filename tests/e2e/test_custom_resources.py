"""Custom resources with a real kubectl, and a small operator that cares for them."""

import asyncio
import json
from pathlib import Path

import pytest

from kubeberth.api.scheme import CONFIG_MAPS, Resource
from kubeberth.client.client import Client
from kubeberth.client.kubeconfig import load_kubeconfig
from tests.e2e.conftest import Berth

pytestmark = pytest.mark.e2e

DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: crontabs.stable.example.com
spec:
  group: stable.example.com
  scope: Namespaced
  names:
    plural: crontabs
    kind: CronTab
    shortNames: [ct]
    categories: [all]
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale:
        specReplicasPath: .spec.replicas
        statusReplicasPath: .status.replicas
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    schema:
      openAPIV3Schema:
        description: When to run what.
        type: object
        properties:
          spec:
            description: What is wanted.
            type: object
            properties:
              cronSpec:
                description: When to run.
                type: string
                pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'
              replicas: {type: integer, minimum: 1, maximum: 10, default: 1}
          status:
            type: object
            properties:
              replicas: {type: integer}
"""
OBJECT = """
apiVersion: stable.example.com/v1
kind: CronTab
metadata:
  name: nightly
spec:
  cronSpec: "* * * * */5"
"""
CRONTABS = Resource("stable.example.com", "v1", "crontabs", "CronTab")
FINALIZER = "stable.example.com/cleanup"


class Session:
    """A kubectl and the manifests it is given."""

    def __init__(self, berth: Berth, folder: Path) -> None:
        self._kubectl = berth.kubectl()
        self._path = folder / "manifest.yaml"

    def out(self, command: str) -> str:
        """Return what a command prints, wherever it prints it."""
        done = self._kubectl.run(f"kubectl {command}")
        return done.stdout + done.stderr

    def apply(self, manifest: str) -> str:
        """Apply a manifest and return what is printed."""
        self._path.write_text(manifest)
        return self.out(f"apply -f {self._path}")

    def define(self) -> None:
        """Make the kind CronTab, and wait until it is served."""
        self.apply(DEFINITION)
        self.out("wait --for=condition=Established crd/crontabs.stable.example.com")


@pytest.fixture
def session(berth: Berth, tmp_path: Path) -> Session:
    berth.up("--nodes", "0")
    return Session(berth, tmp_path)


def test_a_definition_makes_a_kind_that_kubectl_knows(berth: Berth, session: Session):
    out = session.out
    assert session.apply(DEFINITION) == (
        "customresourcedefinition.apiextensions.k8s.io/crontabs.stable.example.com created\n"
    )
    out("wait --for=condition=Established crd/crontabs.stable.example.com")
    listed = out("api-resources --no-headers --api-group=stable.example.com").split()
    assert listed == ["crontabs", "ct", "stable.example.com/v1", "true", "CronTab"]
    assert session.apply(OBJECT) == "crontab.stable.example.com/nightly created\n"
    assert session.apply(OBJECT) == "crontab.stable.example.com/nightly unchanged\n"
    assert out("get ct") == "NAME      SPEC          REPLICAS\nnightly   * * * * */5   1\n"
    assert "cronSpec\t<string>\n    When to run.\n" in out("explain crontab.spec")
    assert out("scale ct nightly --replicas=3") == "crontab.stable.example.com/nightly scaled\n"
    berth.run("down")
    berth.up()
    assert out("get ct").splitlines()[1].split()[-1] == "3", "kept over a restart"


def test_kubectl_tells_what_is_wrong_with_a_custom_object(session: Session):
    session.define()
    told = session.apply(OBJECT.replace('"* * * * */5"', "often\n  replicas: 11\n  colour: red"))
    assert told == (
        'Error from server (BadRequest): error when creating "manifest.yaml": CronTab in version '
        '"v1" cannot be handled as a CronTab: strict decoding error: unknown field "spec.colour"\n'
    ).replace("manifest.yaml", str(session._path))
    told = session.apply(OBJECT.replace('"* * * * */5"', "often\n  replicas: 11"))
    assert told == (
        'The CronTab "nightly" is invalid: \n'
        '* spec.cronSpec: Invalid value: "often": spec.cronSpec in body should match '
        "'^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'\n"
        "* spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to "
        "10\n"
    )


async def operate(client: Client, calls: list[str]) -> None:
    """Make a config map for every CronTab, and take it away again before the CronTab goes."""
    listed = await client.list(CRONTABS)
    for item in listed["items"]:
        await reconcile(client, item, calls)
    version = listed["metadata"]["resourceVersion"]
    async for event in client.watch(CRONTABS, resource_version=version):
        if event.type in ("ADDED", "MODIFIED"):
            await reconcile(client, json.loads(event.object), calls)


async def reconcile(client: Client, crontab: dict, calls: list[str]) -> None:
    metadata = crontab["metadata"]
    name, namespace = metadata["name"], metadata["namespace"]
    finalizers = metadata.get("finalizers", [])
    if "deletionTimestamp" in metadata:
        if FINALIZER in finalizers:
            await client.delete(CONFIG_MAPS, name, namespace)
            calls.append("deleted")
            await client.patch(CRONTABS, name, {"metadata": {"finalizers": None}}, namespace)
    elif FINALIZER not in finalizers:
        patch = {"metadata": {"finalizers": [*finalizers, FINALIZER]}}
        await client.patch(CRONTABS, name, patch, namespace)
        config_map = {"metadata": {"name": name}, "data": crontab["spec"] | {"replicas": "1"}}
        await client.create(CONFIG_MAPS, config_map, namespace)
        calls.append("created")
    elif "status" not in crontab:
        status = {"status": {"replicas": crontab["spec"]["replicas"]}}
        await client.patch(CRONTABS, name, status, namespace, sub="status")
        calls.append("stated")


def test_an_operator_cares_for_custom_objects_until_they_go(berth: Berth, session: Session):
    session.define()
    session.apply(OBJECT)
    calls: list[str] = []

    async def scenario() -> None:
        credentials = load_kubeconfig(berth.data / "kubeconfig")
        async with Client(credentials) as client:
            operator = asyncio.ensure_future(operate(client, calls))
            kubectl = asyncio.to_thread
            wait = "wait ct/nightly --timeout=20s --for=jsonpath={.status.replicas}=1"
            assert "condition met" in await kubectl(session.out, wait)
            assert "configmap/nightly" in await kubectl(session.out, "get cm -o name")
            deleted = await kubectl(session.out, "delete ct nightly --timeout=20s")
            assert 'crontab.stable.example.com "nightly" deleted' in deleted
            assert "configmap/nightly" not in await kubectl(session.out, "get cm -o name")
            operator.cancel()

    asyncio.run(scenario())
    assert calls == ["created", "stated", "deleted"]


def test_a_definition_goes_with_its_objects(session: Session):
    session.define()
    session.apply(OBJECT)
    told = session.out("delete crd crontabs.stable.example.com --timeout=20s")
    assert "deleted" in told
    assert "could not find the requested resource" in session.out("get crontabs")
    assert "stable.example.com" not in session.out("api-versions")


def test_a_namespace_takes_its_custom_objects_with_it(session: Session):
    session.define()
    session.out("create namespace team")
    session.apply(OBJECT.replace("name: nightly", "name: nightly\n  namespace: team"))
    assert "deleted" in session.out("delete namespace team --timeout=20s")
    assert session.out("get ct -A") == "No resources found\n"


def test_custom_objects_own_and_are_owned(session: Session):
    session.define()
    session.apply(OBJECT)
    uid = session.out("get ct nightly -o jsonpath={.metadata.uid}")
    owned = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  ownerReferences:
  - {apiVersion: stable.example.com/v1, kind: CronTab, name: nightly, uid: %s}
"""
    session.apply(owned % uid)
    uid = session.out("get cm owned -o jsonpath={.metadata.uid}")
    owner = f"\n  ownerReferences: [{{apiVersion: v1, kind: ConfigMap, name: owned, uid: {uid}}}]"
    session.apply(OBJECT.replace("name: nightly", f"name: deeper{owner}"))
    assert "deleted" in session.out("delete ct nightly --timeout=20s")
    session.out("wait --for=delete cm/owned ct/deeper --timeout=20s")
    assert session.out("get ct -o name") == ""
    assert "configmap/owned" not in session.out("get cm -o name")
