import pytest

from kubeberth.api.near import listed, near_miss


@pytest.mark.parametrize(
    ("word", "choices", "meant"),
    [
        pytest.param("sdd", ["ssd", "hdd"], "ssd", id="swapped letters"),
        pytest.param("SSD", ["ssd"], "ssd", id="capital letters"),
        pytest.param("disktyp", ["disktype", "zone"], "disktype", id="a letter is missing"),
        pytest.param("kubernetes.io/hostnme", ["kubernetes.io/hostname"], "kubernetes.io/hostname",
                     id="within a long name"),
        pytest.param("zone-a", ["zone-b"], "", id="siblings told apart by a letter"),
        pytest.param("node-10", ["node-1", "node-11"], "", id="siblings told apart by a number"),
        pytest.param("cat", ["dog"], "", id="another word"),
        pytest.param("hi", ["ho"], "", id="too short to tell"),
        pytest.param("ssd", ["ssd"], "", id="the word itself"),
    ],
)  # fmt: skip
def test_a_near_miss_is_a_slip_of_the_keyboard(word, choices, meant):
    assert near_miss(word, choices) == meant


def test_long_lists_are_cut():
    assert listed("gfedcba") == "a, b, c, d, e and 2 more"
    assert listed("ba") == "a, b"
