"""Who owns which field of an object: `metadata.managedFields`, and server-side apply on top; pure.

field_set   sets of paths, and their algebra
shape       how ownership sees a type: what is one value, what merges, and by which keys
compare     which paths two objects differ in, and which paths an object has
merge       an applied configuration merged into a live object, and paths taken out of one
check       what an applied configuration has wrong
entries     `metadata.managedFields` read and written
owners      what an update or an apply does to the sets of all managers
tracking    the same for whole documents, with everything Kubernetes adds around it
scale       sets translated between a workload and its Scale
"""
