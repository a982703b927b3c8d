"""Half an hour of churn in virtual time; `benchmarks/churn.py` lives through a day."""

from __future__ import annotations

from benchmarks.churn import live_through


def test_churn_breaks_no_promise() -> None:
    api, auditor = live_through(hours=0.5, n_nodes=12, every_s=4.0, seed=1)
    assert auditor.broken == []
    # All of it has happened, or nothing was tried.
    changes = {"add_node", "delete_node", "taint", "label", "preempted", "answer lost"}
    assert changes <= api.done.keys()
    assert auditor.n_bound > 300
