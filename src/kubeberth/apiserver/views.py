"""Resources that are another view of what a different one stores: how documents are turned.

One stored object, two shapes: `events.k8s.io/v1` shows core events, `autoscaling/v1` shows the
autoscalers of `autoscaling/v2`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubeberth.apiserver import autoscaler_views, event_views

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """Both directions between a view and what is stored."""

    to_stored: Callable[[Document], Document]
    from_stored: Callable[[Document], Document]


# By the apiVersion of the view.
VIEWS = {
    event_views.NEW_API_VERSION: View(event_views.to_core, event_views.from_core),
    autoscaler_views.OLD_API_VERSION: View(autoscaler_views.to_v2, autoscaler_views.from_v2),
}
