"""DefaultTolerationSeconds: every pod stays for five minutes on a node that stops answering."""

from __future__ import annotations

from kubeberth.api.default_tolerations import add_default_tolerations
from kubeberth.api.scheme import PODS
from kubeberth.apiserver.admission.chain import Attributes, Plugin


class DefaultTolerationSeconds(Plugin):
    """Adds the two tolerations, each unless the pod has one for that taint.

    Parameters
    ----------
    not_ready_s, unreachable_s
        How long a pod stays on such a node.
    """

    resources = (PODS,)

    def __init__(self, not_ready_s: int, unreachable_s: int) -> None:
        self._seconds = not_ready_s, unreachable_s

    async def admit(self, attributes: Attributes) -> None:
        """Add to new and changed pods."""
        pod = attributes.document
        if pod is None or attributes.subresource:
            return
        add_default_tolerations(pod["spec"], *self._seconds)
