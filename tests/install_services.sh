#!/usr/bin/env bash
# What tests talk to and look with, from Debian's packages: a PostgreSQL server, a browser, openssl, which makes certificates, and
# strace. Tests that miss one are skipped, so where nothing can be installed this says so and succeeds. A cluster that the package
# starts is not used: tests start their own.
set -u
missing=()
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
command -v chromium >/dev/null || missing+=(chromium)
command -v openssl >/dev/null || missing+=(openssl)
command -v strace >/dev/null || missing+=(strace)
if ((${#missing[@]} == 0)); then
    exit 0
fi
if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "not installed, as that takes root and apt-get: ${missing[*]}; their tests are skipped"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 3 "$log"
    echo "not installed, as apt-get failed: ${missing[*]}; their tests are skipped"
fi
exit 0
