#!/usr/bin/env bash
# An update of a Lease that has been deleted makes it anew, though it names the version that it was made from.
#
# kube-apiserver 1.37.2 (Go module k8s.io/kubernetes v1.37.2, etcd 3.7.0); 1.20.2 does the same (tried by hand).
# Leader election relies on resourceVersion: an update that comes late is refused by 409, for the Lease is
# another by then. But if it has been deleted meanwhile, as by `kubectl delete lease` to have a leader elected
# anew, the version is not looked at: 201, and whoever was late holds the lease. (Without the right to create,
# 403: such an update is one.) A ConfigMap answers 404. Only a uid in the update's metadata is compared, and
# has it refused by 409. client-go sends back the object that it has read, uid and all; who writes the body by
# hand, with the name and the version, has to think of it.
. "$(dirname "$0")/lib.sh"
command -v go >/dev/null || { say "this needs Go 1.26" && exit 1; }
say "building kube-apiserver 1.37.2 and etcd 3.7.0 from their Go modules: ten minutes on two cores the first time"
export GOFLAGS=-mod=mod
module=$(cd "$folder" && go mod download -json k8s.io/kubernetes@v1.37.2 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["GoMod"])')
mkdir "$folder/build"
(
    cd "$folder/build"
    printf 'module parts\n\nrequire k8s.io/kubernetes v1.37.2\nrequire go.etcd.io/etcd/server/v3 v3.7.0\n' >go.mod
    grep -E '^(go|godebug) ' "$module" >>go.mod
    # Kubernetes replaces its own modules by folders, which its module does not have.
    sed -nE 's#^\s*(replace )?(k8s.io/\S+) => \./staging/src/.*#replace \2 => \2 v0.37.2#p' "$module" >>go.mod
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$folder/bin/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o "$folder/bin/etcd" go.etcd.io/etcd/server/v3
) 2>"$folder/build.log" || { cat "$folder/build.log" && exit 1; }

etcd=http://127.0.0.1:$(free_port) peer=http://127.0.0.1:$(free_port)
"$folder/bin/etcd" --data-dir "$folder/etcd" --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" \
    >"$folder/etcd.log" 2>&1 &
pids+=("$!")
await "$etcd/health"

port=$(free_port)
echo 'secret,admin,admin,"system:masters"' >"$folder/tokens.csv"
openssl genrsa -out "$folder/accounts.key" 2048 2>/dev/null
"$folder/bin/kube-apiserver" --etcd-servers "$etcd" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
    --secure-port "$port" --cert-dir "$folder/certificates" --service-cluster-ip-range 10.0.0.0/24 \
    --token-auth-file "$folder/tokens.csv" --authorization-mode RBAC --endpoint-reconciler-type none \
    --service-account-issuer "https://127.0.0.1:$port" --service-account-key-file "$folder/accounts.key" \
    --service-account-signing-key-file "$folder/accounts.key" >"$folder/log" 2>&1 &
pids+=("$!")

# request <method> <path> [body]: print the status of the answer, which is in $folder/answer.
request() {
    curl -s --cacert "$folder/certificates/apiserver.crt" -H 'Authorization: Bearer secret' \
        -o "$folder/answer" -w '%{http_code}' -X "$1" -H 'Content-Type: application/json' ${3:+--data "$3"} \
        "https://127.0.0.1:$port$2" || true
}
of_answer() { python3 -c "import json; print(json.load(open('$folder/answer'))$1)"; }

leases=/apis/coordination.k8s.io/v1/namespaces/default/leases
maps=/api/v1/namespaces/default/configmaps
# lease <holder> [fields of metadata]: print one.
lease() { printf '{"metadata": {"name": "writer"%s}, "spec": {"holderIdentity": "%s"}}' "${2:+, $2}" "$1"; }

for _ in $(seq 600); do
    [ "$(request GET /readyz) $(request GET /api/v1/namespaces/default)" != "200 200" ] || break
    sleep 0.2
done
expect "a Lease is made" "$(request POST $leases "$(lease a)")" 201
read_by_b="\"resourceVersion\": \"$(of_answer '["metadata"]["resourceVersion"]')\""
uid="\"uid\": \"$(of_answer '["metadata"]["uid"]')\""
expect "c updates it" "$(request PUT $leases/writer "$(lease c "$read_by_b")")" 200
expect "b updates it by the version of before" "$(request PUT $leases/writer "$(lease b "$read_by_b")")" 409

expect "it is deleted" "$(request DELETE $leases/writer)" 200
expect "b updates it by the version and the uid of before" \
    "$(request PUT $leases/writer "$(lease b "$read_by_b, $uid")")" 409
expect "b updates it by the version of before" "$(request PUT $leases/writer "$(lease b "$read_by_b")")" 201
expect "its holder is" "$(request GET $leases/writer >/dev/null && of_answer '["spec"]["holderIdentity"]')" b

expect "a ConfigMap is made" "$(request POST $maps '{"metadata": {"name": "writer"}}')" 201
read_by_b="\"resourceVersion\": \"$(of_answer '["metadata"]["resourceVersion"]')\""
expect "it is deleted" "$(request DELETE $maps/writer)" 200
expect "b updates it by the version of before" \
    "$(request PUT $maps/writer "{\"metadata\": {\"name\": \"writer\", $read_by_b}}")" 404
