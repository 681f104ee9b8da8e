// Parses documents with Prometheus' YAML library, and computes their expected merge.
//
// Each line of the standard input is a JSON list of documents in base64: the follower's, the
// leader's, and any number of renderings. Each line of the output is a JSON list: the follower's
// values, those of both merged, and those of each rendering. A value is written so that equal texts
// are equal values: every scalar as the text that a string field gets. "!" and a reason stand for a
// document that cannot be read.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"go.yaml.in/yaml/v2"
)

const (
	null = iota
	scalar
	list
	mapping
)

// A node is a value of any kind, as typed fields read it.
type node struct {
	kind   int
	text   string
	items  []node
	fields map[string]node
}

// UnmarshalYAML reads a mapping, else a list, else a text; it is not called for a null.
func (n *node) UnmarshalYAML(read func(interface{}) error) error {
	fields := map[string]node{}
	if read(&fields) == nil {
		*n = node{kind: mapping, fields: fields}
		return nil
	}
	items := []node{}
	if read(&items) == nil {
		*n = node{kind: list, items: items}
		return nil
	}
	text := ""
	err := read(&text)
	*n = node{kind: scalar, text: text}
	return err
}

func (n node) write(to *strings.Builder) {
	switch n.kind {
	case null:
		to.WriteString("~")
	case scalar:
		fmt.Fprintf(to, "%q", n.text)
	case list:
		to.WriteString("[")
		for _, item := range n.items {
			item.write(to)
			to.WriteString(",")
		}
		to.WriteString("]")
	case mapping:
		names := make([]string, 0, len(n.fields))
		for name := range n.fields {
			names = append(names, name)
		}
		sort.Strings(names)
		to.WriteString("{")
		for _, name := range names {
			fmt.Fprintf(to, "%q:", name)
			n.fields[name].write(to)
			to.WriteString(",")
		}
		to.WriteString("}")
	}
}

// merged returns the leader's value; false if a list must be appended to a value that is no list.
func merged(old node, isThere bool, added node) (node, bool) {
	switch {
	case isThere && old.kind == mapping && added.kind == mapping:
		fields := map[string]node{}
		for name, value := range old.fields {
			fields[name] = value
		}
		for name, value := range added.fields {
			before, isThere := old.fields[name]
			after, isRight := merged(before, isThere, value)
			if !isRight {
				return node{}, false
			}
			fields[name] = after
		}
		return node{kind: mapping, fields: fields}, true
	case added.kind == list && isThere && old.kind == list:
		return node{kind: list, items: append(append([]node{}, old.items...), added.items...)}, true
	case added.kind == list && isThere && old.kind != null:
		return node{}, false
	}
	return added, true
}

// read returns a document's value, and its text.
func read(document []byte) (n node, shown string) {
	defer func() {
		if reason := recover(); reason != nil {
			shown = fmt.Sprint("!panic: ", reason)
		}
	}()
	if err := yaml.Unmarshal(document, &n); err != nil {
		return n, "!" + err.Error()
	}
	return n, show(n)
}

func show(n node) string {
	to := &strings.Builder{}
	n.write(to)
	return to.String()
}

func answer(documents []string) []string {
	nodes, shown := make([]node, len(documents)), make([]string, len(documents))
	for number, text := range documents {
		document, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			panic(err)
		}
		nodes[number], shown[number] = read(document)
	}
	if strings.HasPrefix(shown[0], "!") {
		shown[1] = shown[0]
	} else if !strings.HasPrefix(shown[1], "!") && nodes[1].kind != null {
		both, isRight := merged(nodes[0], true, nodes[1])
		shown[1] = show(both)
		if !isRight {
			shown[1] = "!not a list"
		}
	} else if nodes[1].kind == null && !strings.HasPrefix(shown[1], "!") {
		shown[1] = shown[0]
	}
	return shown
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var documents []string
		if err := json.Unmarshal(line, &documents); err != nil {
			panic(err)
		}
		written, _ := json.Marshal(answer(documents))
		fmt.Println(string(written))
	}
}
