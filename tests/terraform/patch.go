package main

import (
	"reflect"
	"sort"
	"strings"
)

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// patch says how one model becomes the other (RFC 6902). Lists have no order, so a changed one is replaced whole.
func patch(before, after map[string]any, at string) []operation {
	found := []operation{}
	for _, name := range names(before, after) {
		old, was := before[name]
		new, is := after[name]
		path := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
		switch {
		case !is:
			found = append(found, operation{Op: "remove", Path: path})
		case !was:
			found = append(found, operation{Op: "add", Path: path, Value: new})
		case !reflect.DeepEqual(old, new):
			found = append(found, changed(old, new, path)...)
		}
	}
	return found
}

func changed(old, new any, path string) []operation {
	before, was := old.(map[string]any)
	after, is := new.(map[string]any)
	if was && is {
		return patch(before, after, path)
	}
	return []operation{{Op: "replace", Path: path, Value: new}}
}

func names(models ...map[string]any) []string {
	all := map[string]bool{}
	for _, model := range models {
		for name := range model {
			all[name] = true
		}
	}
	found := []string{}
	for name := range all {
		found = append(found, name)
	}
	sort.Strings(found)
	return found
}
