#!/usr/bin/env bash
# The tables of docs/results/asking-people.md on which faces to ask about.
#
#   bash benchmarks/rounds.sh FER OUT PART...
#
# FER: folder with fer2013.csv, and fer2013new.csv for FER+. OUT: a folder, which may hold what an earlier call left: everything goes on
# where it was. PART: cached (heads on dlib's block9), cached_ferplus (the same with FER+'s labels) or pixels (a whole network). The
# labels of Training's faces are hidden but for 500 per class; then two rounds of 2,000 faces as in DAL, and ten of 400. Or cold: heads on
# block9 from 0, 2 and 5 labels per class of FER+ (START), 40 faces a round (SMALL); COLD may name another set, to choose on its split
# test. SEEDS, THREADS, STRATEGIES, LEARN, VIEWS, RECIPE, DEVICE, START, LARGE, SMALL and ROUNDS may be set.
set -euo pipefail
fer=$(realpath "$1")
mkdir -p "$2"
cd "$2"
shift 2
threads=${THREADS:-1} views=${VIEWS:-2} large=${LARGE:-2000} small=${SMALL:-400} device=${DEVICE:-auto}
strategies=${STRATEGIES:-random,worthiness,worthiness extension=1,margin,entropy,diverse}

have() { [ -e "$1" ] || "${@:2}"; }
# Faces, recipe, start labels per class, seeds, name: a folder for each way to learn, NAME_START_two_LEARN and NAME_START_ten_LEARN.
simulate() {
  for learn in ${LEARN:-new all afresh}; do
    some=(--recipe "$2" --start-labels-per-class "$3" --seeds "$4" --acquire "$strategies" --learn "$learn" --oracle labels
      --split-to-test PublicTest --threads "$threads" --device "$device")
    mien rounds "$1" "${some[@]}" --rounds 2 --per-round "$large" --out "$5_$3_two_$learn"
    mien rounds "$1" "${some[@]}" --rounds 10 --per-round "$small" --out "$5_$3_ten_$learn"
  done
}

fer2013() { have fer2013 mien import fer2013 "$fer/fer2013.csv" fer2013; }

# Faces, name of the simulations.
heads() {
  # Worthiness compares the views of a face; with two they are the face and its mirror image.
  features=$1_block9
  if [ "$views" != 2 ]; then features=${features}_$views; fi
  have "$features" mien features facenet_dlib:block9 "$1" "$features" --set side=112 --views "$views" --grid 3
  simulate "$features" "${RECIPE:-linear_head}" "${START:-500}" "${SEEDS:-5}" "$2_$views"
}

for part in "$@"; do
  case $part in
    cached)
      fer2013
      heads fer2013 cached ;;
    cached_ferplus)
      have ferplus mien import ferplus "$fer" ferplus --rule probability
      heads ferplus cached_ferplus ;;
    pixels)
      fer2013
      recipe=${RECIPE:-supervised_small}
      simulate fer2013 "$recipe" "${START:-500}" "${SEEDS:-2}" "pixels_$(basename "$recipe" .toml)" ;;
    cold)
      # One view, since nothing but features is compared. The table of a start is cold_START/table.csv.
      faces=${COLD:-ferplus}
      if [ "$faces" = ferplus ]; then have ferplus mien import ferplus "$fer" ferplus --rule probability; fi
      features=$(basename "$faces")_block9_1
      have "$features" mien features facenet_dlib:block9 "$faces" "$features" --set side=112 --views 1 --grid 3
      for start in ${START:-0 2 5}; do
        mien rounds "$features" --recipe "${RECIPE:-linear_head}" --start-labels-per-class "$start" --seeds "${SEEDS:-5}" \
          --acquire "${STRATEGIES:-random,typical,worthiness,diverse}" --learn "${LEARN:-afresh}" --rounds "${ROUNDS:-4}" \
          --per-round "${SMALL:-40}" --oracle labels --threads "$threads" --device "$device" --out "cold_$start"
      done ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
