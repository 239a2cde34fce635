#!/usr/bin/env bash
# The tables of docs/results/few-labels.md on the best that is made of few labels.
#
#   bash benchmarks/few.sh FACES OUT PART...
#
# FACES: a folder with the sets ferplus and fer2013, as few_labels.sh imports them, and maybe ferplus_choose: FER+ of
# which a part of Training stands as `test`, on which all that is chosen is chosen. OUT: a folder, which may hold what an earlier call
# left: everything goes on where it was.
# PART: ferplus, small, cached, fer2013, five_percent, techniques (a CPU), or gpu (an accelerator; not run).
# SEEDS, THREADS, LABELS (per class), SET (ferplus, or ferplus_choose to choose by) and SPLIT may be set.
set -euo pipefail
faces=$(realpath "$1")
mkdir -p "$2"
cd "$2"
shift 2
seeds=${SEEDS:-5} threads=${THREADS:-1} labels=${LABELS:-10,25,100,250} set=${SET:-ferplus} unlabeled=10000
[ "$set" = ferplus_choose ] && split=${SPLIT:-test} || split=${SPLIT:-PublicTest}
papers=face_finetune,pl_face,alt_face,st_sw_face,few

compare() {  # SET NAME OPTION...
  mien compare "$faces/$1" --seeds "$seeds" --threads "$threads" --split "$split" --out "$set-$2" "${@:3}"
}

# Labels that make five percent of the faces to train on, all classes together.
five_percent() {
  mien describe "$faces/$set" --json | python3 -c '
import json, sys
counts = json.load(sys.stdin)["counts"]
train = next(counts[name] for name in ("Training", "train") if name in counts)
print(round(sum(count for name, count in train.items() if name[0] != "(") / 20))'
}

for part in "$@"; do
  case $part in
    ferplus)
      compare "$set" few --recipes face_finetune,few --labels-per-class "$labels" --unlabeled-faces $unlabeled --control ;;
    small)
      compare "$set" small --recipes few,few_small,fn2en_small --labels-per-class "$labels" --unlabeled-faces $unlabeled --control ;;
    cached)
      [ -e "$set-features" ] || mien features facenet_dlib:block10 "$faces/$set" "$set-features" --set side=112 --views 2 --grid 3
      compare_features() { mien compare "$set-features" --seeds "$seeds" --threads "$threads" --split "$split" "$@"; }
      compare_features --recipes linear_head,few_cached --labels-per-class "$labels" --unlabeled-faces $unlabeled --control \
        --out "$set-cached" ;;
    fer2013)
      (set=fer2013 split=PublicTest
       compare fer2013 few --recipes face_finetune,few --labels-per-class "$labels" --unlabeled-faces $unlabeled --control) ;;
    five_percent)
      compare "$set" five_percent --recipes face_finetune,few --labels "$(five_percent)" --unlabeled-faces $unlabeled --control ;;
    techniques)
      compare "$set" techniques --recipes $papers --labels-per-class "$labels" --unlabeled-faces $unlabeled --control ;;
    gpu)  # Not run. All unlabeled faces, and epochs of 2,000 batches: 100 times those of the papers' recipes, 50 times
      # those of few. The second stage of st_sw_face draws by settings of its own, and keeps its 20 batches.
      compare "$set" gpu --recipes $papers --labels-per-class "$labels" --control --device cuda --set draw.at_least=2000 ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
