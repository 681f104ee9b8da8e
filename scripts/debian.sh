# Sourced: unpacks packages of the machine's Debian without installing them. apt uses a private state,
# made from the machine's own sources (and their deb-src), so any user can run it and the system does
# not change.
APT=$CACHE/apt

# Write the private state and read the package lists into it, once for each script.
prepare_apt() {
    [ -z "${apt_is_ready:-}" ] || return 0
    command -v apt-get dpkg >/dev/null || die "this system has no apt-get or dpkg (it is not Debian); $1"
    mkdir -p "$APT"/{lists,archives}/partial "$APT/sources.list.d"
    private_sources
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
    say "reading Debian's package lists (about 20 MB)"
    private_apt update || say "some lists could not be read; continuing with the others"
    apt_is_ready=yes
}

# Copy the machine's sources, in both their formats, with deb-src added.
private_sources() {
    local SOURCES PARTS file name
    eval "$(apt-config shell SOURCES Dir::Etc::SourceList/f PARTS Dir::Etc::SourceParts/d)"
    rm -f "$APT"/sources.list.d/*
    for file in "$SOURCES" "$PARTS"/*.list "$PARTS"/*.sources; do
        [ -r "$file" ] || continue
        name=${file##*/}
        sed -E '/^deb-src\s/d; /^deb\s/{p; s/^deb/deb-src/}; s/^Types:.*/Types: deb deb-src/I' \
            "$file" >"$APT/sources.list.d/${name/#sources.list/sources.list.list}"
    done
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
        dpkg -x "$package" "$folder"
    done
    rm -rf "$APT/debs"
}
