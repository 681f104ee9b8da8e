#!/usr/bin/env bash
# With SOURCE_DATE_EPOCH setuptools builds the same wheel twice, and another sdist each time.
#
# setuptools 84.2.1, CPython (seen with 3.11.7).
# The variable asks for reproducible files. A wheel's files get its time; an sdist's have the times of
# the checkout, and its gzip header has the time of the build. Who publishes checksums of both has to
# write the sdist again.
. "$(dirname "$0")/lib.sh"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install setuptools==84.2.1

# built <name>: build both from a fresh copy of a package, in a folder of this name.
built() {
    mkdir -p "$folder/$1/tree/demo"
    printf '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n[project]\nname = "demo"\nversion = "1"\n' >"$folder/$1/tree/pyproject.toml"
    echo 'VALUE = 1' >"$folder/$1/tree/demo/__init__.py"
    (cd "$folder/$1/tree" && SOURCE_DATE_EPOCH=1700000000 "$folder/venv/bin/python" -c '
from setuptools import build_meta
build_meta.build_sdist("..")
build_meta.build_wheel("..")' >"$folder/$1/log" 2>&1) || { cat "$folder/$1/log" && exit 1; }
}

# compared <pattern>: print whether the files of both builds are the same.
compared() {
    cmp -s "$folder"/first/$1 "$folder"/second/$1 && say same || say different
}

built first
sleep 2
built second
expect "the wheels are" "$(compared 'demo-1-*.whl')" same
expect "the sdists are" "$(compared 'demo-1.tar.gz')" different
expect "the time in the sdist's gzip header is the variable's" \
    "$(python3 -c 'import struct, sys; print(struct.unpack("<I", open(sys.argv[1], "rb").read(8)[4:])[0] == 1700000000)' "$folder/first/demo-1.tar.gz")" False
