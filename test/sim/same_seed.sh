#!/bin/sh
# Goal: a seed is the same run every time, to the byte, and another one is another. Usage: same_seed.sh CORACLE-SIM
sim=$1
before=
for seed in 1 2 3 5 8 13 21 34 55 89; do
  first=$("$sim" --seed $seed --hash) && second=$("$sim" --seed $seed --hash) || exit 1
  if [ -z "$first" ] || [ "$first" != "$second" ]; then
    echo "seed $seed: $first, then $second"
    exit 1
  fi
  if [ "$first" = "$before" ]; then
    echo "seed $seed is the run of another seed: $first"
    exit 1
  fi
  before=$first
done
