import msgspec
import pytest

from kubeberth.api import codec
from kubeberth.api.scheme import DEPLOYMENTS, LEASES, NODES, PODS, SECRETS
from kubeberth.errors import BadRequestError, UnsupportedMediaTypeError


def pod_text(**spec):
    return msgspec.json.encode(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    )


def refusal(body, resource=PODS, content_type=""):
    with pytest.raises(BadRequestError) as error:
        codec.decode(body, content_type, resource)
    return error.value.message


def test_a_body_without_content_type_is_json():
    decoded = codec.decode(pod_text(nodeName="n1"), "", PODS)
    assert decoded.document["spec"]["nodeName"] == "n1"


def test_parameters_of_the_content_type_do_not_matter():
    decoded = codec.decode(pod_text(), "application/json; charset=utf-8", PODS)
    assert decoded.document["kind"] == "Pod"


def test_other_formats_are_refused_with_the_list_of_those_read():
    with pytest.raises(UnsupportedMediaTypeError, match="application/yaml"):
        codec.decode(b"x", "text/plain", PODS)


def test_a_body_that_does_not_say_its_kind_has_the_kind_of_the_url():
    document = codec.decode(b'{"metadata":{"name":"d"}}', "", DEPLOYMENTS).document
    assert (document["apiVersion"], document["kind"]) == ("apps/v1", "Deployment")


def test_unknown_fields_are_pruned_and_reported_with_their_path():
    body = pod_text(containers=[{"name": "c", "imagee": "x"}], nodeSelctor={})
    decoded = codec.decode(body, "", PODS)
    assert decoded.unknown_fields == ["spec.containers[0].imagee", "spec.nodeSelctor"]
    assert decoded.document["spec"]["containers"] == [{"name": "c", "resources": {}}]
    assert decoded.strict_error == (
        'strict decoding error: unknown field "spec.containers[0].imagee", '
        'unknown field "spec.nodeSelctor"'
    )


def test_duplicate_keys_are_reported_and_the_last_one_counts():
    body = b'{"metadata":{"name":"a","name":"b"},"spec":{"nodeSelector":{"x":"1","x":"2"}}}'
    decoded = codec.decode(body, "", PODS)
    assert decoded.duplicate_fields == ["metadata.name", "spec.nodeSelector.x"]
    assert decoded.document["metadata"]["name"] == "b"


def test_duplicate_keys_are_not_looked_for_when_nobody_asks():
    body = b'{"metadata":{"name":"a","name":"b"}}'
    assert codec.decode(body, "", PODS, strict_check=False).duplicate_fields == []


def test_quotes_and_colons_within_texts_are_no_duplicate_keys():
    body = msgspec.json.encode({"metadata": {"name": "p", "annotations": {"a": '{"b":"c" :1}'}}})
    assert codec.decode(body, "", PODS).duplicate_fields == []


def test_null_means_absent():
    decoded = codec.decode(b'{"metadata":null,"spec":{"nodeName":null}}', "", PODS)
    assert decoded.document["spec"] == {"containers": None}


def test_zero_values_that_go_would_not_print_are_left_out():
    spec = codec.decode(pod_text(hostNetwork=False, nodeName="", tolerations=[]), "", PODS).document
    assert set(spec["spec"]) == {"containers"}


def test_zero_values_of_pointers_are_kept():
    spec = codec.decode(pod_text(priority=0, automountServiceAccountToken=False), "", PODS).document
    assert spec["spec"]["priority"] == 0
    assert spec["spec"]["automountServiceAccountToken"] is False


def test_required_fields_are_there_even_when_nobody_gave_them():
    node = codec.decode(b'{"metadata":{"name":"n"}}', "", NODES).document
    assert node["status"]["nodeInfo"]["bootID"] == ""
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}


@pytest.mark.parametrize(
    ("given", "stored"), [("0.5", "500m"), (1, "1"), (0.1, "100m"), ("1024Mi", "1Gi"), ("1n", "1m")]
)
def test_quantities_are_stored_in_canonical_form(given, stored):
    requests = {"requests": {"cpu": given}}
    decoded = codec.decode(pod_text(containers=[{"name": "c", "resources": requests}]), "", PODS)
    assert decoded.document["spec"]["containers"][0]["resources"]["requests"] == {"cpu": stored}


