# Sourced: the tools of scripts/requirements.txt, in a virtual environment of their own, since no test needs
# them. The first time takes half a minute.
TOOLS=.venv-tools

make_tools() {
    local python stamp
    stamp=$(sha256sum scripts/requirements.txt)
    [ "$stamp" != "$(cat "$TOOLS/stamp" 2>/dev/null)" ] || return 0
    python=$(find_python)
    say "making $TOOLS with the packages of scripts/requirements.txt: half a minute"
    "$python" -m venv --clear "$TOOLS"
    "$TOOLS/bin/python" -m pip --quiet --disable-pip-version-check install \
        --no-deps --require-hashes -r scripts/requirements.txt
    echo "$stamp" >"$TOOLS/stamp"
}

# tool <script> <its arguments>…: run one of scripts/ with these packages.
tool() { "$TOOLS/bin/python" "scripts/$1" "${@:2}"; }
