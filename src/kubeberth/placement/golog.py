"""The natural logarithm as Go computes it, to the last bit.

kube-scheduler weighs topology keys by the logarithm of how many domains they have. The C library
rounds one in a hundred of these otherwise than Go, which follows FreeBSD (msun, e_log.c): x is
2**k * (1 + f), and log(1 + f) a polynomial in s = f / (2 + f).
"""

from __future__ import annotations

from functools import lru_cache
from math import frexp

_SQRT_HALF = 0.7071067811865476
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ODD = (
    6.666666666666735130e-01,
    2.857142874366239149e-01,
    1.818357216161805012e-01,
    1.479819860511658591e-01,
)
_EVEN = 3.999999999940941908e-01, 2.222219843214978396e-01, 1.531383769920937332e-01


@lru_cache(maxsize=4096)
def log(x: int) -> float:
    """Return the natural logarithm of a positive number."""
    fraction, exponent = frexp(x)
    if fraction < _SQRT_HALF:
        fraction *= 2
        exponent -= 1
    f, k = fraction - 1, float(exponent)
    s = f / (2 + f)
    s2 = s * s
    s4 = s2 * s2
    odd = s2 * (_ODD[0] + s4 * (_ODD[1] + s4 * (_ODD[2] + s4 * _ODD[3])))
    even = s4 * (_EVEN[0] + s4 * (_EVEN[1] + s4 * _EVEN[2]))
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + (odd + even)) + k * _LN2_LOW)) - f)
