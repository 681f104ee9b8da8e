// Prints the schema of Prometheus' configuration, as the Prometheus that this is built with has it.
//
// One line for each field that holds a value: its place, a tab, and what Prometheus does with it.
// In a place, "[]" is an item of a list and "*" the value of any key. The words:
//
//	text    a text, which /api/v1/status/config shows
//	path    likewise, and a relative path is resolved against the configuration's folder
//	secret  a text that is shown as <secret>
//	url     a URL that is shown without its password, but with its parameters
//	unseen  a text that is not shown
//	value   anything else: a number, a duration, labels, a regular expression …
//
// Nothing of this is read from the source: each field in turn gets a value, the configuration is
// resolved (SetDirectory) and shown (String), and the value is looked for. A word ends with "?" if
// the field could not be shown alone. scripts/render-schema builds and runs this.
package main

import (
	"fmt"
	"net/url"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/install"
)

const (
	marker    = "marker"
	relative  = "relative/" + marker
	folder    = "/folder"
	password  = "password-of-a-url"
	parameter = "parameter-of-a-url"
)

var (
	urlType     = reflect.TypeOf(url.URL{})
	configsType = reflect.TypeOf(discovery.Configs{})
	found       = map[string]string{}
)

// A put sets a value at one place of a configuration, and all that is needed on the way.
type put func(root reflect.Value, leaf func(reflect.Value))

func main() {
	walk(reflect.TypeOf(config.Config{}), nil, func(root reflect.Value, leaf func(reflect.Value)) { leaf(root) })
	places := make([]string, 0, len(found))
	for place := range found {
		places = append(places, place)
	}
	sort.Strings(places)
	for _, place := range places {
		fmt.Printf("%s\t%s\n", place, found[place])
	}
}

// walk notes each field at and below a type.
func walk(t reflect.Type, place []string, at put) {
	switch {
	case isURL(t):
		note(place, shownURL(at))
	case t.Kind() == reflect.String:
		note(place, shownText(at))
	case t.Kind() == reflect.Pointer:
		walk(t.Elem(), place, func(root reflect.Value, leaf func(reflect.Value)) {
			at(root, func(v reflect.Value) {
				v.Set(reflect.New(t.Elem()))
				leaf(v.Elem())
			})
		})
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 && !holdsLabels(t):
		walk(t.Elem(), append(place[:len(place):len(place)], "[]"), func(root reflect.Value, leaf func(reflect.Value)) {
			at(root, func(v reflect.Value) {
				v.Set(reflect.MakeSlice(t, 1, 1))
				leaf(v.Index(0))
			})
		})
	case t.Kind() == reflect.Map:
		walk(t.Elem(), append(place[:len(place):len(place)], "*"), func(root reflect.Value, leaf func(reflect.Value)) {
			at(root, func(v reflect.Value) {
				v.Set(reflect.MakeMap(t))
				item := reflect.New(t.Elem()).Elem()
				leaf(item)
				v.SetMapIndex(reflect.ValueOf("key").Convert(t.Key()), item)
			})
		})
	case t.Kind() == reflect.Struct && hasFields(t):
		fields(t, place, at)
	default:
		note(place, "value")
	}
}

// fields walks the fields of a struct, and the service discoveries that are registered for it.
func fields(t reflect.Type, place []string, at put) {
	for number := 0; number < t.NumField(); number++ {
		field := t.Field(number)
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		below := func(root reflect.Value, leaf func(reflect.Value)) {
			at(root, func(v reflect.Value) { leaf(v.Field(number)) })
		}
		switch {
		case field.Type == configsType:
			discoveries(t, place, below)
		case field.PkgPath != "" || name == "-":
		case strings.Contains(options, "inline"):
			walk(field.Type, place, below)
		case name == "":
			walk(field.Type, join(place, strings.ToLower(field.Name)), below)
		default:
			walk(field.Type, join(place, name), below)
		}
	}
}

