#!/usr/bin/env bash
# The newest Celery and the newest client of Kubernetes cannot be installed together.
#
# celery 5.7.0 and kubernetes 37.0.2, of PyPI. Neither needs the other, and each installs alone. But
# Celery requires one release of python-dateutil exactly (2.9.0.post0), and kubernetes a newer one
# (3.0.0 or later), so what uses both, as a worker on Kubernetes does, has to stay with celery 5.6.3.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
pip() { "$folder/venv/bin/pip" --disable-pip-version-check --quiet install --dry-run "$@" >"$folder/log" 2>&1; }

# installs <requirement>…: say whether pip finds a set of releases.
installs() { if pip "$@"; then echo yes; else grep -o ResolutionImpossible "$folder/log" | head -n 1; fi; }

say "python-dateutil, as celery 5.7.0 and kubernetes 37.0.2 require it:"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet download --no-deps --no-binary :none: \
    --dest "$folder/wheels" celery==5.7.0 kubernetes==37.0.2
for wheel in "$folder"/wheels/*.whl; do
    unzip -p "$wheel" '*/METADATA' | grep -i '^Requires-Dist: python-dateutil' | sort -u
done
expect "celery 5.7.0 alone can be installed" "$(installs celery==5.7.0)" yes
expect "kubernetes 37.0.2 alone" "$(installs kubernetes==37.0.2)" yes
expect "celery 5.6.3 with kubernetes 37.0.2" "$(installs celery==5.6.3 kubernetes==37.0.2)" yes
expect "celery 5.7.0 with kubernetes 37.0.2" "$(installs celery==5.7.0 kubernetes==37.0.2)" ResolutionImpossible
