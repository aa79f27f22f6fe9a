#!/usr/bin/env bash
# One command on a fresh machine: sets up .venv, then starts Temporal with its Web UI, Redis, a worker and the API,
# runs a demo and stays up until Ctrl-C. Options are those of `cody dev`; see --help.
set -euo pipefail

# Runs may work where this was called, and in the checkout.
called_in="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")"
if [ -z "${CODY_WORKSPACE_ROOTS:-}" ]; then
    CODY_WORKSPACE_ROOTS="$PWD"
    [ "$called_in" = "$PWD" ] || CODY_WORKSPACE_ROOTS="$called_in:$PWD"
    export CODY_WORKSPACE_ROOTS
fi

bash scripts/setup.sh
exec .venv/bin/cody dev "$@"
