#!/usr/bin/env bash
# Install a wheel into an empty environment outside the repository, with NumPy and SciPy alone, and try the core there.
set -euo pipefail
wheel=$(realpath "$1")
script=$(realpath "$(dirname "$0")/try_core.py")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check "$wheel"
cd "$folder"
PATH="$folder/env/bin:$PATH" "$folder/env/bin/python" "$script"
