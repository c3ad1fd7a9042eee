package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// ruleName is the option that says who may call a method. It is read by name, so that this program does not depend on
// the code that is generated together with the documents.
const ruleName = "tasuki.access.v1.rule"

// contract gives access to the descriptors that the documents were made from.
type contract struct {
	files *protoregistry.Files
	rule  protoreflect.ExtensionType
}

func loadContract(path string) (*contract, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(raw, &set); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", path, err)
	}
	rule, err := dynamicpb.NewTypes(files).FindExtensionByName(ruleName)
	if err != nil {
		return nil, fmt.Errorf("option %s: %w", ruleName, err)
	}
	return &contract{files, rule}, nil
}

func (c *contract) message(name string) protoreflect.MessageDescriptor {
	d, err := c.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	m, _ := d.(protoreflect.MessageDescriptor)
	return m
}

// method finds what an operation id of a department's document names: `<Service>_<Method>`, with `_1` and so on for
// further bindings.
func (c *contract) method(department, operationID string) protoreflect.MethodDescriptor {
	parts := strings.Split(operationID, "_")
	if len(parts) < 2 {
		return nil
	}
	for _, pkg := range append([]string{department}, shared...) {
		name := protoreflect.FullName("tasuki." + pkg + ".v1." + parts[0] + "." + parts[1])
		if d, err := c.files.FindDescriptorByName(name); err == nil {
			m, _ := d.(protoreflect.MethodDescriptor)
			return m
		}
	}
	return nil
}

// callers names the audience of a method without its prefix, and the roles where it lists them.
func (c *contract) callers(method protoreflect.MethodDescriptor) (audience string, roles []string, err error) {
	// The option was unknown when the file was read; with its type at hand it can be read now.
	types := &protoregistry.Types{}
	if err := types.RegisterExtension(c.rule); err != nil {
		return "", nil, err
	}
	raw, err := proto.Marshal(method.Options())
	if err != nil {
		return "", nil, err
	}
	var options descriptorpb.MethodOptions
	if err := (proto.UnmarshalOptions{Resolver: types}).Unmarshal(raw, &options); err != nil {
		return "", nil, err
	}
	rule := options.ProtoReflect().Get(c.rule.TypeDescriptor()).Message()
	fields := rule.Descriptor().Fields()
	name := func(enum protoreflect.FieldDescriptor, v protoreflect.EnumNumber, prefix string) string {
		value := enum.Enum().Values().ByNumber(v)
		if value == nil {
			return ""
		}
		return strings.TrimPrefix(string(value.Name()), prefix)
	}
	list := rule.Get(fields.ByName("roles")).List()
	for i := range list.Len() {
		roles = append(roles, name(fields.ByName("roles"), list.Get(i).Enum(), "ROLE_"))
	}
	return name(fields.ByName("audience"), rule.Get(fields.ByName("audience")).Enum(), "AUDIENCE_"), roles, nil
}

func rulesOf(field protoreflect.FieldDescriptor) *validate.FieldRules {
	rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

func behaves(field protoreflect.FieldDescriptor, as annotations.FieldBehavior) bool {
	behaviors, _ := proto.GetExtension(field.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviors, as)
}

// isRequired tells whether a request without the field is refused.
func isRequired(field protoreflect.FieldDescriptor) bool {
	if behaves(field, annotations.FieldBehavior_REQUIRED) {
		return true
	}
	rules := rulesOf(field)
	switch {
	case rules == nil || rules.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED || field.HasPresence():
		return rules.GetRequired()
	case rules.GetRequired(), rules.GetRepeated().GetMinItems() > 0:
		return true
	}
	if slices.Contains(rules.GetEnum().GetNotIn(), 0) || needsMoreThanZero(rules) {
		return true
	}
	text := rules.GetString()
	if len(text.GetIn()) > 0 && !slices.Contains(text.GetIn(), "") {
		return true
	}
	return text.GetMinLen() > 0 || text.GetUuid() || text.GetEmail() || text.GetUri()
}

func needsMoreThanZero(rules *validate.FieldRules) bool {
	small, big := rules.GetInt32(), rules.GetInt64()
	return small.GetGt() > 0 || small.GetGte() > 0 || small.HasGt() || big.GetGt() > 0 || big.GetGte() > 0 || big.HasGt()
}
