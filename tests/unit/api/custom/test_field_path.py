"""Paths into documents, as columns and scales have them."""

import pytest

from kubeberth.api.custom.field_path import PathError, parse_path, values_at

DOCUMENT = {
    "metadata": {"annotations": {"example.com/a.b": "noted"}},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "Old", "status": "False"},
        ],
        "sizes": [1, 2, 3],
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[*].type", ["Ready", "Old"]),
        (".status.sizes[-1]", [3]),
        ("{.status.sizes[0]}", [1]),
        (r".metadata.annotations.example\.com/a\.b", ["noted"]),
        (".metadata.annotations['example.com/a.b']", ["noted"]),
        (".status.nothing.at.all", []),
        (".status.sizes[7]", []),
    ],
)
def test_a_path_leads_to_values_or_nowhere(path, found):
    assert values_at(DOCUMENT, path) == found


def test_a_text_that_is_no_path_is_refused():
    with pytest.raises(PathError):
        parse_path(".status[")
