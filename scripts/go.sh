# Sourced by scripts/real-parts: builds programs by Go. The modules lie in the cache folder.

# with_go <words>…: run Go with the cache folder as its own. A module may need a newer Go than is installed
# (Thanos 0.42.5 needs 1.26.10): Go then fetches that from the module proxy, unless GOTOOLCHAIN is set.
with_go() {
    command -v go >/dev/null || die "Go, which builds $name, is not installed: install Go 1.26 or later, $cure"
    GOPATH=$CACHE/go GOFLAGS=-modcacherw GOWORK=off GOTOOLCHAIN=${GOTOOLCHAIN:-auto} go "$@"
}

# from_go <module@version> <package, PATH.NAME=VALUE or -FLAG>…: build the programs of the line in order, as
# packages of a module of their own which requires that one: `go install` refuses a module that replaces
# others. What it replaces by another module is replaced here too, and what Kubernetes replaces by its
# folder staging/ by the module of the same release. Folders of other modules are ignored.
from_go() {
    local module=${1%@*} release=${1#*@} word packages=() flags=() stamps="-s -w" programs log=$CACHE/go/log made
    local -a names
    programs=$(awk -v name="$name" -v version="$version" '/^[^#]/ && index($1 ",", name ",") == 1 && $2 == version { print $1; exit }' scripts/versions)
    IFS=, read -r -a names <<<"$programs"
    for word in "${@:2}"; do
        case $word in
        -*) flags+=("$word") ;;
        *=*) stamps+=" -X $word" ;;
        .) packages+=("$module") ;;
        *) packages+=("$module/$word") ;;
        esac
    done
    mkdir -p "$CACHE/go"
    made=$(mktemp -d "$CACHE/go/build.XXXXXX")
    own_module "$module" "$release" >"$made/go.mod"
    for word in "${!packages[@]}"; do
        say "building ${names[$word]} $release by Go once: one to ten minutes on two cores; the log is $log"
        (cd "$made" && with_go build -v -mod=mod -trimpath -buildvcs=false "${flags[@]}" -ldflags "$stamps" \
            -o "$new/bin/${names[$word]}" "${packages[$word]}" 2>&1) | tee "$log" | show_progress "${names[$word]}" ||
            { tail -n 30 "$log" >&2 && rm -rf "$made" && die "$name could not be built, see above: correct that and run this again, $cure"; }
    done
    rm -rf "$made"
}

# own_module <module> <version>: print a go.mod.
own_module() {
    local file
    file=$(download "$1" "$2" GoMod)
    printf 'module parts\n\n'
    grep -E '^(go|godebug) ' "$file"
    printf 'require %s %s\n' "$1" "$2"
    sed -nE -e 's#^\s*(replace\s+)?(\S+( v\S+)?) => (\S+ v\S+).*#replace \2 => \4#p' \
        -e "s#^\s*(k8s.io/[a-z-]+) => \./staging/src/.*#replace \1 => \1 v0.${2#v1.}#p" "$file"
}

# download <module> <version> <field>: fetch the module, and print a path (GoMod, Dir).
download() {
    local answer
    answer=$(cd "$CACHE/go" && with_go mod download -json "$1@$2") ||
        die "Go could not fetch $1 $2 (${answer//$'\n'/ }): it needs the network or GOPROXY, $cure"
    sed -nE "s/^\s*\"$3\": \"(.*)\",?/\1/p" <<<"$answer"
}

# from_go_folder <module@version> <folder of it>: copy it.
from_go_folder() {
    local made
    mkdir -p "$CACHE/go"
    made=$(download "${1%@*}" "${1#*@}" Dir)
    cp -r "$made/$2" "$new/$name"
}
