"""What a CustomResourceDefinition says of the objects of one version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubeberth.api.custom.structural import Structural

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a custom object keeps what its Scale shows; the selector may be nowhere."""

    spec_replicas: str
    status_replicas: str
    selector: str = ""


@dataclass(frozen=True, slots=True)
class PrinterColumn:
    """A column that a definition adds to tables."""

    name: str
    type: str
    path: str
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Conversion:
    """The webhook that turns objects of one version into another.

    Parameters
    ----------
    client
        A `WebhookClientConfig`.
    schemas
        Those of all versions, by name.
    """

    client: Mapping[str, Any]
    review_versions: tuple[str, ...]
    schemas: Mapping[str, Structural]


@dataclass(frozen=True, slots=True, eq=False)
class CustomVersion:
    """The rules of one version of a custom resource.

    Two are the same only if they come from the same reading of the same definition.

    Parameters
    ----------
    storage_version
        The version that objects are stored in.
    conversion
        Who converts between versions; None when nothing but their name changes.
    deprecation
        What those who use the version are told; empty when it is not deprecated.
    """

    schema: Structural
    storage_version: str
    list_kind: str
    conversion: Conversion | None = None
    scale: ScalePaths | None = None
    columns: tuple[PrinterColumn, ...] = ()
    selectable: tuple[str, ...] = ()
    deprecation: str = ""


AGE = PrinterColumn(
    "Age",
    "date",
    ".metadata.creationTimestamp",
    "CreationTimestamp is a timestamp representing the server time when this object was created.",
)


def version_of(definition: Document, version: Document) -> CustomVersion:
    """Return the rules that a definition has for one of its versions."""
    spec = definition["spec"]
    subresources = version.get("subresources") or {}
    return CustomVersion(
        schema=_schema_of(version),
        storage_version=storage_version(spec),
        list_kind=spec["names"].get("listKind") or f"{spec['names']['kind']}List",
        conversion=_conversion_of(spec),
        scale=_scale_of(subresources.get("scale")),
        columns=tuple(map(_column_of, version.get("additionalPrinterColumns") or ())) or (AGE,),
        selectable=tuple(
            field["jsonPath"].removeprefix(".") for field in version.get("selectableFields") or ()
        ),
        deprecation=_deprecation(spec, version) if version.get("deprecated") else "",
    )


def storage_version(spec: Document) -> str:
    """Return the version in which a definition's objects are stored; empty when there is none."""
    versions = spec.get("versions") or ()
    return next((v["name"] for v in versions if v.get("storage")), "")


def _schema_of(version: Document) -> Structural:
    return Structural((version.get("schema") or {}).get("openAPIV3Schema") or {})


def _conversion_of(spec: Document) -> Conversion | None:
    conversion = spec.get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return None
    webhook = conversion.get("webhook") or {}
    return Conversion(
        webhook.get("clientConfig") or {},
        tuple(webhook.get("conversionReviewVersions") or ()),
        {version["name"]: _schema_of(version) for version in spec["versions"]},
    )


def _scale_of(scale: Document | None) -> ScalePaths | None:
    if scale is None:
        return None
    return ScalePaths(
        scale["specReplicasPath"], scale["statusReplicasPath"], scale.get("labelSelectorPath", "")
    )


def _column_of(column: Document) -> PrinterColumn:
    return PrinterColumn(
        column["name"],
        column["type"],
        column["jsonPath"],
        column.get("description")
        or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
        column.get("priority", 0),
    )


def _deprecation(spec: Document, version: Document) -> str:
    own: str = version.get("deprecationWarning", "")
    name = f"{spec['group']}/{version['name']} {spec['names']['kind']}"
    return own or f"{name} is deprecated"
