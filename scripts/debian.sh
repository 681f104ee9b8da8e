# Sourced: unpacks Debian's packages without installing them. Each suite has an apt with a private state,
# so any user can run it, the system does not change, and suites do not mix. The suite `own` is the
# machine's Debian, with the machine's own sources; the others come from the same mirror.
declare -A suites_ready=()

# use_suite <suite> <cure>: make it the suite of private_apt; read its package lists once for each script.
use_suite() {
    local suite=$1
    command -v apt-get dpkg >/dev/null || die "this system has no apt-get or dpkg (it is not Debian); $2"
    [ "$suite" != "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" ] || suite=own
    APT=$CACHE/apt
    [ "$suite" = own ] || APT=$CACHE/apt-$suite
    [ -z "${suites_ready[$suite]:-}" ] || return 0
    mkdir -p "$APT"/{lists,archives}/partial "$APT/sources.list.d"
    rm -f "$APT"/sources.list.d/*
    if [ "$suite" = own ]; then own_sources; else sources_of "$suite"; fi
    cat >"$APT/apt.conf" <<CONF
#clear APT::Update;
APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Dir::State "$APT";
Dir::State::status "/dev/null";
Dir::Cache "$APT";
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$APT/sources.list.d";
CONF
    say "reading the package lists of Debian $1 (about 20 MB)"
    private_apt update || say "some lists could not be read; continuing with the others"
    suites_ready[$suite]=yes
}

# Copy the machine's sources, in both their formats, with deb-src added.
own_sources() {
    local SOURCES PARTS file name
    eval "$(apt-config shell SOURCES Dir::Etc::SourceList/f PARTS Dir::Etc::SourceParts/d)"
    for file in "$SOURCES" "$PARTS"/*.list "$PARTS"/*.sources; do
        [ -r "$file" ] || continue
        name=${file##*/}
        sed -E '/^deb-src\s/d; /^deb\s/{p; s/^deb/deb-src/}; s/^Types:.*/Types: deb deb-src/I' \
            "$file" >"$APT/sources.list.d/${name/#sources.list/sources.list.list}"
    done
}

# Print the mirror that the machine has its own packages from.
own_mirror() {
    local own mirror
    own=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
        awk -v own="$own" '$1 == own && !found { found = $2 } END { print found }')
    [ -n "$mirror" ] || die "apt names no mirror of Debian $own: its sources in /etc/apt need one"
    echo "$mirror"
}

# Name the suite on the mirror of the machine's own; of bookworm a source package is needed too.
sources_of() {
    local mirror types=deb
    mirror=$(own_mirror) || exit 1
    [ "$1" != bookworm ] || types="deb deb-src"
    cat >"$APT/sources.list.d/debian.sources" <<SOURCES
Types: $types
URIs: $mirror
Suites: $1
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
}

private_apt() { apt-get -qq -c "$APT/apt.conf" "$@" >&2; }

# unpack_packages <folder> <package>…: fetch the packages and unpack them into the folder.
unpack_packages() {
    local folder=$1 package
    shift
    rm -rf "$APT/debs" && mkdir -p "$APT/debs" "$folder"
    say "fetching Debian's $*"
    (cd "$APT/debs" && private_apt download "$@") || return 1
    for package in "$APT"/debs/*.deb; do
        dpkg -x "$package" "$folder" || return 1
    done
    rm -rf "$APT/debs"
}

# check_version <suite> <package>: die if the suite's package is of another version than the line says.
check_version() {
    local candidate
    [ "$version" != - ] || return 0
    candidate=$(apt-cache -c "$APT/apt.conf" show --no-all-versions "$2" 2>/dev/null | sed -nE 's/^Version: ([0-9]+:)?//p' || true)
    [[ $candidate =~ ^${version//./\\.}[.+~-] ]] ||
        die "Debian $1 has ${candidate:-no} ${candidate:+as version of }$2, and not $version: change the line of $name in scripts/versions to what a suite has, $cure"
}

# from_debian <suite> <package>…: unpack the packages alone.
from_debian() {
    use_suite "$1" "install $name, $cure"
    check_version "$1" "$2"
    unpack_packages "$new" "${@:2}" || die "Debian's package $2 could not be fetched, see above: it needs the network, $cure"
}

# from_debian_libs <suite> <package or pattern>…: with the libraries and the libc of the suite.
from_debian_libs() {
    local word asked=() kept='lib.*|zlib1g'
    use_suite "$1" "install $name, $cure"
    check_version "$1" "$2"
    for word in "${@:2}"; do
        [[ $word == *\** ]] || asked+=("$word")
        kept+="|${word//\*/.*}"
    done
    # shellcheck disable=SC2046 # one word each
    unpack_packages "$new" $(needed "${asked[@]}" | grep -xE "$kept" | grep -vE 'gconv|libsystemd-shared|libperl') ||
        die "Debian's package $2 could not be fetched, see above: it needs the network, $cure"
    link_to_own_libraries
}

# Print the packages that are needed on an empty system.
needed() {
    apt-get -c "$APT/apt.conf" -s install --no-install-recommends "$@" | sed -nE 's/^Inst ([^ ]+) .*/\1/p'
}

# Have the programs of $new use the libraries beside them, and no others than those of the suite. It is
# written into the programs: a variable would reach the programs that they start, which use the system's.
link_to_own_libraries() {
    local libraries loader file machine
    machine=$(uname -m)-linux-gnu
    # As on a Debian of today: all below usr, also what an older package has beside it.
    for file in "$new"/lib "$new"/lib64 "$new"/bin "$new"/sbin; do
        [ ! -d "$file" ] || [ -L "$file" ] ||
            { mkdir -p "$new/usr/${file##*/}" && cp -a "$file/." "$new/usr/${file##*/}/" && rm -rf "$file"; }
        [ ! -d "$new/usr/${file##*/}" ] || ln -sfn "usr/${file##*/}" "$file"
    done
    libraries=$folder/usr/lib/$machine
    loader=$(cd "$new" && ls -d usr/lib/"$machine"/ld-linux-*.so.* 2>/dev/null | head -n 1 || true)
    [ -n "$loader" ] || die "$new has no dynamic loader: $name cannot be brought with its libraries, $cure"
    find_patchelf
    find "$new" -type f -perm /111 ! -name '*.so*' | while read -r file; do
        head -c 4 "$file" | grep -q ELF || continue
        "$patchelf" --print-interpreter "$file" >/dev/null 2>&1 || continue
        "$patchelf" --set-interpreter "$folder/$loader" --force-rpath --set-rpath "$libraries" "$file"
    done
}

# Set $patchelf, which changes where a program finds its libraries; from the machine's own Debian.
find_patchelf() {
    local APT=$APT
    patchelf=$(command -v patchelf || true)
    [ -z "$patchelf" ] || return 0
    patchelf=$CACHE/patchelf/usr/bin/patchelf
    [ ! -x "$patchelf" ] || return 0
    use_suite own "install patchelf, $cure"
    unpack_packages "$CACHE/patchelf" patchelf || die "Debian's patchelf could not be fetched: install patchelf, $cure"
}
