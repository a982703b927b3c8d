"""CustomResourceDefinitions: names, versions, subresources, columns, and their schemas.

Matches `pkg/apis/apiextensions/validation` of k8s.io/apiextensions-apiserver 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kubeberth.api import names as api_names
from kubeberth.api.custom.definitions import is_true
from kubeberth.api.custom.field_path import PathError, parse_path
from kubeberth.api.validation.field_error import (
    FieldError,
    forbidden,
    invalid,
    not_supported,
    required,
)
from kubeberth.api.validation.metadata import IMMUTABLE, validate_metadata
from kubeberth.api.validation.rules import Rules
from kubeberth.api.validation.structural_schemas import validate_schema
from kubeberth.api.validation.webhooks import validate_client, validate_review_versions

Document = Mapping[str, Any]

COLUMN_TYPES = ("integer", "number", "string", "boolean", "date")
COLUMN_FORMATS = ("int32", "int64", "float", "double", "byte", "date", "date-time", "password")
SCOPES = ("Cluster", "Namespaced")
# Groups whose definitions need the approval of the project.
_PROTECTED = (".k8s.io", ".kubernetes.io")
_APPROVAL = "api-approved.kubernetes.io"
_ROOT_FIELDS = frozenset(("properties", "required", "type", "description", "title"))


def validate_definition(definition: Document) -> list[FieldError]:
    """Return the faults of a new definition."""
    spec = definition.get("spec") or {}

    def name_errors(name: str) -> list[str]:
        errors = api_names.dns1123_subdomain_errors(name)
        names = spec.get("names") or {}
        if name != f"{names.get('plural', '')}.{spec.get('group', '')}":
            errors.append('must be spec.names.plural+"."+spec.group')
        return errors

    metadata = definition.get("metadata") or {}
    errors = validate_metadata(metadata, name_errors, namespaced=False)
    errors += validate_spec(spec, "spec")
    errors += _validate_stored_versions(definition)
    return errors + _validate_approval(definition, {})


def validate_definition_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a change is not allowed."""
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = validate_spec(spec, "spec")
    names, names_before = spec.get("names") or {}, before.get("names") or {}
    if is_true(old, "Established"):
        errors += _unchanged(spec, before, "scope", "spec.scope")
        errors += _unchanged(names, names_before, "kind", "spec.names.kind")
    errors += _unchanged(spec, before, "group", "spec.group")
    errors += _unchanged(names, names_before, "plural", "spec.names.plural")
    errors += _validate_stored_versions(new)
    return errors + _validate_approval(new, old)


def validate_definition_status_update(new: Document, old: Document) -> list[FieldError]:
    """Return what of a change to the status is not allowed."""
    accepted = (new.get("status") or {}).get("acceptedNames") or {}
    errors = _validate_names(accepted, "status.acceptedNames")
    return errors + _validate_stored_versions(new)


def _unchanged(new: Document, old: Document, name: str, path: str) -> list[FieldError]:
    if new.get(name) == old.get(name):
        return []
    return [invalid(path, new.get(name, ""), IMMUTABLE)]


def _validate_stored_versions(definition: Document) -> list[FieldError]:
    stored = (definition.get("status") or {}).get("storedVersions") or []
    known = {
        version.get("name") for version in (definition.get("spec") or {}).get("versions") or ()
    }
    path = "status.storedVersions"
    errors: list[FieldError] = []
    if not stored:
        errors.append(invalid(path, stored, "must have at least one stored version"))
    missing = (
        "missing from spec.versions; {0} was previously a storage version, and must remain in "
        "spec.versions until a storage migration ensures no data remains persisted in {0} and "
        "removes {0} from status.storedVersions"
    )
    return errors + [
        invalid(f"{path}[{index}]", name, missing.format(name))
        for index, name in enumerate(stored)
        if name not in known
    ]


def _validate_approval(new: Document, old: Document) -> list[FieldError]:
    group = f".{(new.get('spec') or {}).get('group', '')}"
    if not group.endswith(_PROTECTED):
        return []
    annotations = (new.get("metadata") or {}).get("annotations") or {}
    value = annotations.get(_APPROVAL, "")
    before = ((old.get("metadata") or {}).get("annotations") or {}).get(_APPROVAL, "")
    path = f"metadata.annotations[{_APPROVAL}]"
    if old and value == before:
        return []
    if not value:
        text = (
            "protected groups must have approval annotation "
            f'"{_APPROVAL}", see https://github.com/kubernetes/enhancements/pull/1111'
        )
        return [required(path, text)]
    if not value.startswith(("https://", "http://", "unapproved")):
        text = (
            "protected groups must have approval annotation "
            f'"{_APPROVAL}" with either a URL or a reason starting with "unapproved", see '
            "https://github.com/kubernetes/enhancements/pull/1111"
        )
        return [invalid(path, value, text)]
    return []


