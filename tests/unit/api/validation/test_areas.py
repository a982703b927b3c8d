"""Each area of validation says what the rules for its resources are, and is found by them."""

from importlib import import_module

import pytest

from kubeberth.api import validation
from kubeberth.api.scheme import RESOURCES


@pytest.mark.parametrize(("area", "keys"), validation._AREAS.items())
def test_an_area_has_rules_for_the_resources_that_lead_to_it_and_no_others(area, keys):
    assert set(import_module(f"kubeberth.api.validation.{area}").RULES) == set(keys)


def test_every_resource_that_leads_to_an_area_is_one_of_the_scheme():
    known = {resource.rules_key for resource in RESOURCES}
    assert {key for keys in validation._AREAS.values() for key in keys} <= known | {"bindings"}
