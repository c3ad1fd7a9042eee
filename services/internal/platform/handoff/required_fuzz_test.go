package handoff

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

// FuzzMissing compares the completeness of any payload with another way to find it: looking the paths up in its JSON.
func FuzzMissing(f *testing.F) {
	for _, p := range full() {
		wire, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(wire[:len(wire)/2])
	}
	blank := full()[handoffv1.Kind_KIND_MQL]
	blank.GetMql().GetPerson().GetName().Full = " \u3000" // a space of each width
	wire, err := proto.Marshal(blank)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Fuzz(func(t *testing.T, wire []byte) {
		var p handoffv1.Payload
		if proto.Unmarshal(wire, &p) != nil {
			return
		}
		text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&p)
		if err != nil {
			return // protojson refuses what gRPC's validation refuses too, such as a year 0
		}
		var kinds map[string]any
		if err := json.Unmarshal(text, &kinds); err != nil {
			t.Fatal(err)
		}
		var body any
		for _, v := range kinds {
			body = v
		}
		paths := Required(payloadKind(&p))
		var want []string
		for _, path := range paths {
			if !slices.ContainsFunc(strings.Split(path, "|"), func(a string) bool { return inJSON(body, strings.Split(a, ".")) }) {
				want = append(want, strings.Split(path, "|")[0])
			}
		}
		c := completenessOf(&p, paths)
		if !slices.Equal(c.GetMissing(), want) {
			t.Errorf("missing are %v, by the JSON %v: %s", c.GetMissing(), want, text)
		}
		if (c.GetScore() == 100) != (len(want) == 0) || c.GetScore() < 0 || c.GetScore() > 100 {
			t.Errorf("a score of %d with %v missing", c.GetScore(), want)
		}
	})
}

// inJSON tells whether there is anything at the path.
func inJSON(v any, path []string) bool {
	if len(path) == 0 {
		text, isText := v.(string)
		return v != nil && (!isText || strings.TrimSpace(text) != "")
	}
	object, _ := v.(map[string]any)
	if list, everyOne := strings.CutSuffix(path[0], "[]"); everyOne {
		all, _ := object[list].([]any)
		return !slices.ContainsFunc(all, func(one any) bool { return !inJSON(one, path[1:]) })
	}
	if path[0] == "name" && len(path) == 1 {
		if name, ok := object["name"].(map[string]any); ok {
			for _, part := range name {
				if inJSON(part, nil) {
					return true
				}
			}
			return false
		}
	}
	return inJSON(object[path[0]], path[1:])
}
