"""LimitRanger: containers without bounds get those of the namespace, and none may break them.

Matches `plugin/pkg/admission/limitranger` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.limit_ranges import faults_of, fill_in
from kubeberth.api.scheme import LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, PODS
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin, Reader


class LimitRanger(Plugin):
    """Fills in and checks pods, and checks claims."""

    resources = (PODS, PERSISTENT_VOLUME_CLAIMS)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Give the containers of a new pod what they lack."""
        pod = attributes.document
        if pod is None or not _is_new_pod(attributes):
            return
        for limit_range in self._limit_ranges(attributes):
            fill_in(pod, limit_range)

    async def validate(self, attributes: Attributes) -> None:
        """Refuse what is out of bounds."""
        document = attributes.document
        if document is None or not _is_bounded(attributes):
            return
        for limit_range in self._limit_ranges(attributes):
            if why_not := faults_of(attributes.resource, document, limit_range):
                raise attributes.forbid(why_not)

    def _limit_ranges(self, attributes: Attributes) -> Iterator[Document]:
        return iter(self._reader.find_all(LIMIT_RANGES, attributes.namespace))


def _is_new_pod(attributes: Attributes) -> bool:
    return attributes.resource is PODS and attributes.operation == "CREATE"


def _is_bounded(attributes: Attributes) -> bool:
    return _is_new_pod(attributes) or _is_resize(attributes) or _is_claim(attributes)


def _is_resize(attributes: Attributes) -> bool:
    return attributes.resource is PODS and attributes.subresource == "resize"


def _is_claim(attributes: Attributes) -> bool:
    return attributes.resource is PERSISTENT_VOLUME_CLAIMS and not attributes.subresource
