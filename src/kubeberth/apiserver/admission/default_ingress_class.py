"""DefaultIngressClass: an ingress that names no class gets the one that is marked as default.

Matches `plugin/pkg/admission/network/defaultingressclass` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.api.default_class import newest
from kubeberth.api.scheme import INGRESS_CLASSES, INGRESSES
from kubeberth.apiserver.admission.chain import Attributes, Plugin, Reader

OLD_CLASS = "kubernetes.io/ingress.class"
IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"


class DefaultIngressClass(Plugin):
    """Fills in the class of new ingresses."""

    resources = (INGRESSES,)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def admit(self, attributes: Attributes) -> None:
        """Give a new ingress a class."""
        ingress = attributes.document
        is_new = attributes.operation == "CREATE"
        if ingress is None or not is_new:
            return
        spec = ingress.get("spec") or {}
        annotations = ingress["metadata"].get("annotations") or {}
        if OLD_CLASS in annotations or spec.get("ingressClassName") is not None:
            return
        classes = [
            found
            for found in self._reader.find_all(INGRESS_CLASSES)
            if (found["metadata"].get("annotations") or {}).get(IS_DEFAULT) == "true"
        ]
        if classes:
            ingress["spec"] = {**spec, "ingressClassName": newest(classes)["metadata"]["name"]}
