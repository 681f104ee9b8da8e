# Sourced by the other scripts: changes to the checkout's root, checks the machine, and sets the folders
# for downloads and of the virtual environment, which scripts/setup makes.
unset CDPATH # with it, cd prints the folder, or changes to another one
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/prometheus-elector
VENV=${VENV:-.venv}

# Python stores what it compiles, also where the environment says otherwise: the tests start it thousands
# of times.
unset PYTHONDONTWRITEBYTECODE

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    say "$@"
    exit 1
}

# asks_help <arguments>…: succeed if -h or --help is one of them, so that no program is built to answer.
asks_help() { case " $* " in *" -h "* | *" --help "*) ;; *) return 1 ;; esac }

[ "$(uname -s)" = Linux ] || die "prometheus-elector runs on Linux only; this system is $(uname -s)"

# Print the command of $PYTHON, or else of the first Python that is new enough.
find_python() {
    local python
    for python in ${PYTHON:-python3 python3.11 python3.12 python3.13 python3.14}; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    [ -z "${PYTHON:-}" ] || die "PYTHON is $PYTHON, which is no Python 3.11 or later: correct or unset it"
    die "no Python 3.11 or later found (python3: $(python3 --version 2>/dev/null || echo none)): install one, or set PYTHON=/path/to/python3.11"
}

# Hold the lock file $1 until this script ends, so that two runs of it follow one another. Opening it a
# second time would let go of it.
held_lock=
hold_lock() {
    [ "$held_lock" != "$1" ] || return 0
    held_lock=$1
    exec 9>>"$1"
    flock --nonblock 9 || { say "waiting for another run of ${0##*/} to end" && flock 9; }
}

# show_progress <program>: read what Go prints with -v, one line for each package, and say how many.
show_progress() {
    local packages=0
    while read -r _; do
        ((++packages % 100)) || say "compiling $1: $packages packages so far"
    done
}
