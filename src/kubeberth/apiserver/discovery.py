"""Discovery: which groups, versions and resources there are, in the plain and aggregated forms.

Everything follows from the catalogue and is encoded once for each.
Matches `k8s.io/apiserver/pkg/endpoints/discovery` of Kubernetes 1.36.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import Any

from kubeberth.api.scheme import Resource, Subresource
from kubeberth.apiserver.catalogue import Catalogue
from kubeberth.apiserver.media import DISCOVERY_FORMS, OLD_DISCOVERY_FORMS, negotiate, parse_accept
from kubeberth.apiserver.responses import Response, encode
from kubeberth.apiserver.route import PlainNotFoundError, unknown_resource

VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def group_document(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """Return the APIGroup of a group."""
    versions = [
        {"groupVersion": f"{name}/{version}", "version": version}
        for version in catalogue.versions_by_group[name]
    ]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(catalogue: Catalogue, group: str, version: str) -> dict[str, Any]:
    """Return the APIResourceList of a group version."""
    rows = []
    for resource in catalogue.by_group_version[group, version]:
        rows.append(_row(resource))
        rows += [_sub_row(resource, sub) for sub in _sorted_subresources(resource)]
    # The core group's documents never named their version.
    head = {"kind": "APIResourceList", **({"apiVersion": "v1"} if group else {})}
    return {
        **head,
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": rows,
    }


def _sorted_subresources(resource: Resource) -> list[Subresource]:
    return sorted(resource.subresources, key=lambda sub: sub.name)


def _row(resource: Resource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": sorted(resource.verbs),
    }
    _add_names(row, resource)
    if "list" in resource.verbs:
        row["storageVersionHash"] = _storage_hash(resource)
    return row


def _add_names(row: dict[str, Any], resource: Resource) -> None:
    if resource.short_names:
        row["shortNames"] = resource.short_names
    if resource.categories:
        row["categories"] = resource.categories


def _sub_row(resource: Resource, sub: Subresource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": f"{resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": resource.namespaced,
    }
    if sub.group:
        row |= {"group": sub.group, "version": sub.version}
    return row | {"kind": sub.kind or resource.kind, "verbs": sorted(sub.verbs)}


def _storage_hash(resource: Resource) -> str:
    """Return the hash of the group, version and kind that objects are stored as."""
    stored = resource.stored_as or resource
    digest = hashlib.sha256(f"{stored.group}/{stored.version}/{stored.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def aggregated(catalogue: Catalogue, groups: tuple[str, ...], api_version: str) -> dict[str, Any]:
    """Return the APIGroupDiscoveryList of some groups."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{api_version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    _aggregated_version(catalogue, group, version)
                    for version in (catalogue.versions_by_group[group] if group else ["v1"])
                ],
            }
            for group in groups
        ],
    }


def _aggregated_version(catalogue: Catalogue, group: str, version: str) -> dict[str, Any]:
    resources = catalogue.by_group_version[group, version]
    return {
        "version": version,
        "resources": [_aggregated_row(resource) for resource in resources],
        "freshness": "Current",
    }


def _aggregated_row(resource: Resource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "resource": resource.plural,
        "responseKind": {"group": "", "version": "", "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": sorted(resource.verbs),
    }
    _add_names(row, resource)
    if resource.subresources:
        row["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.group,
                    "version": sub.version,
                    "kind": sub.kind or resource.kind,
                },
                "verbs": sorted(sub.verbs),
            }
            for sub in _sorted_subresources(resource)
        ]
    return row


@lru_cache(maxsize=8)
def _encoded_aggregate(
    catalogue: Catalogue, groups: tuple[str, ...], api_version: str
) -> tuple[bytes, str]:
    body = encode(aggregated(catalogue, groups, api_version))
    return body, f'"{hashlib.sha512(body).hexdigest().upper()}"'


class Discovery:
    """Answers the discovery paths.

    Parameters
    ----------
    server_address
        `HOST:PORT` under which clients reach this server.
    """

    def __init__(self, server_address: str) -> None:
        self._address = server_address

    def respond(
        self, catalogue: Catalogue, path: str, accept: str, if_none_match: str = ""
    ) -> Response:
        """Answer a GET of `/api`, `/apis`, or a group or version below them."""
        parts = path.strip("/").split("/")
        if len(parts) == 1:
            return self._root(catalogue, parts[0], accept, if_none_match)
        negotiate(accept)
        return Response(encode(_document(catalogue, parts)))

    def _root(self, catalogue: Catalogue, root: str, accept: str, if_none_match: str) -> Response:
        has_plain = any("as" not in clause.parameters for clause in parse_accept(accept))
        form = negotiate(accept, OLD_DISCOVERY_FORMS if has_plain else DISCOVERY_FORMS)
        if not form.as_kind:
            document = self._versions() if root == "api" else _groups(catalogue)
            return Response(encode(document))
        groups = ("",) if root == "api" else tuple(catalogue.versions_by_group)
        body, etag = _encoded_aggregate(catalogue, groups, form.version)
        headers = [("ETag", etag), ("Vary", "Accept"), ("Cache-Control", "public")]
        if if_none_match == etag:
            return Response(b"", 304, headers=headers)
        content_type = (
            f"{form.media_type};g=apidiscovery.k8s.io;v={form.version};as=APIGroupDiscoveryList"
        )
        return Response(body, content_type=content_type, headers=headers)

    def _versions(self) -> dict[str, Any]:
        address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address}
        return {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [address],
        }


def _document(catalogue: Catalogue, parts: list[str]) -> dict[str, Any]:
    if parts[0] == "api":
        if parts[1] != "v1":
            raise unknown_resource()
        return resource_list(catalogue, "", "v1")
    groups = catalogue.versions_by_group
    if parts[1] not in groups:
        raise PlainNotFoundError
    if len(parts) == 2:
        head = {"kind": "APIGroup", "apiVersion": "v1"}
        return {**head, **group_document(catalogue, parts[1])}
    if parts[2] not in groups[parts[1]]:
        raise unknown_resource()
    return resource_list(catalogue, parts[1], parts[2])


def _groups(catalogue: Catalogue) -> dict[str, Any]:
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [group_document(catalogue, name) for name in catalogue.versions_by_group],
    }
