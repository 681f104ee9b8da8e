# Sourced by scripts/real-parts: how the programs are brought that need more than packages or Go. Each
# makes the folder $new, which becomes $folder.

# write_run: make the script of stdin the start script of the part.
write_run() {
    cat >"$new/run"
    chmod +x "$new/run"
}

# kube-apiserver 1.20. A cache from before there were versions has it under another name.
recipe_kube_apiserver_of_debian() {
    if [ -x "$CACHE/kube-apiserver/kube-apiserver" ]; then
        ln "$CACHE/kube-apiserver/kube-apiserver" "$new/"
    else
        scripts/build-kube-apiserver "$new"
    fi
}

# recipe_python <suite>: an interpreter that makes virtual environments.
recipe_python() {
    from_debian_libs "$1" "python$version" "python$version-venv" libstdc++6 'python3*'
    # ensurepip takes pip from there.
    sed -i "s|'/usr/share/python-wheels|'$folder/usr/share/python-wheels|" \
        "$new/usr/lib/python$version"/_sysconfigdata_*.py
    sed -i "s|\"/usr/share/python-wheels|\"$folder/usr/share/python-wheels|" \
        "$new/usr/lib/python$version"/_sysconfig_vars_*.json 2>/dev/null || true # 3.14 has it
}

# The headless browser, its libraries, a font, and a start script; without packages that every Debian has
# and without those for screens.
recipe_chromium() {
    local packages
    cure="install chromium, $cure"
    use_suite own "$cure"
    packages=$(needed chromium-headless-shell |
        grep -vE '^(libc6|gcc-.*-base|debconf|lsb-base|sysvinit-utils|xdg-utils|x11-.*|libllvm.*|libz3.*|libgl1.*|libglx.*|mesa-.*|libdrm-.+)$')
    [ -n "$packages" ] || die "this Debian has no chromium-headless-shell: $cure"
    # shellcheck disable=SC2086 # one word each
    unpack_packages "$new" $packages || die "Debian's chromium could not be fetched: $cure"
    cat >"$new/fonts.conf" <<FONTS
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>$folder/usr/share/fonts</dir><cachedir prefix="xdg">fontconfig</cachedir>
<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias></fontconfig>
FONTS
    write_run <<RUN
#!/bin/sh
libraries=$folder/usr/lib/$(uname -m)-linux-gnu
LD_LIBRARY_PATH=\$libraries:\$libraries/pulseaudio:\$libraries/nss:$folder/lib/$(uname -m)-linux-gnu \\
    FONTCONFIG_FILE=$folder/fonts.conf exec $folder/usr/lib/chromium/chromium-headless-shell "\$@"
RUN
}

# recipe_rabbitmq <suite>: RabbitMQ and its Erlang, with a start script that sets the paths of both.
recipe_rabbitmq() {
    local erlang=$folder/usr/lib/erlang
    from_debian_libs "$1" rabbitmq-server 'erlang-*'
    sed -i "s|ROOTDIR=/usr/lib/erlang\$|ROOTDIR=$erlang|" "$new/usr/lib/erlang/bin/erl"
    write_run <<RUN
#!/bin/sh
home=\$(echo $folder/usr/lib/rabbitmq/lib/rabbitmq_server-*)
export PATH=\$home/sbin:$erlang/bin:\$PATH RABBITMQ_HOME=\$home
exec "\$@"
RUN
}

# Promgen in a virtual environment, with a start script for its programs: their own first lines name the
# folder that they were made in. The published package lacks a file that it reads when it is imported.
recipe_promgen() {
    local python
    python=$(find_python)
    say "installing Promgen in a virtual environment once: half a minute"
    "$python" -m venv "$new" >&2 &&
        "$new/bin/python" -m pip --quiet --disable-pip-version-check install \
            --no-deps --require-hashes -r tests/promgen-requirements.txt >&2 ||
        die "Promgen could not be installed, see above: pip needs access to its package index"
    "$new/bin/python" - <<MAKE
import sysconfig, pathlib
folder = pathlib.Path(sysconfig.get_path("purelib")) / "promgen/tests/examples"
folder.mkdir(parents=True, exist_ok=True)
(folder / "promgen.yml").write_text("{}\n")
MAKE
    write_run <<RUN
#!/bin/sh
program=\$1
shift
exec $folder/bin/python $folder/bin/"\$program" "\$@"
RUN
}
