#!/usr/bin/env bash
# Every table of docs/results/neighborhoods.md.
#
#   bash benchmarks/neighborhood.sh FER OUT PART...
#
# FER: folder with fer2013.csv and fer2013new.csv. OUT: a folder, which may hold what an earlier call left: everything goes on where it was.
# PART: choose, neighbors, refined, labels, variants, sequences, flipped, steady, noise, long, table8, table6 (a CPU), or gpu (an
# accelerator: the paper's sizes). SEEDS and THREADS may be set; for `noise` also ARMS (files of neighborhood/), LABELS, NOISE; for
# `steady` WEIGHTS, and for both SET=choice to choose by. What is chosen is chosen on faces of Training that `choose` holds out.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
fer=$(realpath "$1")
mkdir -p "$2"
cd "$2"
shift 2
seeds=${SEEDS:-3} threads=${THREADS:-1} set=${SET:-ferplus}
[ "$set" = choice ] && split=test || split=PublicTest

have() { [ -e "$1" ] || "${@:2}"; }
compare() { mien compare "$1" --seeds "$seeds" --threads "$threads" "${@:2}"; }
# A recognizer that takes no part in training an autoencoder.
judge() { have judge mien train ferplus --recipe scratch_bn_small --epochs 12 --set draw.at_least=1 --threads "$threads" --out judge; }
autoencoder() { have "$1_neighbors" mien autoencoder train "$1" --out "$1_neighbors" --threads "$threads" "${@:2}"; }

