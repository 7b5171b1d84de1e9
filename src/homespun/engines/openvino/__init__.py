"""Models on OpenVINO's plain runtime.

Importing `openvino` loads its converters, which report each import over the network from a forked process
(package openvino-telemetry). Without that package they use an empty stand-in, so it is hidden before the
first import; nothing of the runtime needs it.
"""

import sys

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
