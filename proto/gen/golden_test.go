package gen_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tasuki-project/tasuki/proto/gen"
)

var update = flag.Bool("update", false, "write the golden files that are missing")

// golden is a message as the release wrote it that had it first. Feeds and ledgers hold such bytes for years, and while
// programs are replaced one by one, old ones write for new ones and new ones for old ones: a golden file never changes.
type golden struct {
	Bytes []byte          `json:"bytes"`
	JSON  json.RawMessage `json:"json"`
}

func goldenFile(name protoreflect.FullName) string {
	return filepath.Join("testdata", "golden", string(name)+".json")
}

// stored are the messages that outlive the program that writes them: events, and what ledgers keep of handoffs.
func stored(t *testing.T) map[protoreflect.FullName]protoreflect.MessageDescriptor {
	t.Helper()
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(gen.Descriptors, &set); err != nil {
		t.Fatal(err)
	}
	files, err := load(&set)
	if err != nil {
		t.Fatal(err)
	}
	out := map[protoreflect.FullName]protoreflect.MessageDescriptor{}
	for _, file := range files {
		all := file.Messages()
		for i := range all.Len() {
			m := all.Get(i)
			isEvent := path.Base(file.Path()) == "events.proto"
			isLedger := file.Package() == "tasuki.handoff.v1" && (m.Name() == "Handoff" || m.Name() == "Attempt" || strings.HasSuffix(string(m.Name()), "Payload"))
			if isEvent || isLedger {
				out[m.FullName()] = m
			}
		}
	}
	return out
}

// TestGoldenBytes: what earlier releases stored is read as it was meant, and written again as it was.
func TestGoldenBytes(t *testing.T) {
	messages := stored(t)
	if len(messages) < 50 {
		t.Fatalf("only %d messages are stored", len(messages))
	}
	for _, name := range slices.Sorted(maps.Keys(messages)) {
		t.Run(string(name), func(t *testing.T) {
			text, err := os.ReadFile(goldenFile(name))
			if errors.Is(err, fs.ErrNotExist) && *update {
				writeGolden(t, messages[name])
				return
			}
			if err != nil {
				t.Fatalf("%v: go test ./proto/gen -run TestGoldenBytes -update writes it", err)
			}
			var was golden
			if err := json.Unmarshal(text, &was); err != nil {
				t.Fatal(err)
			}
			is := dynamicpb.NewMessage(messages[name])
			if err := proto.Unmarshal(was.Bytes, is); err != nil {
				t.Fatalf("the bytes of an earlier release cannot be read: %v", err)
			}
			noUnknown(t, is)
			meant := dynamicpb.NewMessage(messages[name])
			if err := protojson.Unmarshal(was.JSON, meant); err != nil {
				t.Fatalf("a field has gone or has another type: %v", err)
			}
			if !proto.Equal(is, meant) {
				t.Errorf("the bytes say %v, and meant %v", is, meant)
			}
			again, err := proto.MarshalOptions{Deterministic: true}.Marshal(is)
			if err != nil || !bytes.Equal(again, was.Bytes) {
				t.Errorf("written again they are other bytes (%v)", err)
			}
		})
	}
}

// No golden file is left of a message that is gone: feeds may still hold it.
func TestNoStoredMessageIsGone(t *testing.T) {
	messages := stored(t)
	files, err := filepath.Glob(goldenFile("*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if messages[protoreflect.FullName(name)] == nil {
			t.Errorf("%s is no message any more, but feeds and ledgers hold it", name)
		}
	}
}

// A reader of the release before passes over fields it does not know, and keeps them when it writes the message again.
func TestUnknownFieldsAreKept(t *testing.T) {
	messages := stored(t)
	handoff := messages["tasuki.handoff.v1.Handoff"]
	old := dynamicpb.NewMessage(handoff)
	fill(old, 0)
	wire, err := proto.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	future := []byte{0xfa, 0x7f, 0x02, 'h', 'i'} // field 2047 of a later release
	is := dynamicpb.NewMessage(handoff)
	if err := proto.Unmarshal(append(wire, future...), is); err != nil {
		t.Fatal(err)
	}
	again, err := proto.Marshal(is)
	if err != nil || !bytes.HasSuffix(again, future) {
		t.Errorf("the unknown field is lost (%v)", err)
	}
}

func noUnknown(t *testing.T, m protoreflect.Message) {
	t.Helper()
	if len(m.GetUnknown()) > 0 {
		t.Errorf("%s has lost a field", m.Descriptor().FullName())
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.IsMap():
		case field.IsList():
			for i := range v.List().Len() {
				noUnknown(t, v.List().Get(i).Message())
			}
		default:
			noUnknown(t, v.Message())
		}
		return true
	})
}

func writeGolden(t *testing.T, descriptor protoreflect.MessageDescriptor) {
	t.Helper()
	m := dynamicpb.NewMessage(descriptor)
	fill(m, 0)
	wire, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	file, err := json.MarshalIndent(golden{wire, text}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(goldenFile("x")), 0o755); err != nil { //nolint:gosec // part of the repository
		t.Fatal(err)
	}
	if err := os.WriteFile(goldenFile(descriptor.FullName()), append(file, '\n'), 0o644); err != nil { //nolint:gosec // as above
		t.Fatal(err)
	}
}

// deepest is how far messages in messages are filled; further down they are empty.
const deepest = 5

// fill gives every field a value that tells it from the others: its name, its number, or a message.
func fill(m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if choice := field.ContainingOneof(); choice != nil && !choice.IsSynthetic() && choice.Fields().Get(0) != field {
			continue // the others of a choice have golden files of their own
		}
		value := func(of protoreflect.FieldDescriptor) protoreflect.Value {
			if of.Message() == nil {
				return goldenValue(of)
			}
			inner := dynamicpb.NewMessage(of.Message())
			if depth < deepest {
				fill(inner, depth+1)
			}
			return protoreflect.ValueOfMessage(inner)
		}
		switch {
		case field.IsMap():
			m.Mutable(field).Map().Set(goldenValue(field.MapKey()).MapKey(), value(field.MapValue()))
		case field.IsList():
			m.Mutable(field).List().Append(value(field))
		default:
			m.Set(field, value(field))
		}
	}
}

func goldenValue(field protoreflect.FieldDescriptor) protoreflect.Value {
	number := int64(field.Number())
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(field.Name()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(field.Name()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(field.Enum().Values().Get(field.Enum().Values().Len() - 1).Number())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(number))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(number)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(number) + 0.5)
	default:
		panic("no golden value for " + field.Kind().String() + " of " + string(field.FullName()))
	}
}
