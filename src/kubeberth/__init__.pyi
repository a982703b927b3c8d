"""What `__init__.py` has, for type checkers."""

from kubeberth.errors import InvalidObjectError as InvalidObjectError
from kubeberth.errors import ManifestError as ManifestError
from kubeberth.errors import NoSuchObjectError as NoSuchObjectError
from kubeberth.library.cluster import Cluster as Cluster
from kubeberth.placement.decision import Decision as Decision
from kubeberth.placement.explanation import Explanation as Explanation
from kubeberth.planner.plan import Plan as Plan

__version__: str
