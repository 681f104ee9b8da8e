#!/usr/bin/env bash
# A Lease that nobody writes cannot be watched from the version that a GET of it gives: 410, again and again.
#
# kube-apiserver 1.37.2 (Go module k8s.io/kubernetes v1.37.2, etcd 3.7.0); 1.20.2 does the same (tried by hand).
# To a watch that ends by 410, Kubernetes' documents have a client get or list anew, and watch from the version
# that this gives. A list gives the version that the store has reached, and that serves. A GET gives the version of
# the object's last change, and an API server that was started after it refuses that one as too old, though nothing
# has changed since: get, watch and 410 follow each other without an end, until somebody writes the object. Whoever
# may get one Lease by its name, but not list, comes to this first. A watch that names no version begins with the
# object as ADDED. Reported in 2015, for Endpoints: https://github.com/kubernetes/kubernetes/issues/6489.
. "$(dirname "$0")/lib.sh"
build_kube_apiserver
port=$(free_port)
start_etcd
start_kube_apiserver "$port"

leases=/apis/coordination.k8s.io/v1/namespaces/default/leases
# watched [version]: watch the Lease for two seconds at most; print the status of the answer and the events.
watched() {
    request GET "$leases?watch=1&timeoutSeconds=2&fieldSelector=metadata.name=writer${1:+&resourceVersion=$1}"
    python3 -c '
import json, sys
for event in map(json.loads, open(sys.argv[1])):
    print("", event["type"], event["object"].get("code") or event["object"]["metadata"]["name"], end="")
' "$folder/answer"
}

expect "a Lease is made" "$(request POST $leases '{"metadata": {"name": "writer"}}')" 201
made=$(of_answer '["metadata"]["resourceVersion"]')
for name in b c; do
    expect "another is made" "$(request POST $leases "{\"metadata\": {\"name\": \"$name\"}}")" 201
done
expect "a watch of the first from its version" "$(watched "$made")" "200"

say "the API server is restarted"
kill -KILL "${pids[-1]}"
wait "${pids[-1]}" 2>/dev/null || true
start_kube_apiserver "$port"
for _ in 1 2 3; do
    expect "a GET of the Lease" "$(request GET $leases/writer)" 200
    version=$(of_answer '["metadata"]["resourceVersion"]')
    expect "its version is that of before" "$([ "$version" = "$made" ] && echo yes)" yes
    expect "a watch from there" "$(watched "$version")" "200 ERROR 410"
done
expect "a list of this Lease alone" "$(request GET "$leases?fieldSelector=metadata.name=writer")" 200
expect "the version of the list is another" \
    "$([ "$(of_answer '["metadata"]["resourceVersion"]')" = "$made" ] || echo yes)" yes
expect "a watch from there" "$(watched "$(of_answer '["metadata"]["resourceVersion"]')")" 200
expect "a watch from no version" "$(watched)" "200 ADDED writer"
