"""Who owns what after updates and applies; laws that hold for all objects."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeberth.api.scheme import PODS
from kubeberth.apiserver.managed_fields import owners
from kubeberth.apiserver.managed_fields.compare import compare, fields_of
from kubeberth.apiserver.managed_fields.entries import APPLY, Entry
from kubeberth.apiserver.managed_fields.field_set import intersection, paths_of, union
from kubeberth.apiserver.managed_fields.owners import FieldConflictsError
from kubeberth.apiserver.managed_fields.tracking import endpoint_of

POD = endpoint_of(PODS)
names = st.sampled_from(["a", "b", "c", "d"])
values = st.sampled_from(["1", "2"])
containers = st.lists(
    st.fixed_dictionaries(
        {"name": names}, optional={"image": values, "command": st.lists(values, min_size=1)}
    ),
    unique_by=lambda c: c["name"],
    min_size=1,
    max_size=3,
)
pods = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(names, values, min_size=1),
                "finalizers": st.lists(names, unique=True, min_size=1),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "containers": containers,
                "nodeSelector": st.dictionaries(names, values, min_size=1),
                "hostNetwork": st.booleans(),
            },
        ),
    },
)
managers = st.sampled_from(["one", "two", "three"])
writes = st.lists(st.tuples(st.sampled_from(["update", "apply"]), managers, pods), max_size=5)


def apply(known, live, config, manager, *, force=True, now="t"):
    entry = Entry(manager, APPLY, "v1", "", now)
    return owners.apply(POD, known, live, config, entry, force=force)


def after(history):
    """Return an object and its owners after some writes."""
    live, known = decoded({}), {}
    for verb, manager, pod in history:
        if verb == "update":
            new = decoded(pod)
            known = owners.update(POD, known, live, new, manager, "t")
        else:
            new, known = apply(known, live, pod, manager)
        live = decoded(new)
    return live, known


def decoded(pod):
    """Return a pod as it is read: with its parts, and all else only if it says something."""
    return {"metadata": {}, "spec": {}, **cleaned(pod)}


def cleaned(value):
    """Return a value without nulls and empty values."""
    if isinstance(value, dict):
        parts = {k: cleaned(v) for k, v in value.items()}
        return {k: v for k, v in parts.items() if v not in (None, {}, [])}
    return [cleaned(item) for item in value] if isinstance(value, list) else value


def unordered(value):
    """Return an object with the lists that merge by key in one order."""
    if isinstance(value, dict):
        return {k: unordered(v) if k != "command" else v for k, v in value.items()}
    if isinstance(value, list):
        return sorted(map(unordered, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


@given(writes, pods, managers)
def test_applying_twice_is_applying_once(history, config, manager):
    live, known = after(history)
    once, owned = apply(known, live, config, manager)
    once = decoded(once)
    twice, still_owned = apply(owned, once, config, manager, force=False, now="later")
    assert decoded(twice) == once
    assert {k: e.fields for k, e in still_owned.items()} == {k: e.fields for k, e in owned.items()}


@given(writes, pods, managers)
def test_an_apply_brings_about_what_it_says(history, config, manager):
    live, known = after(history)
    new, owned = apply(known, live, config, manager)
    claimed = fields_of(POD.shape, config)
    # Merging the same again changes nothing that was claimed.
    assert intersection(compare(POD.shape, new, config).removed, claimed) == {}
    own = [e for e in owned.values() if e.manager == manager and e.operation == APPLY]
    untracked = {("f:metadata",), ("f:metadata", "f:name")}
    assert {p for e in own for p in paths_of(e.fields)} == set(paths_of(claimed)) - untracked


@given(writes, pods, managers)
def test_without_force_nobody_loses_a_value(history, config, manager):
    live, known = after(history)
    others = {}
    for key, entry in known.items():
        if (key.manager, key.operation) != (manager, APPLY):
            others = union(others, entry.fields)
    try:
        new, _ = apply(known, live, config, manager, force=False)
    except FieldConflictsError:
        return
    found = compare(POD.shape, live, new)
    assert intersection(found.changed, others) == {}


@given(writes, pods, managers)
def test_conflicts_are_what_force_would_take(history, config, manager):
    live, known = after(history)
    new, owned = apply(known, live, config, manager)
    taken = {
        (key, path)
        for key, entry in known.items()
        if (key.manager, key.operation) != (manager, APPLY)
        for path in paths_of(entry.fields)
        if key not in owned or path not in set(paths_of(owned[key].fields))
    }
    gone = set(paths_of(compare(POD.shape, live, new).removed))
    taken = {(key, path) for key, path in taken if path not in gone}
    try:
        apply(known, live, config, manager, force=False)
        conflicts = set()
    except FieldConflictsError as error:
        conflicts = {(c.manager, c.path) for c in error.conflicts}
    assert conflicts == taken


@given(pods, pods)
def test_who_claims_what_nobody_else_does_may_come_first_or_second(one, two):
    first, second = fields_of(POD.shape, one), fields_of(POD.shape, two)
    shared = intersection(first, second)
    try:
        there, there_owned = apply(*reversed(apply({}, {}, one, "one")), two, "two", force=False)
        back, back_owned = apply(*reversed(apply({}, {}, two, "two")), one, "one", force=False)
    except FieldConflictsError:
        assert shared
        return
    assert unordered(there) == unordered(back)
    assert {k: e.fields for k, e in there_owned.items()} == {
        k: e.fields for k, e in back_owned.items()
    }


@given(writes, pods, managers)
def test_what_an_update_changes_is_the_updaters_alone(history, new, manager):
    live, known = after(history)
    owned = owners.update(POD, known, live, new, manager, "now")
    found = compare(POD.shape, live, new)
    for key, entry in owned.items():
        if (key.manager, key.operation) == (manager, "Update"):
            continue
        assert intersection(entry.fields, found.changed) == {}
        assert intersection(entry.fields, found.removed) == {}


@given(writes, managers)
def test_an_update_that_changes_nothing_changes_no_owner(history, manager):
    live, known = after(history)
    assert owners.update(POD, known, live, live, manager, "now") == known


def test_what_is_applied_no_more_goes_unless_somebody_owns_it():
    one = {"metadata": {"labels": {"a": "1", "b": "1", "c": "1"}}}
    live, known = apply({}, {}, one, "one")
    live, known = apply(known, live, {"metadata": {"labels": {"a": "1"}}}, "two")
    changed = {"metadata": {"labels": {"a": "1", "b": "2", "c": "1"}}}
    known = owners.update(POD, known, live, changed, "hand", "t")
    live, known = apply(known, changed, {"metadata": {}}, "one")
    assert live == {"metadata": {"labels": {"a": "1", "b": "2"}}}


def test_a_list_element_goes_with_what_nobody_applied_in_it():
    one = {"spec": {"containers": [{"name": "c", "image": "x"}, {"name": "d"}]}}
    live, known = apply({}, {}, one, "one")
    defaulted = {"spec": {"containers": [{"name": "c", "image": "x", "tty": False}, {"name": "d"}]}}
    live, known = apply(known, defaulted, {"spec": {"containers": [{"name": "d"}]}}, "one")
    assert live == {"spec": {"containers": [{"name": "d"}]}}


def test_an_element_stays_while_another_applier_has_a_part_in_it():
    one = {"spec": {"containers": [{"name": "c", "image": "x", "tty": True}]}}
    live, known = apply({}, {}, one, "one")
    live, known = apply(
        known, live, {"spec": {"containers": [{"name": "c", "stdin": True}]}}, "two"
    )
    live, known = apply(known, live, {"spec": {"hostNetwork": True}}, "one")
    assert live["spec"]["containers"] == [{"name": "c", "stdin": True}]


def test_whoever_joins_in_what_is_there_gets_no_time():
    live, known = apply({}, {}, {"spec": {"hostNetwork": True}}, "one", now="first")
    _, known = apply(known, live, {"spec": {"hostNetwork": True}}, "two", now="second")
    assert {entry.manager: entry.time for entry in known.values()} == {"one": "first", "two": ""}


def test_the_status_is_nobodys_through_the_main_endpoint():
    new = {"spec": {"hostNetwork": True}, "status": {"phase": "Running"}}
    (entry,) = owners.update(POD, {}, {}, new, "one", "t").values()
    assert entry.fields == {"f:spec": {".": {}, "f:hostNetwork": {}}}
    status = endpoint_of(PODS, "status")
    (entry,) = owners.update(status, {}, {}, new, "one", "t").values()
    assert entry.fields == {"f:status": {".": {}, "f:phase": {}}}
    assert entry.key.subresource == "status"


def test_an_entry_of_another_operation_is_another_owner():
    entry = Entry("one", APPLY, "v1")
    assert replace(entry, api_version="v2").key == entry.key
    assert replace(entry, operation="Update").key != entry.key
    live = {"spec": {"hostNetwork": True}}
    known = owners.update(POD, {}, {}, live, "one", "t")
    with pytest.raises(FieldConflictsError, match="1 conflicts"):
        apply(known, live, {"spec": {"hostNetwork": False}}, "one", force=False)
