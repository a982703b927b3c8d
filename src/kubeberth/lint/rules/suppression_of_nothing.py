"""A suppression that suppresses nothing.

`# berth: ignore KB101 reason` at the end of a line, or on a line of its own above, says that a
finding there is known. When the finding is gone, so should be the comment; a rule that does not
exist was never suppressed.
"""

from __future__ import annotations

from kubeberth.lint.rule import Rule, Severity

# Found by whoever applies the suppressions: only then it is known which were of use.
RULE = Rule("KB003", "suppression-of-nothing", Severity.INFO, __doc__)
