package gen_test

import (
	"slices"
	"strings"
	"testing"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3/options"
	"google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	_ "google.golang.org/genproto/googleapis/rpc/errdetails"
	_ "google.golang.org/genproto/googleapis/rpc/status"
	_ "google.golang.org/genproto/googleapis/type/date"
	_ "google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/durationpb"
	_ "google.golang.org/protobuf/types/known/emptypb"
	_ "google.golang.org/protobuf/types/known/fieldmaskpb"
	_ "google.golang.org/protobuf/types/known/structpb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tasuki-project/tasuki/proto/gen"
	"github.com/tasuki-project/tasuki/proto/gen/openapi"
	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
)

// shared are the packages that every department serves or uses.
var shared = []string{"access", "errors", "feed", "handoff", "jobs", "party", "type"}

func TestContracts(t *testing.T) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(gen.Descriptors, &set); err != nil {
		t.Fatal(err)
	}
	files, err := load(&set)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("descriptors.binpb holds no file")
	}
	for _, file := range files {
		for _, v := range violations(file) {
			t.Error(v)
		}
	}
}

// Every department has a document, and no document is left of a department that is gone.
func TestEveryDepartmentHasAnOpenAPIDocument(t *testing.T) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(gen.Descriptors, &set); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, file := range set.GetFile() {
		name := strings.Split(file.GetPackage(), ".")[1]
		if !slices.Contains(shared, name) && !slices.Contains(want, name) {
			want = append(want, name)
		}
	}
	var got []string
	for _, name := range openapi.Departments() {
		got = append(got, strings.ReplaceAll(name, "-", ""))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("documents of %v, but contracts of %v", got, want)
	}
}

// load links the files in order. Comments are kept, which the descriptors inside generated code do not have.
func load(set *descriptorpb.FileDescriptorSet) ([]protoreflect.FileDescriptor, error) {
	registry := &protoregistry.Files{}
	var files []protoreflect.FileDescriptor
	for _, fdp := range set.GetFile() {
		file, err := protodesc.NewFile(fdp, resolver{registry})
		if err != nil {
			return nil, err
		}
		if err := registry.RegisterFile(file); err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// resolver looks into our own files first, then into those that this program links.
type resolver struct{ own *protoregistry.Files }

func (r resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := r.own.FindFileByPath(path); err == nil {
		return f, nil
	}
	return protoregistry.GlobalFiles.FindFileByPath(path)
}

func (r resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := r.own.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	return protoregistry.GlobalFiles.FindDescriptorByName(name)
}

// violations lists what in a file breaks the conventions, each as "full.name: what".
func violations(file protoreflect.FileDescriptor) []string {
	c := &checker{}
	for i := range file.Enums().Len() {
		c.enum(file.Enums().Get(i))
	}
	for i := range file.Messages().Len() {
		c.message(file.Messages().Get(i))
	}
	for i := range file.Services().Len() {
		service := file.Services().Get(i)
		c.comment(service)
		for j := range service.Methods().Len() {
			c.method(service.Methods().Get(j))
		}
	}
	return c.found
}

type checker struct{ found []string }

func (c *checker) add(d protoreflect.Descriptor, what string) {
	c.found = append(c.found, string(d.FullName())+": "+what)
}

func (c *checker) comment(d protoreflect.Descriptor) {
	if strings.TrimSpace(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments) == "" {
		c.add(d, "no comment above it")
	}
}

func (c *checker) enum(enum protoreflect.EnumDescriptor) {
	c.comment(enum)
	for i := range enum.Values().Len() {
		c.comment(enum.Values().Get(i))
	}
	first := enum.Values().Get(0)
	if first.Number() != 0 || !strings.HasSuffix(string(first.Name()), "_UNSPECIFIED") {
		c.add(enum, "does not start with _UNSPECIFIED = 0")
	}
}

func (c *checker) message(message protoreflect.MessageDescriptor) {
	if message.IsMapEntry() {
		return
	}
	c.comment(message)
	isRequest := strings.HasSuffix(string(message.Name()), "Request")
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		c.comment(field)
		if field.Name() == "state" && !isRequest && !outputOnly(field) {
			c.add(field, "a state is OUTPUT_ONLY")
		}
	}
	for i := range message.Enums().Len() {
		c.enum(message.Enums().Get(i))
	}
	for i := range message.Messages().Len() {
		c.message(message.Messages().Get(i))
	}
}

func (c *checker) method(method protoreflect.MethodDescriptor) {
	c.comment(method)
	rule, _ := proto.GetExtension(method.Options(), accessv1.E_Rule).(*accessv1.Rule)
	audience := rule.GetAudience()
	if audience == accessv1.Audience_AUDIENCE_UNSPECIFIED {
		c.add(method, "no access rule")
	}
	if (audience == accessv1.Audience_AUDIENCE_ROLES) != (len(rule.GetRoles()) > 0) {
		c.add(method, "roles are listed with AUDIENCE_ROLES, and only then")
	}
	bound := proto.HasExtension(method.Options(), annotations.E_Http)
	switch isInternal := audience == accessv1.Audience_AUDIENCE_SERVICE; {
	case isInternal && bound:
		c.add(method, "an HTTP binding, but it is for services only")
	case !isInternal && !bound:
		c.add(method, "no HTTP binding")
	}
	if strings.HasPrefix(string(method.Name()), "List") {
		c.has(method, method.Input(), "page_size", protoreflect.Int32Kind)
		c.has(method, method.Input(), "page_token", protoreflect.StringKind)
		c.has(method, method.Output(), "next_page_token", protoreflect.StringKind)
	}
}

func (c *checker) has(method protoreflect.MethodDescriptor, in protoreflect.MessageDescriptor, name protoreflect.Name, kind protoreflect.Kind) {
	if f := in.Fields().ByName(name); f == nil || f.Kind() != kind || f.IsList() {
		c.add(method, "is not paged: "+string(in.Name())+" has no "+kind.String()+" "+string(name))
	}
}

func outputOnly(field protoreflect.FieldDescriptor) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, annotations.FieldBehavior_OUTPUT_ONLY)
}
