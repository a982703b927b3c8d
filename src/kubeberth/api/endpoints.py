"""Where a service is reached: `discovery.k8s.io/v1` slices, and the older `v1` Endpoints.

What is in them stays raw: it is compared as a whole, and written as a whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeberth.api.meta import ApiStruct, ObjectMeta

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
ENDPOINTS_MANAGED_BY = "endpoints.kubernetes.io/managed-by"
HEADLESS = "service.kubernetes.io/headless"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"


class EndpointSlice(ApiStruct, frozen=True):
    """A part of a service's endpoints: addresses of one kind, with the same ports."""

    metadata: ObjectMeta = ObjectMeta()
    address_type: str = "IPv4"
    endpoints: tuple[dict[str, Any], ...] | None = None
    ports: tuple[dict[str, Any], ...] | None = None


class Endpoints(ApiStruct, frozen=True):
    """All endpoints of a service, in one object."""

    metadata: ObjectMeta = ObjectMeta()
    subsets: tuple[dict[str, Any], ...] | None = None


decode_endpoint_slice = msgspec.json.Decoder(EndpointSlice).decode
decode_endpoints = msgspec.json.Decoder(Endpoints).decode