// discoveries walks all kinds of service discovery; Prometheus adds their fields when it reads.
func discoveries(t reflect.Type, place []string, at put) {
	var all reflect.Type
	_ = discovery.UnmarshalYAMLWithInlineConfigs(reflect.New(t).Interface(), func(read interface{}) error {
		all = reflect.TypeOf(read).Elem()
		return nil
	})
	for number := 0; number < all.NumField(); number++ {
		field := all.Field(number)
		name := field.Tag.Get("yaml")
		if !strings.HasPrefix(field.Name, "AUTO_DISCOVERY_") {
			continue
		}
		name, _, _ = strings.Cut(name, ",")
		kind := field.Type.Elem()
		if name == "static_configs" {
			note(join(place, name), "value")
			continue
		}
		walk(kind.Elem(), join(place, name, "[]"), func(root reflect.Value, leaf func(reflect.Value)) {
			at(root, func(v reflect.Value) {
				one := reflect.New(kind.Elem())
				leaf(one.Elem())
				v.Set(reflect.ValueOf(discovery.Configs{completed(one).(discovery.Config)}))
			})
		})
	}
}

// completed returns a discovery that keeps a second one for its role (AWS') with that filled in.
func completed(one reflect.Value) interface{} {
	role := one.Elem().FieldByName("Role")
	reader, isReader := one.Interface().(interface {
		UnmarshalYAML(func(interface{}) error) error
	})
	if one.Interface().(discovery.Config).Name() != "aws" || !isReader || !role.IsValid() {
		return one.Interface()
	}
	if role.String() == "" {
		role.SetString("ec2")
	}
	given := one.Elem()
	_ = reader.UnmarshalYAML(func(read interface{}) error {
		into := reflect.ValueOf(read).Elem()
		into.Set(given.Convert(into.Type()))
		return nil
	})
	return one.Interface()
}

// shownText returns the word for a text.
func shownText(at put) string {
	c := configuration(at, func(v reflect.Value) { v.SetString(relative) })
	c.SetDirectory(folder)
	isResolved := holds(reflect.ValueOf(c), folder+"/"+relative)
	shown, isShown := show(c)
	switch {
	case !isShown:
		return "text?"
	case isResolved:
		return "path"
	case strings.Contains(shown, marker):
		return "text"
	case strings.Contains(shown, "<secret>"):
		return "secret"
	}
	return "unseen"
}

// shownURL returns the word for a URL.
func shownURL(at put) string {
	c := configuration(at, func(v reflect.Value) {
		text := fmt.Sprintf("http://user:%s@host/path?name=%s", password, parameter)
		parsed, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		v.Field(0).Set(reflect.ValueOf(parsed))
	})
	shown, isShown := show(c)
	switch {
	case !isShown:
		return "url?"
	case strings.Contains(shown, password):
		return "text"
	case strings.Contains(shown, parameter):
		return "url"
	}
	return "unseen"
}

func configuration(at put, leaf func(reflect.Value)) *config.Config {
	c := &config.Config{}
	at(reflect.ValueOf(c).Elem(), leaf)
	return c
}

// show returns what /api/v1/status/config would, and whether it could.
func show(c *config.Config) (shown string, isShown bool) {
	defer func() {
		if recover() != nil {
			shown, isShown = "", false
		}
	}()
	shown = c.String()
	return shown, !strings.HasPrefix(shown, "<error")
}

// holds tells whether a text is anywhere in a value, shown or not.
func holds(v reflect.Value, text string) bool {
	switch v.Kind() {
	case reflect.String:
		return v.String() == text
	case reflect.Pointer, reflect.Interface:
		return !v.IsNil() && holds(v.Elem(), text)
	case reflect.Struct:
		for number := 0; number < v.NumField(); number++ {
			if holds(v.Field(number), text) {
				return true
			}
		}
	case reflect.Slice, reflect.Array:
		for number := 0; number < v.Len(); number++ {
			if holds(v.Index(number), text) {
				return true
			}
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			if holds(v.MapIndex(key), text) {
				return true
			}
		}
	}
	return false
}

// hasFields tells whether a struct is a mapping in YAML.
func hasFields(t reflect.Type) bool {
	for number := 0; number < t.NumField(); number++ {
		if _, ok := t.Field(number).Tag.Lookup("yaml"); ok {
			return true
		}
	}
	return false
}

func isURL(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Type == reflect.PointerTo(urlType)
}

func holdsLabels(t reflect.Type) bool {
	return t.Name() == "Labels"
}

func join(place []string, names ...string) []string {
	return append(place[:len(place):len(place)], names...)
}

func note(place []string, word string) {
	name := strings.Join(place, "/")
	if before, isKnown := found[name]; isKnown && before != word {
		fmt.Fprintf(os.Stderr, "%s: %s and %s\n", name, before, word)
		os.Exit(1)
	}
	found[name] = word
}
