#!/usr/bin/env bash
# Makes .venv: the exact versions of requirements/lock.txt, mmcv and xtcocotools compiled for them, and this
# package as an editable install. Does nothing where that is done; a half-made environment is made again from what was
# downloaded and compiled.
#   PYTHON=python3.12 tools/setup_environment.sh     another Python than python3.11
set -euo pipefail
cd "$(dirname "$0")/.."

mmcv=2.1.0
xtcocotools=1.14.3
venv=$PWD/.venv
py=$venv/bin/python
log=$PWD/.setup.log
step='reading the set-up files'

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
fail() {
  printf '\nSet-up stopped while %s.\nCause: %s\nWhat to do: %s\n' "$step" "$1" "$2" >&2
  [ -s "$log" ] && printf 'The last lines of %s:\n%s\n' "$log" "$(tail -n 15 "$log")" >&2
  printf 'Then run the same command again: what was downloaded and compiled is kept.\n' >&2
  exit 1
}
explain() { # what the log of a failed step means, for people who will not read it
  if grep -qiE 'no space left|disk quota exceeded' "$log"; then
    fail 'the disk is full' "free about 8 GB below $PWD and the cache, or point XDG_CACHE_HOME and TMPDIR to a larger disk"
  elif grep -qiE 'failed to (connect|resolve)|error sending request|connection (error|refused|reset)|name resolution|timed out|network is|from versions: none|dns error|SSLError' "$log"; then
    fail 'the package index could not be reached' 'check the network and the pip/uv index settings (PIP_INDEX_URL, UV_INDEX_URL, proxies)'
  fi
  fail "$1" "$2"
}
run() { # run a step, show its output, keep it for the explanation
  : >"$log"
  "$@" 2>&1 | tee -a "$log"
}

# One environment at a time: two makes in one clone must not build into each other.
exec 9>.setup.lock
if command -v flock >/dev/null && ! flock -n 9; then say 'another set-up is running in this clone, waiting for it'; flock 9; fi

rm -f "$log"
step='looking for Python'
python=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3.10 || command -v python3 || true)}
[ -n "$python" ] || fail 'there is no python3 on the PATH' 'install Python 3.11 (Debian: apt-get install python3.11 python3.11-venv python3.11-dev)'
command -v "$python" >/dev/null || fail "there is no $python" 'name a Python that exists: PYTHON=python3.11 make test'

# The stamp is written last. An environment without it is half made, or is not this one: files may be missing that pip and
# uv believe to be there, so it is made again (from the package cache, in seconds).
stamp="$(cat requirements/lock.txt setup.py tools/setup_environment.sh | sha256sum | cut -c1-16) $("$python" -c 'import sys; print(sys.version_info[:2])') $PWD"
[ "$(cat "$venv/stamp" 2>/dev/null)" = "$stamp" ] && exit 0
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' ||
  fail "$python is not Python 3.10, 3.11 or 3.12 (mmcv $mmcv cannot be built elsewhere)" 'name another one: PYTHON=python3.11 make test'

house=${XDG_CACHE_HOME:-$HOME/.cache}/mmpose_diffusion
if ! ls "$house"/*/mmcv-$mmcv-*.whl >/dev/null 2>&1; then # before anything is downloaded
  step='looking for a compiler'
  for tool in gcc g++; do
    command -v $tool >/dev/null || fail "there is no $tool on the PATH" 'install a compiler (Debian: apt-get install build-essential)'
  done
  "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
    fail "the headers of $python are missing (Python.h)" 'install them (Debian: apt-get install python3.11-dev)'
fi

step='making the virtual environment .venv'
[ ! -e "$venv" ] || say 'the old .venv is incomplete or of another version: making it again'
rm -rf "$venv"
say "virtual environment with $("$python" --version)"
run "$python" -m venv "$venv" || { rm -rf "$venv"; explain 'python cannot make virtual environments' 'install its venv module (Debian: apt-get install python3.11-venv)'; }

step='installing the pinned packages'
free_gb=$(df -Pk . | awk 'NR == 2 {print int($4 / 1048576)}')
[ "$free_gb" -ge 8 ] || say "only $free_gb GB are free here; torch with its CUDA libraries takes 5, and again as much while it is unpacked"
say "pinned packages: $(grep -c . requirements/lock.txt) of them, 3 GB to download the first time"
: >"$log"
run "$py" -m pip install -q --disable-pip-version-check "$(grep '^uv==' requirements/lock.txt)" || explain 'pip could not install uv' 'read the lines below'
run "$py" -m uv pip install --python "$py" --no-deps -r requirements/lock.txt || explain 'a package could not be installed' 'read the lines below'

# The wheel cache of pip and uv knows neither torch nor numpy and hands out wrong binaries, hence a folder of our own.
step='compiling mmcv and xtcocotools'
tag=$("$py" -c 'import sys, torch, numpy; print("cp%d%d" % sys.version_info[:2], "torch" + torch.__version__.split("+")[0], "numpy" + numpy.__version__.split(".")[0], sep="-")' 2>"$log") ||
  explain 'torch or numpy cannot be imported from .venv' 'read the lines below'
house=$house/$tag
wheels() { ls "$house"/mmcv-$mmcv-*.whl "$house"/xtcocotools-$xtcocotools-*.whl 2>/dev/null; }
if [ "$(wheels | wc -l)" -lt 2 ]; then
  say "compiling mmcv $mmcv and xtcocotools $xtcocotools for $tag, about 4 minutes on two cores (kept in $house)"
  mkdir -p "$house" && part=$(mktemp -d "$house/part.XXXXXX") || fail "$house cannot be written" 'set XDG_CACHE_HOME to a folder that can'
  trap 'rm -rf "$part"' EXIT
  # These flags replace Python's own, so -O2 and -DNDEBUG must be named; without -g the build takes two thirds of the time.
  : >"$log"
  PATH=$venv/bin:$PATH CFLAGS='-O2 -DNDEBUG -fwrapv -g0' CXXFLAGS='-O2 -DNDEBUG -fwrapv -g0' LDFLAGS=-s \
    CUDA_VISIBLE_DEVICES='' MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(env -u OMP_NUM_THREADS nproc)} \
    "$py" -m pip wheel -v --disable-pip-version-check --no-cache-dir --no-deps --no-build-isolation \
    --no-binary mmcv,xtcocotools -w "$part" "mmcv==$mmcv" "xtcocotools==$xtcocotools" 2>&1 |
    tee -a "$log" | awk 'match($0, /\[[0-9]+\/[0-9]+\]/) {printf "\r    mmcv %s ", substr($0, RSTART, RLENGTH); fflush()} END {print ""}' ||
    explain 'the compiler stopped' 'read the lines below; with little memory set MAX_JOBS=1'
  mv "$part"/*.whl "$house/" # appears whole or not at all
fi
wheels | xargs "$py" -m uv pip install -q --python "$py" --no-deps >"$log" 2>&1 || explain 'the compiled wheels could not be installed' "delete $house and run again"

step='installing this package'
run "$py" -m uv pip install -q --python "$py" --no-deps --no-build-isolation -e . || explain 'setup.py failed' 'read the lines below'
# mim finds an editable package by its egg-info, which the install above does not leave.
"$py" -W ignore setup.py -q egg_info >"$log" 2>&1 || explain 'setup.py failed' 'read the lines below'
"$py" -W ignore -c 'import mmcv.ops, xtcocotools.mask, mmdet.apis, mmpose.apis' >"$log" 2>&1 ||
  fail 'the installed packages do not work together' "delete $house and run again"
echo "$stamp" >"$venv/stamp"
rm -f "$log"
say 'environment ready'