def validate_spec(spec: Document, path: str) -> list[FieldError]:
    """Return the faults of the spec of a definition."""
    errors = _validate_group(spec.get("group", ""), f"{path}.group")
    scope = spec.get("scope", "")
    if not scope:
        errors.append(required(f"{path}.scope"))
    elif scope not in SCOPES:
        errors.append(not_supported(f"{path}.scope", scope, SCOPES))
    if spec.get("preserveUnknownFields"):
        text = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        errors.append(invalid(f"{path}.preserveUnknownFields", True, text))
    errors += _validate_versions(spec, path)
    names = spec.get("names") or {}
    errors += [
        required(f"{path}.names.{name}")
        for name in ("plural", "singular", "kind", "listKind")
        if not names.get(name)
    ]
    errors += _validate_names(names, f"{path}.names")
    return errors + _validate_conversion(spec.get("conversion") or {}, f"{path}.conversion")


def _validate_group(group: str, path: str) -> list[FieldError]:
    if not group:
        return [required(path)]
    if texts := api_names.dns1123_subdomain_errors(group):
        return [invalid(path, group, ",".join(texts))]
    if "." not in group:
        return [invalid(path, group, "should be a domain with at least one dot")]
    return []


def _validate_versions(spec: Document, path: str) -> list[FieldError]:
    versions = spec.get("versions") or []
    errors: list[FieldError] = []
    for index, version in enumerate(versions):
        where = f"{path}.versions[{index}]"
        if (version.get("schema") or {}).get("openAPIV3Schema") is None:
            errors.append(required(f"{where}.schema.openAPIV3Schema", "schemas are required"))
    for index, version in enumerate(versions):
        where, name = f"{path}.versions[{index}]", version.get("name", "")
        if texts := api_names.dns1035_label_errors(name):
            errors.append(invalid(f"{where}.name", name, ",".join(texts)))
        if version.get("deprecationWarning") is not None and not version.get("deprecated"):
            text = "can only be set for deprecated versions"
            value = version["deprecationWarning"]
            errors.append(invalid(f"{where}.deprecationWarning", value, text))
    names = [version.get("name", "") for version in versions]
    if len(set(names)) != len(names):
        errors.append(invalid(f"{path}.versions", versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        text = "must have exactly one version marked as storage version"
        errors.append(invalid(f"{path}.versions", versions, text))
    for version, shared, where in _parts(versions, path):
        errors += _validate_parts(version, shared, where)
    return errors


def _parts(versions: Sequence[Document], path: str) -> list[tuple[Document, Document, str]]:
    """Return what versions say of their objects, with where upstream looks for it.

    What all versions have in common is one thing at the top of the spec, as in `v1beta1`.
    """
    if not versions:
        return []
    shared = {
        name: versions[0].get(name)
        for name in ("schema", "subresources", "additionalPrinterColumns", "selectableFields")
        if all(version.get(name) == versions[0].get(name) for version in versions)
    }
    found: list[tuple[Document, Document, str]] = [
        (
            {name: value for name, value in version.items() if name not in shared},
            version,
            f"{path}.versions[{index}]",
        )
        for index, version in enumerate(versions)
    ]
    return [*found, (shared, versions[0], path)]


def _validate_parts(parts: Document, whole: Document, path: str) -> list[FieldError]:
    """Return the faults of schema, subresources and columns, as far as they are told here."""
    errors: list[FieldError] = []
    schema = (parts.get("schema") or {}).get("openAPIV3Schema")
    if schema is not None:
        # The shared schema is called validation, as it was when there was only one.
        where = f"{path}.validation" if path == "spec" else f"{path}.schema"
        where += ".openAPIV3Schema"
        has_status = "status" in (whole.get("subresources") or {})
        others = {key for key, value in schema.items() if value} - _ROOT_FIELDS
        others = {key for key in others if not key.startswith("x-")}
        if has_status and others:
            text = (
                'only ["type","description","title","properties","required","x-kubernetes-..."] '
                "fields are allowed at the root of the schema if the status subresource is enabled"
            )
            errors.append(invalid(where, schema, text))
        errors += validate_schema(schema, where)
    errors += _validate_subresources(parts.get("subresources") or {}, f"{path}.subresources")
    for index, column in enumerate(parts.get("additionalPrinterColumns") or ()):
        errors += _validate_column(column, f"{path}.additionalPrinterColumns[{index}]")
    return errors


def _validate_subresources(subresources: Document, path: str) -> list[FieldError]:
    scale = subresources.get("scale")
    if scale is None:
        return []
    errors: list[FieldError] = []
    for name, prefix, is_needed in (
        ("specReplicasPath", ".spec.", True),
        ("statusReplicasPath", ".status.", True),
        ("labelSelectorPath", ".status.", False),
    ):
        value, where = scale.get(name, ""), f"{path}.scale.{name}"
        if not value:
            errors += [required(where)] if is_needed else []
            continue
        if "[" in value:
            errors.append(invalid(where, value, "should be a json path without array notation"))
        elif name == "labelSelectorPath" and not value.startswith((".spec.", ".status.")):
            text = "should be a json path under either .status or .spec"
            errors.append(invalid(where, value, text))
        elif name != "labelSelectorPath" and not value.startswith(prefix):
            text = f"should be a json path under {prefix.removesuffix('.')}"
            errors.append(invalid(where, value, text))
    return errors


def _validate_column(column: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not column.get("name"):
        errors.append(required(f"{path}.name"))
    kind = column.get("type", "")
    if not kind:
        choices = ", ".join(COLUMN_TYPES)
        errors.append(required(f"{path}.type", f"must be one of {choices}"))
    elif kind not in COLUMN_TYPES:
        text = f"must be one of {','.join(COLUMN_TYPES)}"
        errors.append(invalid(f"{path}.type", kind, text))
    if column.get("format") and column["format"] not in COLUMN_FORMATS:
        text = f"must be one of {','.join(COLUMN_FORMATS)}"
        errors.append(invalid(f"{path}.format", column["format"], text))
    json_path = column.get("jsonPath", "")
    if not json_path:
        errors.append(required(f"{path}.jsonPath"))
        return errors
    try:
        parse_path(json_path)
    except PathError as error:
        text = f"path: {error}"
        errors.append(invalid(f"{path}.jsonPath", json_path, text))
    return errors


def _validate_names(names: Document, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("plural", "singular"):
        value = names.get(name, "")
        if value and (texts := api_names.dns1035_label_errors(value)):
            errors.append(invalid(f"{path}.{name}", value, ",".join(texts)))
    for name in ("kind", "listKind"):
        value = names.get(name, "")
        if value and (texts := api_names.dns1035_label_errors(value.lower())):
            text = "may have mixed case, but should otherwise match: " + ",".join(texts)
            errors.append(invalid(f"{path}.{name}", value, text))
    errors += _validate_labels(names.get("shortNames") or (), f"{path}.shortNames")
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        text = "kind and listKind may not be the same"
        errors.append(invalid(f"{path}.listKind", names["listKind"], text))
    return errors + _validate_labels(names.get("categories") or (), f"{path}.categories")


def _validate_labels(values: Sequence[str], path: str) -> list[FieldError]:
    return [
        invalid(f"{path}[{index}]", value, ",".join(texts))
        for index, value in enumerate(values)
        if (texts := api_names.dns1035_label_errors(value))
    ]


def _validate_conversion(conversion: Document, path: str) -> list[FieldError]:
    strategy, webhook = conversion.get("strategy", ""), conversion.get("webhook")
    if not strategy:
        return [required(f"{path}.strategy")]
    if strategy not in ("None", "Webhook"):
        return [not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))]
    if strategy == "None":
        if webhook is None:
            return []
        text = "should not be set when strategy is not set to Webhook"
        return [forbidden(f"{path}.webhookClientConfig", text)]
    if webhook is None or not webhook.get("clientConfig"):
        text = "required when strategy is set to Webhook"
        return [required(f"{path}.webhookClientConfig", text)]
    errors = validate_client(webhook["clientConfig"], f"{path}.webhookClientConfig")
    versions = webhook.get("conversionReviewVersions") or []
    if not versions:
        return [*errors, required(f"{path}.conversionReviewVersions")]
    return errors + validate_review_versions(versions, f"{path}.conversionReviewVersions")


RULES = {
    "customresourcedefinitions.apiextensions.k8s.io": Rules(
        validate_definition,
        validate_definition_update,
        validate_definition_status_update,
    ),
}
"""By resource."""
