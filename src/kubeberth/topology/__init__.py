"""Which CPUs, memory and devices of a node a pod is given: the resource managers of the kubelet.

    Machine + KubeletConfiguration -> Managers.start -> Allocations
    Managers.admit(Allocations, PodRequest) -> Allocations, and a Refusal or none

Pure: values in, values out. The kubelet decides with it, and the scheduler can foresee with it what
the kubelet will decide. Matches kubelet 1.36 (`pkg/kubelet/cm/{topology,cpu,memory,device}manager`)
and is held to its recorded decisions by tests/golden/test_kubelet_topology.py.
"""
