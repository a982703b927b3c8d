"""`python -m kubeberth` is `berth`."""

from kubeberth.cli import main

main()
