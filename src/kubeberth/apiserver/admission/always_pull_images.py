"""AlwaysPullImages: nobody runs a private image just because the node has it already.

Matches `plugin/pkg/admission/alwayspullimages` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeberth.api.scheme import PODS
from kubeberth.api.validation.field_error import not_supported
from kubeberth.apiserver.admission.chain import Attributes, Document, Plugin

ALWAYS = "Always"
_LISTS = ("initContainers", "containers", "ephemeralContainers")


class AlwaysPullImages(Plugin):
    """Has every container's image pulled before it starts."""

    resources = (PODS,)

    async def admit(self, attributes: Attributes) -> None:
        """Set the policy of all images of a pod."""
        if not _is_concerned(attributes):
            return
        for _, container in _containers(attributes.document or {}):
            container["imagePullPolicy"] = ALWAYS
        for _, image in _images(attributes.document or {}):
            image["pullPolicy"] = ALWAYS

    async def validate(self, attributes: Attributes) -> None:
        """Refuse another policy, which somebody has set since."""
        if not _is_concerned(attributes):
            return
        pod = attributes.document or {}
        wrong = [
            not_supported(f"{path}.imagePullPolicy", found.get("imagePullPolicy", ""), (ALWAYS,))
            for path, found in _containers(pod)
            if found.get("imagePullPolicy") != ALWAYS
        ] + [
            not_supported(f"{path}.pullPolicy", found.get("pullPolicy", ""), (ALWAYS,))
            for path, found in _images(pod)
            if found.get("pullPolicy") != ALWAYS
        ]
        if wrong:
            texts = [str(error) for error in wrong]
            raise attributes.forbid(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")


def _is_concerned(attributes: Attributes) -> bool:
    if attributes.document is None:
        return False
    if attributes.subresource not in ("", "ephemeralcontainers"):
        return False
    if attributes.operation != "UPDATE" or attributes.old is None:
        return True
    # An update that brings no other image is let be.
    before = {container.get("image") for _, container in _containers(attributes.old)}
    return any(c.get("image") not in before for _, c in _containers(attributes.document))


def _containers(pod: Document) -> Iterator[tuple[str, Document]]:
    for field in _LISTS:
        for index, container in enumerate(pod["spec"].get(field) or ()):
            yield f"spec.{field}[{index}]", container


def _images(pod: Document) -> Iterator[tuple[str, Document]]:
    for index, volume in enumerate(pod["spec"].get("volumes") or ()):
        if volume.get("image") is not None:
            yield f"spec.volumes[{index}].image", volume["image"]