export XDG_CACHE_HOME=$PWD/cache  # Runs find the autoencoder of `neighbors` there.
have ferplus mien import ferplus "$fer" ferplus --rule probability
for part in "$@"; do
  case $part in
    choose)
      have choice python "$here/held_out.py" ferplus choice
      for latent in 64 256; do
        have choice_$latent mien autoencoder train choice --out choice_$latent --threads "$threads" --set model.latent=$latent
      done
      common=(--labels-per-class 1000 --noise 0.2 --epochs 16 --set draw.at_least=1 --set model.width=0.25)
      compare choice --recipes two_scale_small "${common[@]}" --out choose_base
      common+=(--set weigh.0.sigma=0.12)
      compare choice --recipes sna_small "${common[@]}" --set weigh.0.after=0 --set weigh.0.autoencoder=$PWD/choice_64 --out choose_64
      python "$here/masked.py" choose_64 masked_choice_64.csv
      compare choice --recipes sna_small "${common[@]}" --set weigh.0.autoencoder=$PWD/choice_256 --out choose_256 \
        --vary weigh.0.after=0,0.5 --vary weigh.0.scoring=eval,batch --vary weigh.0.against=face,reconstruction
      # masked.py takes all cells of a recipe together: that of a mask from the start, scored as by default, is a comparison of its own.
      compare choice --recipes sna_small "${common[@]}" --set weigh.0.autoencoder=$PWD/choice_256 --set weigh.0.after=0 --out choose_start
      python "$here/masked.py" choose_start masked_choice_256.csv ;;
    refined)
      have choice python "$here/held_out.py" ferplus choice
      for refine in none wgan; do
        have choice_$refine mien autoencoder train choice --out choice_$refine --threads "$threads" --refine $refine --labels-per-class 250 \
          --set refine_stages.0.epochs=2
        judge
        python "$here/neighbors.py" choice_$refine judge choice --split test --sigmas 0.22 --table refined_$refine.csv
      done ;;
    neighbors)
      autoencoder ferplus
      judge
      python "$here/neighbors.py" ferplus_neighbors judge ferplus --split held-out --sigmas 0.2,0.22,0.24,0.26
      python "$here/neighbors.py" ferplus_neighbors judge ferplus --sigmas 0.12,0.22 --table neighbors.csv ;;
    labels)
      autoencoder ferplus
      common=(--recipes two_scale_small,sna_small --split PublicTest --labels-per-class 1000 --epochs 8 --set draw.at_least=1)
      compare ferplus "${common[@]}" --out sna_labels
      python "$here/recalls.py" sna_labels ferplus PublicTest two_scale_small recalls.csv
      compare ferplus "${common[@]}" --noise 0.2 --out sna_noise
      python "$here/masked.py" sna_noise masked.csv ;;
    variants)
      autoencoder ferplus
      compare ferplus --recipes "$here/neighborhood/sna_reconstruction.toml,$here/neighborhood/sna_features.toml" --split PublicTest \
        --labels-per-class 1000 --noise 0.2 --epochs 8 --set draw.at_least=1 --out sna_variants
      python "$here/masked.py" sna_variants masked_variants.csv ;;
    sequences)
      have sequences mien import synthetic sequences --set faces=18000 --set people=150 --set sequences=12
      have peaks mien peaks sequences peaks --split all
      compare peaks --recipes two_scale_small,sna_small --split near --set draw.at_least=10 \
        --set model.width=0.25 --out sna_sequences
      for run in sna_sequences/runs/*; do
        [ -e "$run/consistency.json" ] || mien consistency "$run" peaks --split near --draws 1 --json > "$run/consistency.json"
      done
      python "$here/failures.py" sna_sequences failures.csv ;;
    flipped)  # As `sequences`, but a fifth of the peaks, within the classes' proportions, is labeled wrong; `near` keeps the truth.
      have sequences mien import synthetic sequences --set faces=18000 --set people=150 --set sequences=12
      have peaks mien peaks sequences peaks --split all
      compare peaks --recipes "two_scale_small,sna_small,sna_label_small,$here/neighborhood/sna_label_late.toml" --split near \
        --noise 0.2 --proportional-noise --set draw.at_least=10 --set model.width=0.25 --out sna_flipped
      for run in sna_flipped/runs/*; do
        [ -e "$run/consistency.json" ] || mien consistency "$run" peaks --split near --draws 1 --json > "$run/consistency.json"
      done
      python "$here/failures.py" sna_flipped failures_flipped.csv
      python "$here/masked.py" sna_flipped masked_flipped.csv ;;
    steady)  # Consistency with a moved face as a loss, beside its control, whose loss counts nothing. WEIGHTS: to choose by.
      [ "$set" = choice ] && have choice python "$here/held_out.py" ferplus choice
      [ -n "${WEIGHTS:-}" ] && how=(--vary "unlabeled.weight=$WEIGHTS") || how=(--control)
      compare $set --recipes "$here/neighborhood/steady.toml" --split $split --labels-per-class 250 --unlabeled-faces 5000 --epochs 15 \
        "${how[@]}" --out steady_$set
      python "$here/flips.py" steady_$set $set $split flips_$set.csv ;;
    noise)  # The masks beside what others do against wrong labels, on one base that comes to know wrong labels by heart.
      arms=
      for arm in ${ARMS:-none own label random views mirror pruned small_loss self_cure eac}; do arms+=,$here/neighborhood/$arm.toml; done
      [ "$set" = choice ] && have choice python "$here/held_out.py" ferplus choice
      for count in ${LABELS:-450 1000}; do
        compare $set --recipes ${arms#,} --split $split --labels-per-class $count --noise ${NOISE:-0,0.2,0.3} --out noise_${set}_$count
        python "$here/masked.py" noise_${set}_$count masked_noise_${set}_$count.csv
      done ;;
    long)  # What can show the paper's effect: 3,000 faces, until the network knows wrong labels by heart.
      arm() { printf 'base = "two_scale_long"\nweigh = { technique = "neighborhood", after = 0.2, %s }\n' "$2" > "long_$1.toml"; }
      arm random 'score = "random", neighbors = "views"'
      arm label 'score = "label", neighbors = "views"'
      arms=two_scale_long,long_random.toml,long_label.toml
      for kind in autoencoder pca views mirror features; do
        arm $kind "score = \"divergence\", neighbors = \"$kind\""
        arms+=,long_$kind.toml
      done
      compare ferplus --recipes $arms --split PublicTest --labels 3000 --noise 0.2 --proportional-noise --out long
      python "$here/masked.py" long masked_long.csv ;;
    table8)  # As the paper: loss and balance without the mask, then the mask at the best of both.
      common=(--split PublicTest --labels-per-class 250 --epochs 10)
      compare ferplus --recipes two_scale_small "${common[@]}" --out table8 \
        --vary loss=cross_entropy,focal --vary draw.technique=shuffled,balanced
      compare ferplus --recipes two_scale_small "${common[@]}" --out table8_weights --set draw.technique=shuffled --set weigh=by_class
      compare ferplus --recipes two_scale_small,sna_small,sna_threshold_small "${common[@]}" --out table8_mask ;;
    table6)  # As the paper: a smaller batch, a rate as much smaller.
      for batch in 64 32 16 8; do
        compare ferplus --recipes sna_small,sna_threshold_small --split PublicTest --labels-per-class 250 --epochs 10 --out table6_$batch \
          --set batch=$batch --set stages.0.lr="$(python -c "print(0.1 * $batch / 64)")"
      done ;;
    gpu)
      have ferplus_112 mien import ferplus "$fer" ferplus_112 --rule probability --side 112
      autoencoder ferplus_112 --preset paper --device cuda
      compare ferplus_112 --recipes two_scale,sna,sna_threshold --split PublicTest --device cuda --out gpu_sna ;;
    *) echo "unknown part: $part" >&2; exit 2 ;;
  esac
done
