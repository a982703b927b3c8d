"""What the OpenAPI documents say."""

import pytest

from kubeberth.api import schema
from kubeberth.apiserver.openapi_enums import enumerated_fields


@pytest.mark.parametrize(("name", "field"), enumerated_fields())
def test_only_fields_that_there_are_list_their_values(name, field):
    assert schema.definition(name).fields[field].code == schema.STRING


def test_the_document_of_a_group_lists_the_values_of_a_field(run):
    async def scenario(api):
        document = (await api.get("/openapi/v3/apis/apps/v1")).json
        schemas = document["components"]["schemas"]
        strategy = schemas["io.k8s.api.apps.v1.DeploymentStrategy"]["properties"]["type"]
        assert strategy["enum"] == ["Recreate", "RollingUpdate"]

    run(scenario)