def test_a_large_quantity_keeps_every_digit():
    body = b'{"spec":{"containers":[{"resources":{"requests":{"memory":9007199254740993.0}}}]}}'
    container = codec.decode(body, "", PODS).document["spec"]["containers"][0]
    assert container["resources"]["requests"]["memory"] == "9007199254740993"


def test_micro_times_have_six_decimals():
    body = b'{"spec":{"renewTime":"2024-05-05T07:05:05.000001+02:00"}}'
    lease = codec.decode(body, "", LEASES).document
    assert lease["spec"]["renewTime"] == "2024-05-05T05:05:05.000001Z"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        pytest.param(
            {"nodeName": 5},
            "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeName "
            "of type string",
            id="number for text",
        ),
        pytest.param(
            {"priority": 1.5},
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority "
            "of type int32",
            id="fraction for integer",
        ),
        pytest.param(
            {"priority": 2**31},
            "json: cannot unmarshal number 2147483648 into Go struct field PodSpec.spec.priority "
            "of type int32",
            id="integer too large",
        ),
        pytest.param(
            {"containers": {"name": "c"}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers "
            "of type []v1.Container",
            id="object for list",
        ),
        pytest.param(
            {"nodeSelector": {"a": True}},
            "json: cannot unmarshal bool into Go struct field PodSpec.spec.nodeSelector "
            "of type string",
            id="bool within a map",
        ),
    ],
)
def test_a_wrong_type_is_refused_in_the_words_of_go(spec, why):
    assert refusal(pod_text(**spec)) == f'Pod in version "v1" cannot be handled as a Pod: {why}'


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (b"", "unexpected end of JSON input (<empty>)"),
        (b'{"kind":"Pod"', 'unexpected end of JSON input ({"kind":"Pod")'),
        (b"{a}", "invalid character 'a' looking for beginning of object key string ({a})"),
    ],
)
def test_a_malformed_body_is_refused_with_what_is_wrong_and_how_it_begins(body, ending):
    assert refusal(body) == (
        "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; "
        f"json parse error: {ending}"
    )


def test_an_object_of_another_kind_is_refused():
    message = refusal(b'{"apiVersion":"apps/v1","kind":"Deployment"}')
    assert message.endswith("converting (v1.Deployment) to (core.Pod): unknown conversion")


def test_an_object_of_no_known_kind_is_refused():
    message = refusal(b'{"apiVersion":"v1","kind":"Pods"}')
    assert 'no kind "Pods" is registered for version "v1"' in message


def test_yaml_is_read_with_kubectls_scalars():
    decoded = codec.decode(
        b"kind: Pod\napiVersion: v1\nspec: {hostNetwork: yes}\n", codec.YAML, PODS
    )
    assert decoded.document["spec"]["hostNetwork"] is True


def test_repeated_keys_of_yaml_are_reported_by_line():
    body = b"kind: Pod\nspec:\n  nodeSelectr: {}\n  nodeName: a\n  nodeName: b\n"
    decoded = codec.decode(body, codec.YAML, PODS)
    assert decoded.warnings == [
        'line 5: key "nodeName" already set in map',
        'unknown field "spec.nodeSelectr"',
    ]
    assert decoded.strict_error.startswith(
        "strict decoding error: yaml: unmarshal errors:\n  line 5: key"
    )


def test_the_body_of_a_subresource_has_its_own_kind():
    body = b'{"metadata":{"name":"p"},"target":{"name":"n1"}}'
    assert codec.decode(body, "", PODS, "binding").document["kind"] == "Binding"
    assert codec.kind_of(DEPLOYMENTS, "scale") == ("autoscaling/v1", "Scale")


def test_delete_options_belong_to_every_version():
    body = b'{"apiVersion":"apps/v1","kind":"DeleteOptions","gracePeriodSeconds":0}'
    decoded = codec.decode_kind(body, "", "v1", "DeleteOptions", any_version=True)
    assert decoded.document["gracePeriodSeconds"] == 0


def test_decoding_a_decoded_document_changes_nothing():
    body = pod_text(containers=[{"name": "c", "resources": {"limits": {"cpu": "1000m"}}}])
    document = codec.decode(body, "", PODS).document
    assert codec.decode_document(document, PODS).document == document
    assert codec.decode(codec.encode(document), "", PODS).document == document


def test_bytes_of_secrets_stay_base64():
    decoded = codec.decode(b'{"data":{"a":"aGk="}}', "", SECRETS)
    assert decoded.document["data"] == {"a": "aGk="}
