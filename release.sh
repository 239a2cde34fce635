#!/usr/bin/env bash
# Builds a release of what is committed, checks it, and tags it. Nothing is uploaded.
#
#     bash release.sh            (or: make release)
#
# Before: set the version in pyproject.toml and CITATION.cff, and in CHANGELOG.md turn [Unreleased] into [VERSION] - YYYY-MM-DD. Versions are
# semantic: a change that breaks a user's command or script raises the first number (while it is 0, the second), a new feature the second,
# a repair the third. BIN names the folder of Python.
set -euo pipefail
cd "$(dirname "$0")"
python="${BIN:-.venv/bin}/python"

stop() {
    echo "release: $1" >&2
    exit 1
}

version=$("$python" -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || stop "expected a version of three numbers in pyproject.toml; found $version"
grep -qx "version: $version" CITATION.cff || stop "expected 'version: $version' in CITATION.cff; found another"
grep -qE "^## \[$version\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md || stop "expected '## [$version] - DATE' in CHANGELOG.md; found no such line"
[[ -z $(git status --porcelain) ]] || stop "expected everything to be committed; found changes: see git status"
"$python" locks/npm.py check || stop "expected onnxruntime-web of locks/npm.json in src/mien/browser/vendor: run make web where npm is installed"
if git rev-parse -q --verify "refs/tags/v$version" >/dev/null; then stop "expected no tag v$version yet; found one: raise the version"; fi

# The same commit gives the same bytes.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
rm -rf dist
"$python" -m hatchling build -d dist
"$python" -m pytest -q tests/test_light_core.py tests/test_locks.py
git tag -a "v$version" -m "mien $version"
echo "release: dist/ holds mien $version, and v$version is tagged; to publish it, push the tag and upload dist/"
