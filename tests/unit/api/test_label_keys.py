from kubeberth.api.label_keys import merge_label_keys


def pod(term, labels):
    rules = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"metadata": {"labels": labels}, "spec": {"affinity": {"podAffinity": rules}}}


def test_a_pods_own_labels_are_written_into_its_selectors():
    term = {
        "labelSelector": {"matchLabels": {"app": "w"}},
        "matchLabelKeys": ["hash", "absent"],
        "mismatchLabelKeys": ["team"],
    }
    merge_label_keys(pod(term, {"hash": "1", "team": "a"}))
    assert term["labelSelector"]["matchExpressions"] == [
        {"key": "hash", "operator": "In", "values": ["1"]},
        {"key": "team", "operator": "NotIn", "values": ["a"]},
    ]


def test_a_term_without_selector_stays_without():
    term = {"matchLabelKeys": ["hash"]}
    merge_label_keys(pod(term, {"hash": "1"}))
    assert term == {"matchLabelKeys": ["hash"]}


def test_spread_constraints_take_part():
    constraint = {"labelSelector": {}, "matchLabelKeys": ["hash"]}
    document = {
        "metadata": {"labels": {"hash": "1"}},
        "spec": {"topologySpreadConstraints": [constraint]},
    }
    merge_label_keys(document)
    assert constraint["labelSelector"]["matchExpressions"][0]["values"] == ["1"]
