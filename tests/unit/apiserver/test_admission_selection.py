"""Which admission plugins are on, as upstream's options say it."""

import pytest

from kubeberth.apiserver.admission_selection import (
    DEFAULT,
    ORDER,
    AdmissionSettings,
    enabled_plugins,
    read_configuration,
    restriction_warning,
    to_configuration,
)
from kubeberth.errors import UsageError


def test_by_default_those_of_upstream_are_on_and_node_restriction():
    assert enabled_plugins(AdmissionSettings()) == DEFAULT
    assert "NodeRestriction" in DEFAULT
    assert set(ORDER) >= DEFAULT


def test_plugins_are_added_to_the_default_and_taken_from_it():
    settings = AdmissionSettings(enable=("AlwaysPullImages", "Priority"), disable=("LimitRanger",))
    assert enabled_plugins(settings) == (DEFAULT | {"AlwaysPullImages"}) - {"LimitRanger"}


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            AdmissionSettings(enable=("Nope",)),
            'enable-admission-plugins plugin "Nope" is unknown',
        ),
        (
            AdmissionSettings(disable=("nodeRestriction",)),
            'disable-admission-plugins plugin "nodeRestriction" is unknown',
        ),
        (
            AdmissionSettings(enable=("ImagePolicyWebhook",)),
            'enable-admission-plugins plugin "ImagePolicyWebhook" is not served by kubeberth',
        ),
        (
            AdmissionSettings(enable=("Priority",), disable=("Priority",)),
            "[Priority] in enable-admission-plugins and disable-admission-plugins overlapped",
        ),
        (
            AdmissionSettings(enable=("EventRateLimit",)),
            "EventRateLimit needs a configuration: --admission-control-config-file",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(settings, why):
    with pytest.raises(UsageError) as caught:
        enabled_plugins(settings)
    assert str(caught.value) == why


def test_who_switches_node_restriction_off_is_warned():
    assert restriction_warning(AdmissionSettings()) == ""
    off = AdmissionSettings(disable=("NodeRestriction",))
    assert restriction_warning(off).startswith("NodeRestriction is off: every node may label")


def test_a_configuration_tells_plugins_itself_or_in_a_file_beside_it(tmp_path):
    (tmp_path / "selector.yaml").write_text("podNodeSelectorPluginConfig: {a: x=y}\n")
    file = tmp_path / "admission.yaml"
    file.write_text(
        "apiVersion: apiserver.config.k8s.io/v1\n"
        "kind: AdmissionConfiguration\n"
        "plugins:\n"
        "- {name: PodNodeSelector, path: selector.yaml}\n"
        "- {name: PodTolerationRestriction, configuration: {default: []}}\n"
    )
    told = {
        "PodNodeSelector": {"podNodeSelectorPluginConfig": {"a": "x=y"}},
        "PodTolerationRestriction": {"default": []},
    }
    assert read_configuration(file) == told
    again = to_configuration(AdmissionSettings(configuration=told))
    assert {p["name"]: p["configuration"] for p in again["plugins"]} == told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Pod", "is no AdmissionConfiguration"),
        ("- a", "must hold one object"),
        ("{", "is not YAML"),
        (
            "{kind: AdmissionConfiguration, plugins: [{name: Nope}]}",
            'plugin "Nope" is unknown',
        ),
        (
            "{kind: AdmissionConfiguration, plugins: [{name: Priority, path: none}]}",
            "No such file or directory",
        ),
    ],
)
def test_a_bad_configuration_is_refused_by_its_name(tmp_path, text, why):
    file = tmp_path / "admission.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_configuration(file)
    assert str(tmp_path) in str(caught.value)
    assert why in str(caught.value)
