"""The examples of the documentation page "Assigning Pods to Nodes", to apply and walk through."""
