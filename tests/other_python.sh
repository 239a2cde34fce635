#!/usr/bin/env bash
# mien under another Python, in an environment of its own below build: the core alone, which reads a photo, and then all tests.
#   bash tests/other_python.sh PYTHON PHOTO [--like-3.14]
#   bash tests/other_python.sh python3.13 me.jpg
# --like-3.14: as Python 3.14 would, in what tests/like_314 knows of it.
set -euo pipefail
python=$(realpath "$(command -v "$1")") photo=$(realpath "$2")
if [[ ${3:-} == --like-3.14 ]]; then
    PYTHONPATH=$(realpath "$(dirname "$0")/like_314")
    export PYTHONPATH
fi
cd "$(dirname "$0")/.."
place=build/python-$("$python" -c 'import platform; print(platform.python_version())')
make VENV="$place" PYTHON="$python" core
"$place/bin/mien" --version
"$place/bin/mien" predict "$photo"
"$place/bin/python" -m mien --help >/dev/null
make VENV="$place" PYTHON="$python" test
