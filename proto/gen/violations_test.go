package gen_test

import (
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"

	accessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/access/v1"
)

// The checker finds each fault in a contract that is right but for that one.
func TestViolationsAreFound(t *testing.T) {
	tests := map[string]struct {
		spoil func(*descriptorpb.FileDescriptorProto)
		want  []string
	}{
		"nothing wrong": {func(*descriptorpb.FileDescriptorProto) {}, nil},
		"no rule": {
			func(f *descriptorpb.FileDescriptorProto) { proto.ClearExtension(options(f), accessv1.E_Rule) },
			[]string{"bad.v1.ThingService.ListThings: no access rule"},
		},
		"rule without audience": {
			func(f *descriptorpb.FileDescriptorProto) {
				proto.SetExtension(options(f), accessv1.E_Rule, &accessv1.Rule{})
			},
			[]string{"bad.v1.ThingService.ListThings: no access rule"},
		},
		"roles not named": {
			func(f *descriptorpb.FileDescriptorProto) {
				proto.SetExtension(options(f), accessv1.E_Rule, &accessv1.Rule{Audience: accessv1.Audience_AUDIENCE_ROLES})
			},
			[]string{"bad.v1.ThingService.ListThings: roles are listed with AUDIENCE_ROLES, and only then"},
		},
		"no HTTP binding": {
			func(f *descriptorpb.FileDescriptorProto) { proto.ClearExtension(options(f), annotations.E_Http) },
			[]string{"bad.v1.ThingService.ListThings: no HTTP binding"},
		},
		"HTTP binding of an internal method": {
			func(f *descriptorpb.FileDescriptorProto) {
				proto.SetExtension(options(f), accessv1.E_Rule, &accessv1.Rule{Audience: accessv1.Audience_AUDIENCE_SERVICE})
			},
			[]string{"bad.v1.ThingService.ListThings: an HTTP binding, but it is for services only"},
		},
		"list without page size": {
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[1].Field[0].Name = proto.String("limit") },
			[]string{"bad.v1.ThingService.ListThings: is not paged: ListThingsRequest has no int32 page_size"},
		},
		"list without page token": {
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[1].Field[1].Name = proto.String("after") },
			[]string{"bad.v1.ThingService.ListThings: is not paged: ListThingsRequest has no string page_token"},
		},
		"list without next page token": {
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[2].Field[0].Name = proto.String("next") },
			[]string{"bad.v1.ThingService.ListThings: is not paged: ListThingsResponse has no string next_page_token"},
		},
		"state that callers may set": {
			func(f *descriptorpb.FileDescriptorProto) { f.MessageType[0].Field[0].Options = nil },
			[]string{"bad.v1.Thing.state: a state is OUTPUT_ONLY"},
		},
		"enum without unspecified": {
			func(f *descriptorpb.FileDescriptorProto) { f.EnumType[0].Value[0].Name = proto.String("STATE_NEW") },
			[]string{"bad.v1.State: does not start with _UNSPECIFIED = 0"},
		},
		"no comments": {
			func(f *descriptorpb.FileDescriptorProto) { f.SourceCodeInfo = nil },
			[]string{
				"bad.v1.State: no comment above it",
				"bad.v1.STATE_UNSPECIFIED: no comment above it",
				"bad.v1.Thing: no comment above it",
				"bad.v1.Thing.state: no comment above it",
				"bad.v1.ListThingsRequest: no comment above it",
				"bad.v1.ListThingsRequest.page_size: no comment above it",
				"bad.v1.ListThingsRequest.page_token: no comment above it",
				"bad.v1.ListThingsResponse: no comment above it",
				"bad.v1.ListThingsResponse.next_page_token: no comment above it",
				"bad.v1.ThingService: no comment above it",
				"bad.v1.ThingService.ListThings: no comment above it",
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := contract()
			test.spoil(file)
			files, err := load(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{file}})
			if err != nil {
				t.Fatal(err)
			}
			if got := violations(files[0]); !slices.Equal(got, test.want) {
				t.Errorf("found %q\nwant  %q", got, test.want)
			}
		})
	}
}

// options are those of the only method.
func options(f *descriptorpb.FileDescriptorProto) *descriptorpb.MethodOptions {
	return f.Service[0].Method[0].Options
}

// contract is a small file without faults.
func contract() *descriptorpb.FileDescriptorProto {
	state := &descriptorpb.FieldOptions{}
	proto.SetExtension(state, annotations.E_FieldBehavior, []annotations.FieldBehavior{annotations.FieldBehavior_OUTPUT_ONLY})
	method := &descriptorpb.MethodOptions{}
	proto.SetExtension(method, accessv1.E_Rule, &accessv1.Rule{Audience: accessv1.Audience_AUDIENCE_STAFF})
	proto.SetExtension(method, annotations.E_Http, &annotations.HttpRule{
		Pattern: &annotations.HttpRule_Get{Get: "/v1/things"},
	})
	comments := &descriptorpb.SourceCodeInfo{}
	for _, path := range [][]int32{
		{5, 0},
		{5, 0, 2, 0},
		{4, 0},
		{4, 0, 2, 0},
		{4, 1},
		{4, 1, 2, 0},
		{4, 1, 2, 1},
		{4, 2},
		{4, 2, 2, 0},
		{6, 0},
		{6, 0, 2, 0},
	} {
		comments.Location = append(comments.Location, &descriptorpb.SourceCodeInfo_Location{
			Path: path, Span: []int32{0, 0, 0}, LeadingComments: proto.String(" A comment.\n"),
		})
	}
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String("bad.proto"), Package: proto.String("bad.v1"), Syntax: proto.String("proto3"),
		EnumType: []*descriptorpb.EnumDescriptorProto{{
			Name:  proto.String("State"),
			Value: []*descriptorpb.EnumValueDescriptorProto{{Name: proto.String("STATE_UNSPECIFIED"), Number: proto.Int32(0)}},
		}},
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: proto.String("Thing"), Field: []*descriptorpb.FieldDescriptorProto{{
				Name: proto.String("state"), Number: proto.Int32(1), Options: state,
				Type: descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum(), TypeName: proto.String(".bad.v1.State"),
				Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
			}}},
			{Name: proto.String("ListThingsRequest"), Field: []*descriptorpb.FieldDescriptorProto{
				scalar("page_size", 1, descriptorpb.FieldDescriptorProto_TYPE_INT32),
				scalar("page_token", 2, descriptorpb.FieldDescriptorProto_TYPE_STRING),
			}},
			{Name: proto.String("ListThingsResponse"), Field: []*descriptorpb.FieldDescriptorProto{
				scalar("next_page_token", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING),
			}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name: proto.String("ThingService"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String("ListThings"), Options: method,
				InputType: proto.String(".bad.v1.ListThingsRequest"), OutputType: proto.String(".bad.v1.ListThingsResponse"),
			}},
		}},
		SourceCodeInfo: comments,
	}
}

func scalar(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{
		Name: proto.String(name), Number: proto.Int32(number), Type: kind.Enum(),
		Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
	}
}
