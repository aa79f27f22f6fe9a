#!/usr/bin/env bash
# Makes .venv with everything that Cody needs; does nothing, quickly, when nothing changed.
#
# With uv if it is on PATH, else with plain `python3 -m venv` and pip. Safe to run twice at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly VENV=.venv
readonly STAMP="$VENV/.cody-setup"
readonly PYTHONS=(python3 python3.13 python3.12 python3.11 python)

say() { printf 'setup: %s\n' "$*" >&2; }

# Where the checkout lies counts too: a virtual environment that was moved or copied does not work.
wanted() {
    {
        cat pyproject.toml constraints.txt scripts/setup.sh
        pwd -P
        "$VENV/bin/python" -c 'import sys; print(sys.version)'
    } | cksum
}

up_to_date() {
    [ -f "$STAMP" ] && [ -x "$VENV/bin/cody" ] && [ "$(cat "$STAMP")" = "$(wanted 2>/dev/null)" ]
}

# A name on PATH is not enough: a version manager's shim may stand there without a Python behind it.
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local name
    for name in "${PYTHONS[@]}"; do
        if new_enough "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

drop_unusable_venv() {
    if [ -e "$VENV" ] && ! new_enough "$VENV/bin/python"; then
        say "$VENV has no Python 3.11 or newer that runs; making it anew"
        rm -rf "$VENV"
    fi
}

with_uv() {
    say "installing with uv"
    [ -x "$VENV/bin/python" ] || uv venv --quiet --python "$(find_python || echo '>=3.11')" "$VENV"
    uv pip install --quiet --python "$VENV/bin/python" --constraint constraints.txt --editable '.[dev]'
}

make_venv() {
    local python
    if ! python="$(find_python)"; then
        say "no Python 3.11 or newer found (tried ${PYTHONS[*]}); install one, or uv, and try again"
        return 1
    fi
    say "making $VENV with $("$python" --version)"
    if ! "$python" -m venv "$VENV"; then
        say "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
        return 1
    fi
}

with_pip() {
    # An environment that uv made has no pip.
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        make_venv
    fi
    say "installing with pip (the first time takes a minute or two)"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
}

install() {
    if command -v uv >/dev/null 2>&1; then
        with_uv && return
        say "uv did not succeed; trying with pip"
    fi
    with_pip
}

main() {
    if up_to_date; then return; fi
    # The lock is this file itself, so that nothing is left behind and .venv may be deleted meanwhile.
    if command -v flock >/dev/null 2>&1; then
        exec 9<scripts/setup.sh
        if ! flock --nonblock 9; then
            say "waiting for another setup to finish"
            flock 9
        fi
        if up_to_date; then return; fi
    fi
    rm -f "$STAMP"
    drop_unusable_venv
    install
    wanted >"$STAMP"
    say "$VENV is ready"
}

main
