"""Which tokens a node may ask for: those of its pods, and for whom the pods are to show them.

Matches `plugin/pkg/admission/noderestriction` of Kubernetes 1.36, where
ServiceAccountNodeAudienceRestriction is on.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.pod_references import PodVolume, ReferringPod, referring_pod
from kubeberth.api.scheme import (
    CSI_DRIVERS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    Resource,
)
from kubeberth.apiserver import refusals
from kubeberth.apiserver.admission.chain import Attributes, Document, Reader
from kubeberth.apiserver.admission.node_pods import missing_pod
from kubeberth.apiserver.auth.rbac import Authorizer
from kubeberth.apiserver.route import Query, RequestInfo
from kubeberth.errors import NotFoundError

VERB = "request-serviceaccounts-token-audience"


class NodeTokens:
    """Refuses tokens that a node has no use for."""

    def __init__(self, reader: Reader, authorizer: Authorizer) -> None:
        self._reader = reader
        self._authorizer = authorizer

    def check(self, node: str, attributes: Attributes) -> None:
        """Let a request for a token pass, or raise."""
        if attributes.subresource != "token" or attributes.operation != "CREATE":
            return
        spec = (attributes.document or {}).get("spec") or {}
        bound_to = spec.get("boundObjectRef") or {}
        name, uid = bound_to.get("name", ""), bound_to.get("uid", "")
        if (bound_to.get("apiVersion"), bound_to.get("kind")) != ("v1", "Pod") or not name:
            raise attributes.forbid("node requested token not bound to a pod")
        if not uid:
            raise attributes.forbid("node requested token with a pod binding without a uid")
        pod = self._reader.find(PODS, attributes.namespace, name)
        if pod is None:
            raise missing_pod(name)
        if uid != pod["metadata"]["uid"]:
            raise attributes.forbid(
                f"the UID in the bound object reference ({uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
        if pod["spec"].get("nodeName") != node:
            raise attributes.forbid(
                "node requested token bound to a pod scheduled on a different node"
            )
        self._check_audience(attributes, spec.get("audiences") or [], pod)

    def _check_audience(self, attributes: Attributes, asked: list[str], pod: Document) -> None:
        if len(asked) > 1:
            raise attributes.forbid("node may only request 0 or 1 audiences")
        audience = asked[0] if asked else ""
        failures: list[str] = []
        if audience in self._audiences(referring_pod(pod), failures):
            return
        if failures:
            why = failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]"
            raise attributes.forbid(f'error validating audience "{audience}": {why}')
        user = attributes.user
        if not self._authorizer.allows(user, _permission(attributes, audience)):
            raise attributes.forbid(
                f'audience "{audience}" not found in pod spec volume, {user.name} is not '
                "authorized to request tokens for this audience"
            )

    def _audiences(self, pod: ReferringPod, failures: list[str]) -> Iterator[str]:
        """Yield for whom the tokens in a pod's volumes are; what cannot be looked up is noted."""
        for volume in pod.spec.volumes or ():
            for source in volume.sources:
                if source.service_account_token is not None:
                    yield source.service_account_token.audience
            try:
                driver = self._driver_of(pod, volume)
                if driver:
                    yield from self._audiences_of_driver(driver)
            except NotFoundError as error:
                failures.append(error.message)

    def _driver_of(self, pod: ReferringPod, volume: PodVolume) -> str:
        """Return the CSI driver behind a volume, or nothing."""
        if volume.csi is not None:
            return volume.csi.driver
        if volume.persistent_volume_claim is not None:
            name = volume.persistent_volume_claim.claim_name
        elif volume.ephemeral is not None:
            name = f"{pod.metadata.name}-{volume.name}"
        else:
            return ""
        claim = self._get(PERSISTENT_VOLUME_CLAIMS, pod.metadata.namespace, name)
        bound_to = claim["spec"].get("volumeName", "")
        if not bound_to:
            return ""
        found: str = (self._get(PERSISTENT_VOLUMES, "", bound_to)["spec"].get("csi") or {}).get(
            "driver", ""
        )
        return found

    def _audiences_of_driver(self, name: str) -> Iterator[str]:
        driver = self._get(CSI_DRIVERS, "", name)
        for request in driver["spec"].get("tokenRequests") or ():
            yield request.get("audience", "")

    def _get(self, resource: Resource, namespace: str, name: str) -> Document:
        found = self._reader.find(resource, namespace, name)
        if found is None:
            raise refusals.not_found(resource, name)
        return found


def _permission(attributes: Attributes, audience: str) -> RequestInfo:
    return RequestInfo(
        method="",
        path="",
        query=Query(""),
        verb=VERB,
        version="v1",
        plural=audience,
        namespace=attributes.namespace,
        name=attributes.name,
    )
