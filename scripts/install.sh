#!/usr/bin/env bash
# Make the virtual environment: scripts/install.sh PYTHON VENV, run by `make` from the root of the tree.
#
# VENV/.installed is written last and holds the tree's path, so it is there only where all went well and the tree was not
# moved or copied since. VENV/.installing marks one that was broken off: it is made anew. A VENV with neither was made by
# someone else and is left alone.
set -euo pipefail

python=$1
venv=$2
cpu_torch_index=https://download.pytorch.org/whl/cpu
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1

stop() {
    echo "$@" >&2
    exit 1
}

pip() {
    "$venv/bin/python" -m pip install --quiet --no-deps "$@"
}

command -v "$python" >/dev/null ||
    stop "There is no $python here. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3.12"
found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))') ||
    stop "$python is Python $found; this project needs 3.11 or newer. Name one: make PYTHON=/path/to/python3.12"

if [ -e "$venv" ]; then
    if [ -e "$venv/.installing" ]; then
        echo "$venv was not finished last time: starting it afresh"
        rm -rf "$venv"
    elif [ ! -e "$venv/.installed" ]; then
        stop "$venv was not made by make, so it is left alone. Remove it, or choose another: make VENV=.venv-make"
    elif [ "$(cat "$venv/.installed")" != "$(pwd -P)" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
        echo "$venv belongs to another place or its Python is gone: starting it afresh"
        rm -rf "$venv"
    else
        mv "$venv/.installed" "$venv/.installing"
    fi
fi

if [ ! -e "$venv" ]; then
    mkdir -p "$venv"
    touch "$venv/.installing"
    "$python" -m venv "$venv" ||
        stop "$python can't make a virtual environment; on Debian and Ubuntu: apt install python3-venv"
fi

echo "installing into $venv (about 3 minutes the first time)"
# torch alone first: its build for CPUs is on some indexes, else on PyTorch's own, which should not serve anything else.
grep '^torch==' constraints.txt >"$venv/torch.txt"
if ! pip -r "$venv/torch.txt" 2>"$venv/torch.log"; then
    if [ "$(uname -s)" != Linux ] || ! grep -q 'No matching distribution' "$venv/torch.log"; then
        stop "$(cat "$venv/torch.log")"
    fi
    echo "no CPU build of torch on the usual index: taking it from $cpu_torch_index"
    pip --index-url "$cpu_torch_index" -r "$venv/torch.txt"
fi
pip -r constraints.txt
pip --no-build-isolation --editable .
rm "$venv/torch.txt" "$venv/torch.log"

printf "%s" "$(pwd -P)" >"$venv/.installing"
mv "$venv/.installing" "$venv/.installed"
