#!/usr/bin/env bash
# The tests again and again, to find those that depend on how fast or busy a machine is, or on the tests before them.
#   bash tests/again.sh [--times N] [--load] [--shuffle] [--out FOLDER] [what pytest is told...]
# Ten times on two cores, or with --load on one core beside a loop that never rests. --shuffle: the n-th time in an order drawn from n.
# What each run says goes to FOLDER/N.txt, its outcome to FOLDER/outcomes.txt as it comes; the exit code is 1 where one failed.
#   bash tests/again.sh --out build/alone && bash tests/again.sh --load --out build/load
#   bash tests/again.sh --times 3 --load tests/training/test_resume.py
# Once in another order: MIEN_ORDER=7 PYTHONPATH=tests .venv/bin/python -m pytest -p shuffled
set -u
BIN=${BIN:-.venv/bin} times=10 cores=0,1 load= shuffle= out=build/again
while (($#)); do
    case $1 in
        --times) times=$2 && shift 2 ;;
        --load) load=yes && cores=0 && shift ;;
        --shuffle) shuffle='-p shuffled' && shift ;;
        --out) out=$2 && shift 2 ;;
        *) break ;;
    esac
done
mkdir -p "$out"
if [[ $load ]]; then
    taskset -c "$cores" "$BIN/python" -c 'while True: pass' &
    trap "kill $!" EXIT
fi
export PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 PYTHONPATH=tests${PYTHONPATH:+:$PYTHONPATH}
failed=0
for ((n = 1; n <= times; n++)); do
    # shellcheck disable=SC2086
    MIEN_ORDER=$n taskset -c "$cores" "$BIN/python" -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $shuffle "$@" >"$out/$n.txt" 2>&1 </dev/null
    code=$?
    ((code == 0)) || failed=1
    printf '%s of %s%s: exit code %s, %s\n' "$n" "$times" "${load:+, under load}" "$code" "$(tail -n 1 "$out/$n.txt")" | tee -a "$out/outcomes.txt"
done
exit "$failed"
