"""The planner: a control plane in memory, to see where pods land before they do.

Public here:

    plan.py        Plan and its parts: what a plan comes to, as data
    planning.py    make_plan(): manifests and questions in, a Plan out
    why.py         why the pods of a plan, or of a workload, are where they are
    capacity.py    measure(): how many more copies of a pod fit
    snapshot.py    what of a cluster placing depends on, and how to take the names out
    assertions.py  conditions on a plan, such as `no pod pending`
    reports/       a Plan as text, Markdown, JUnit and HTML

Within, `world.py` lets the parts of a control plane act in turn until nothing moves any more:
`objects.py` takes objects in as an API server does, `control.py` runs the controllers' own
reconcilers, `placing.py` the scheduler's own engine. Nothing here talks to anybody: no client, no
event loop, no clock.
"""
