"""Media types: what a client may send, and in which form it gets its answer.

Matches `k8s.io/apiserver/pkg/endpoints/handlers/negotiation` of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from kubeberth.apiserver.route import NO_DETAILS
from kubeberth.errors import NotAcceptableError

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
BODY_TYPES = (JSON, YAML, PROTOBUF)
_ACCEPTED = ", ".join(BODY_TYPES)
SERVED = {JSON: JSON, YAML: YAML, "*/*": JSON, "application/*": JSON}

META_GROUP = "meta.k8s.io"
DISCOVERY_GROUP = "apidiscovery.k8s.io"


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is written.

    Parameters
    ----------
    as_kind, version
        Table, PartialObjectMetadata or PartialObjectMetadataList of `meta.k8s.io`, or
        APIGroupDiscoveryList; empty for the objects themselves.
    """

    media_type: str = JSON
    as_kind: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Clause:
    """One alternative of an Accept header."""

    media_type: str
    quality: float
    parameters: Mapping[str, str]


OBJECT_FORMS = frozenset(
    (kind, META_GROUP, version)
    for kind in ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
    for version in ("v1", "v1beta1")
)
PLAIN_ONLY: frozenset[tuple[str, str, str]] = frozenset()
DISCOVERY_FORMS = frozenset((("APIGroupDiscoveryList", DISCOVERY_GROUP, "v2"),))
# v2beta1 left Kubernetes in 1.33: who asks for nothing else is refused, as there. kubectl 1.27 to
# 1.29 ask for it or else for plain discovery, a request per group, and are spared those.
OLD_DISCOVERY_FORMS = DISCOVERY_FORMS | {("APIGroupDiscoveryList", DISCOVERY_GROUP, "v2beta1")}


@lru_cache(maxsize=256)
def negotiate(accept: str, forms: frozenset[tuple[str, str, str]] = PLAIN_ONLY) -> Form:
    """Return the first form of an Accept header that can be served.

    Parameters
    ----------
    forms
        The (as, g, v) that the resource has besides its plain form.

    Raises
    ------
    NotAcceptableError
        There is none; clients see different texts for foreign media types and foreign forms.
    """
    clauses = parse_accept(accept)
    for clause in clauses:
        media_type = SERVED.get(clause.media_type)
        parameters = clause.parameters
        form = (parameters.get("as", ""), parameters.get("g", ""), parameters.get("v", ""))
        if media_type is None or not (form == ("", "", "") or form in forms):
            continue
        return Form(media_type, form[0], form[2])
    if any(clause.media_type in (*SERVED, PROTOBUF) for clause in clauses):
        raise NotAcceptableError(f"only the following media types are accepted: {_ACCEPTED}")
    raise NotAcceptableError(
        f"406: Not Acceptable\n\nAvailable representations: {_ACCEPTED}", details=NO_DETAILS
    )


@lru_cache(maxsize=256)
def parse_accept(accept: str) -> tuple[Clause, ...]:
    """Return the alternatives, best first."""
    clauses = []
    for text in (accept or "*/*").split(","):
        media_type, *parts = (part.strip() for part in text.split(";"))
        parameters = dict(part.partition("=")[::2] for part in parts)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 0.0
        clauses.append(Clause(media_type.lower(), quality, parameters))
    return tuple(sorted(clauses, key=lambda clause: -clause.quality))


def to_yaml(body: bytes) -> bytes:
    """Return a JSON body as YAML: keys sorted, and texts quoted that YAML reads otherwise."""
    import yaml

    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent_text(dumper: Dumper, text: str) -> yaml.Node:
        kind = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        is_plain = kind == "tag:yaml.org,2002:str"
        style = "|" if "\n" in text else None if is_plain and text else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, represent_text)
    text: str = yaml.dump(
        msgspec.json.decode(body),
        Dumper=Dumper,
        default_flow_style=False,
        sort_keys=True,
        allow_unicode=True,
        width=2**31 - 1,
    )
    return text.encode()
