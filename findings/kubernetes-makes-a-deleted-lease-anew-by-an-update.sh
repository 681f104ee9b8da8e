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
build_kube_apiserver
start_etcd
start_kube_apiserver "$(free_port)"

leases=/apis/coordination.k8s.io/v1/namespaces/default/leases
maps=/api/v1/namespaces/default/configmaps
# lease <holder> [fields of metadata]: print one.
lease() { printf '{"metadata": {"name": "writer"%s}, "spec": {"holderIdentity": "%s"}}' "${2:+, $2}" "$1"; }

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
