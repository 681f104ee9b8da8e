# Sourced by the scripts beside it: the checkout as working folder, the checks
# of the machine, and where downloads are kept.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/prometheus-elector

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$@"
    exit 1
}

[ "$(uname -s)" = Linux ] || die "prometheus-elector runs on Linux only, this is $(uname -s)."

# Print the command of the first Python that is new enough; $PYTHON goes first.
find_python() {
    local python
    for python in ${PYTHON:-} python3 python3.11 python3.12 python3.13 python3.14; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    die "no Python 3.11 or later found (python3: $(python3 --version 2>/dev/null || echo none)): install one, or name it: PYTHON=/path/to/python3.11"
}

# Hold the lock file $1 until this script ends, so that two of a kind run one after the other.
hold_lock() {
    exec 9>>"$1"
    flock --nonblock 9 || { say "waiting for another ${0##*/} to end" && flock 9; }
}
