#!/bin/sh
# Installs the Debian packages that building, testing and trying out Coracle need, if any is missing.
#
# Prints what is missing, asks first on a terminal (not with YES=1), and installs it with apt-get, through sudo where
# the user is not root. Says nothing and takes no time when nothing is missing. On a system without apt it prints
# the list and exits 1; SETUP=no leaves it all out, for those who brought the packages themselves.
# `setup.sh clients` is for `make test-clients` alone, and content with any Node.js that is new enough.
set -eu

# One line per need, as Debian 12 names it first; any of the alternatives after it does as well.
needs='
gcc
libc6-dev
cmake
ninja-build
pkg-config pkgconf
libuv1-dev
libjansson-dev
node-llhttp libllhttp-dev
libsodium-dev
libxxhash-dev
libcurl4-openssl-dev libcurl4-gnutls-dev libcurl4-nss-dev
libcmocka-dev
python3
python3-pytest
python3-nacl
gcovr
patch
spin
iproute2
nftables
e2fsprogs
strace
curl
'

if [ "${1:-}" = clients ]; then
  if command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; then
    exit 0
  fi
  needs='
nodejs
npm
'
fi

if [ "${SETUP:-}" = no ]; then
  exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
  echo "This system has no apt. Coracle needs, in the names of Debian 12:" >&2
  echo "$needs" | sed -n 's/^\([^ ][^ ]*\).*/  \1/p' >&2
  echo "Install them in your own way, then go on with SETUP=no: make demo SETUP=no" >&2
  exit 1
fi

# dpkg-query fails when it does not know some of the packages, and that is no error here.
# shellcheck disable=SC2086 # one argument per word
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $needs 2>/dev/null | sed -n 's/^installed //p') || :

# Each need of which no alternative is installed.
missing=$(echo "$needs" | while read -r alternatives; do
  found=no
  for package in $alternatives; do
    if echo "$installed" | grep -qxF "$package"; then found=yes; fi
  done
  if [ -n "$alternatives" ] && [ $found = no ]; then echo "$alternatives"; fi
done)

if [ -z "$missing" ]; then
  exit 0
fi

names=$(echo "$missing" | sed 's/ .*//' | paste -s -d ' ' -)
echo "Missing packages: $names"

sudo=
if [ "$(id -u)" != 0 ]; then
  sudo=sudo
  if ! command -v sudo >/dev/null; then
    echo "There is no sudo. As root, run: apt-get install $names" >&2
    exit 1
  fi
fi

if [ -t 0 ] && [ "${YES:-}" != 1 ]; then
  printf 'Install them with apt-get%s? [Y/n] ' "${sudo:+ through sudo}"
  read -r answer || answer=n
  case $answer in
  '' | [Yy] | [Yy][Ee][Ss]) ;;
  *)
    echo "Nothing was installed." >&2
    exit 1
    ;;
  esac
fi

# A third party's list that cannot be fetched need not stop us: if it matters, the installation says so.
$sudo apt-get -qq update || echo "apt-get update failed; trying with the lists that are here" >&2

# Of each need's alternatives the first that this system's lists have; later releases renamed some.
chosen=$(echo "$missing" | while read -r alternatives; do
  choice=${alternatives%% *}
  for package in $alternatives; do
    if apt-cache show --no-all-versions "$package" >/dev/null 2>&1; then
      choice=$package
      break
    fi
  done
  echo "$choice"
done)

# shellcheck disable=SC2086 # one argument per word
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $chosen
