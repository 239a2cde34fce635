#!/usr/bin/env bash
# How large an environment with mien's core alone is, and how long `mien predict` takes for a photo there.
#
#     bash benchmarks/light.sh PHOTO [TIMES]
#
# BIN names the folder of a Python that has hatchling and uv (make locks brings both). Packages are fetched; versions are those of constraints.txt.
set -euo pipefail
photo=$(realpath "$1")
cd "$(dirname "$0")/.."
bin=$(realpath "${BIN:-.venv/bin}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$bin/python" -m hatchling build -t wheel -d "$place/wheel" 2>/dev/null
"$bin/python" -m uv venv --quiet "$place/by_uv"
"$bin/python" -m uv pip install --quiet --link-mode copy --python "$place/by_uv/bin/python" --constraint constraints.txt "$place"/wheel/*.whl
"$bin/python" -m venv "$place/by_pip"
"$place/by_pip/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt "$place"/wheel/*.whl
du -sm "$place/by_uv" "$place/by_pip" | sed "s|$place/|MiB, installed |"
export PYTHONDONTWRITEBYTECODE=  # as for most people: what Python compiled at the first start is kept
TIMEFORMAT="mien predict: %R s, of them %U s of work and %S s in the system"
for _ in $(seq "${2:-5}"); do
    time "$place/by_uv/bin/mien" predict "$photo" >"$place/said"
done
cat "$place/said"
du -sm "$place/by_uv" | sed "s|$place/|MiB, after that, installed |"
uptime
