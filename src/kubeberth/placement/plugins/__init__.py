"""The rules, one a file, named as kube-scheduler names them."""
