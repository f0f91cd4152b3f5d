"""What an Ed25519 public key must not be: the one check for board keys and for keys of logs and witnesses.

RFC 8032, section 5.1.3, decoding; stricter than most verifiers, which disagree about just these keys: an encoding that
is not the canonical one, the eight points of small order (with which one signature fits many texts), and what is no
point of the curve. Part of the trust ring: the standard library alone.
"""

from enum import Enum, auto
from typing import Final

P: Final = 2**255 - 19  # the field
D: Final = -121665 * pow(121666, -1, P) % P  # the curve's d
_ORDER_EIGHT: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
# The y of the eight points whose order divides 8 (each with either sign of x).
SMALL_ORDER_Y: Final = frozenset({0, 1, P - 1, _ORDER_EIGHT, P - _ORDER_EIGHT})


class PointFault(Enum):
    NOT_CANONICAL = auto()
    SMALL_ORDER = auto()
    NOT_ON_CURVE = auto()


def find_point_fault(public: bytes) -> PointFault | None:
    """``public``: 32 bytes."""
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= P:
        return PointFault.NOT_CANONICAL
    if y in SMALL_ORDER_Y:
        return PointFault.SMALL_ORDER
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    return None if pow(x_squared, (P - 1) // 2, P) == 1 else PointFault.NOT_ON_CURVE
