#!/bin/sh
# Checks the models in this folder with Spin, every state that can be reached, and prints a row for each run.
#
#     run.sh          all configurations, then all mutants: rules taken out, each of which must be missed
#     run.sh quick    some of both that take a minute together: what ctest runs
#
# A configuration passes when its whole state space was searched, none of it by hashing alone, and no assertion failed
# and no deadlock was found. A mutant passes when an assertion fails. Exit status: 0 all pass, 1 not, 2 wrong usage.
# CC names the compiler.
set -eu

MEMORY_MIB=4096     # limit of one search
SECONDS_MAX=900     # likewise; a search takes up to a minute on a machine that has nothing else to do
DEPTH_MAX=10000     # steps of one history; the longest has a few hundred

what=${1:-all}
case $what in
all | quick) ;;
*)
  echo "usage: run.sh [all | quick]" >&2
  exit 2
  ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP
cp "$here"/*.pml "$folder"
cd "$folder"

failed=0

# search MODEL DEFINES OPTIMIZATION: output in `out`. What is searched to the end is worth optimizing; the compiler takes
# longer than most mutants do.
search() {
  rm -f pan pan.* out ./*.trail
  # shellcheck disable=SC2086 # one argument per word
  spin $2 -a "$1.pml" >out 2>&1 || return 0
  # Not the compiler's warnings: the code is Spin's.
  ${CC:-cc} "$3" -w -DSAFETY -DMEMLIM=$MEMORY_MIB -o pan pan.c >>out 2>&1 || return 0
  timeout $SECONDS_MAX ./pan -m$DEPTH_MAX >>out 2>&1 || echo "pan: ended with $?" >>out
}

# The first number on the line that matches, or what else comes before it.
number() {
  sed -n "s/$1/\\1/p" out | tail -n 1
}

is_whole() {
  grep -q '^Full statespace search' out && grep -q 'errors: 0$' out &&
    ! grep -q -E 'error:|Search not completed|pan: ended' out
}

is_caught() {
  grep -q '^pan:[0-9]*: assertion violated' out
}

row() {
  printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$@"
}

# report MODEL DEFINES RESULT
report() {
  row "$1" "$2" "$(number '^ *\([0-9]*\) states, stored.*')" "$(number '^ *\([0-9]*\) transitions.*')" \
    "$(number '.*depth reached \([0-9]*\).*')" "$(number '^pan: elapsed time \([0-9.e+]*\) seconds.*')" "$3"
}

complain() {
  failed=1
  sed 's/^/    /' out | tail -n 20
}

# configuration WHEN MODEL DEFINES: WHEN is quick, or all for those that only run then.
configuration() {
  if [ "$what" = quick ] && [ "$1" = all ]; then return 0; fi
  search "$2" "$3" -O1
  if is_whole; then
    report "$2" "$3" "holds"
  elif is_caught; then
    report "$2" "$3" "VIOLATED"
    complain
  else
    report "$2" "$3" "NOT SEARCHED TO THE END"
    complain
  fi
}

# mutant WHEN MODEL NAME DEFINES
mutant() {
  if [ "$what" = quick ] && [ "$1" = all ]; then return 0; fi
  grep -q "MUTANT_$3\\b" "$2"*.pml || { echo "no MUTANT_$3 in $2"; failed=1; return 0; }
  search "$2" "-DMUTANT_$3 $4" -O0
  if is_caught; then
    report "$2" "\`$3\` $4" "caught"
  else
    report "$2" "\`$3\` $4" "NOT CAUGHT"
    complain
  fi
}

row model "defines, and the mutant" states transitions depth seconds result
row --- --- ---: ---: ---: ---: ---

#             when model     bounds
configuration quick founding '-DCRASHES=0 -DWIPES=2 -DLOSSES=1'
configuration all   founding '-DCRASHES=0 -DWIPES=2 -DLOSSES=2'
configuration all   founding '-DCRASHES=0 -DWIPES=1 -DLOSSES=1 -DDELAYS=1'
configuration quick founding '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0'
configuration all   founding '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=1'
configuration all   founding '-DDURABLE -DCRASHES=1 -DWIPES=0 -DLOSSES=0 -DDELAYS=1'
configuration quick founding '-DDURABLE -DCRASHES=0 -DWIPES=1 -DLOSSES=0 -DDELAYS=1'
configuration all   founding '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0 -DDELAYS=1 -DLATE_OFFERS'
configuration all   membership '-DCRASHES=1 -DWIPES=0 -DTERMS=3'
configuration quick membership '-DCRASHES=0 -DWIPES=1 -DTERMS=3'
configuration all   membership '-DCRASHES=1 -DWIPES=1 -DTERMS=2'

#      when model    the rule that is taken out    bounds
mutant quick founding FOUND_WITHOUT_LISTENING '-DCRASHES=0 -DWIPES=2 -DLOSSES=0'
mutant all   founding FOREIGN_CLUSTERS_GO_UNHEEDED '-DCRASHES=0 -DWIPES=1 -DLOSSES=0'
mutant quick founding MEMBERS_ARE_SILENT '-DCRASHES=0 -DWIPES=1 -DLOSSES=0'
mutant all   founding ORPHANS_STAY '-DCRASHES=0 -DWIPES=1 -DLOSSES=0'
mutant all   founding LEADER_DOES_NOT_ANNOUNCE '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0'
mutant quick founding NOBODY_YIELDS '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0'
mutant all   founding ESTABLISHED_YIELDS '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0'
mutant quick founding WAITING_MEMBERS_GO_UNHEEDED '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0'
mutant all   founding LED_LEARNERS_YIELD '-DDURABLE -DCRASHES=1 -DWIPES=1 -DLOSSES=0 -DDELAYS=1 -DLATE_OFFERS'
mutant quick membership CHANGE_BEFORE_COMMITTED '-DCRASHES=1 -DWIPES=1 -DTERMS=2'
mutant all   membership CHANGE_BEFORE_OWN_TERM '-DCRASHES=1 -DWIPES=1 -DTERMS=2'
mutant quick membership SWAP '-DCRASHES=1 -DWIPES=0 -DTERMS=3'
mutant quick membership CANCEL_SEVERAL '-DCRASHES=1 -DWIPES=0 -DTERMS=3'
mutant all   membership REMOVED_LEADER_RESTS '-DCRASHES=1 -DWIPES=1 -DTERMS=2'
mutant all   membership LEARNERS_GET_ALL '-DCRASHES=1 -DWIPES=1 -DTERMS=2'
mutant all   membership WIPED_KEEPS_ITS_ID '-DCRASHES=1 -DWIPES=1 -DTERMS=2'
mutant all   membership CANCEL_IN_ANOTHER_TERM '-DCRASHES=1 -DWIPES=0 -DTERMS=3'
mutant all   membership COMMIT_OLD_TERMS '-DCRASHES=1 -DWIPES=0 -DTERMS=3'
mutant all   membership SOLE_BEFORE_DURABLE '-DCRASHES=1 -DWIPES=0 -DTERMS=3'

exit $failed
