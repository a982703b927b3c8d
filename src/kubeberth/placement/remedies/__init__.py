"""Remedies: the smallest changes with which a pod that fits nowhere would fit.

    candidates.py   nodes worth a try: one of each kind that is refused for the same reasons
    edit.py         one change that somebody could make, to the pod, a node or another pod
    *_edits.py      which edits one rule could be satisfied with on one node
    what_if.py      places the pod in a copy of the cluster in which edits have been made
    search.py       find_remedies(): edits and combinations of them, each tried, the smallest first
    conflict.py     find_conflict(): the rules of a pod that no node meets together
    commands.py     edits as kubectl commands
    patch.py        what differs in a pod's spec, as a strategic merge patch

Pure: the state that is asked about stays as it is.
"""
