#!/usr/bin/env bash
# Other people's libraries that benchmarks compare mien with, in an environment of their own: they want older versions than mien has.
#
#   bash benchmarks/peers.sh FOLDER
#
# facenet-pytorch asks for torch below 2.3 and its torchvision (3 GB with the GPU libraries that come along).
set -euo pipefail
python3 -m venv "$1"
"$1"/bin/python -m pip install --quiet --disable-pip-version-check facenet-pytorch==2.6.0
