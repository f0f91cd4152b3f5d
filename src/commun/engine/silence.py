"""Nothing phones home: call this before the first ``import openvino``.

``import openvino`` alone sends an event to a statistics server (``openvino/tools/ovc/__init__.py`` of 2026.4.1 calls
``telemetry.send_event("ov", "import", ...)``) whenever the package ``openvino_telemetry``, which OpenVINO requires,
can be imported. With that name barred, OpenVINO takes its own stub, which does nothing.
"""

import sys
from typing import cast

BARRED = "openvino_telemetry"


class TelemetryLoadedError(RuntimeError):
    """Somebody imported OpenVINO first: it is too late to promise silence."""


def forbid_telemetry() -> None:
    """Makes ``import openvino_telemetry`` fail in this process. Raises TelemetryLoadedError when it is loaded."""
    if sys.modules.get(BARRED) is not None:
        raise TelemetryLoadedError(BARRED)
    cast("dict[str, object]", sys.modules)[BARRED] = None  # the documented way to make an import fail
