"""Fields that decide about places are explained, and nothing is explained that is not there."""

from __future__ import annotations

from kubeberth.api import schema
from kubeberth.apiserver.explanations import explanations, with_explanations
from kubeberth.apiserver.openapi_schemas import closure

POD_SPEC = "io.k8s.api.core.v1.PodSpec"


def test_every_explained_field_is_one_of_its_definition() -> None:
    published = schema.published_schemas()
    unknown = [
        f"{name}.{field}"
        for name, texts in explanations().items()
        for field in texts
        if name not in published or (field and field not in published[name].get("properties", {}))
    ]
    assert unknown == []


def test_explanations_are_sentences() -> None:
    texts = [text for of_type in explanations().values() for text in of_type.values()]
    assert [text for text in texts if not text.endswith(".")] == []


def test_a_field_that_refers_to_a_type_keeps_the_reference_beside_its_explanation() -> None:
    found = dict(closure([POD_SPEC]))[POD_SPEC]["properties"]["affinity"]
    assert found["description"].startswith("Rules that attract")
    assert found["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Affinity"}]


def test_what_has_no_explanation_is_left_alone() -> None:
    published = {"type": "object"}
    assert with_explanations("io.k8s.api.core.v1.Secret", published) is published
