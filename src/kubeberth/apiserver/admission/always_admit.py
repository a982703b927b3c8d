"""AlwaysAdmit: a plugin that is there for those who ask for it.

Matches `plugin/pkg/admission/admit` of Kubernetes 1.36.
"""

from __future__ import annotations

from kubeberth.apiserver.admission.chain import Plugin


class AlwaysAdmit(Plugin):
    """Lets everything pass, as if it were not there."""
