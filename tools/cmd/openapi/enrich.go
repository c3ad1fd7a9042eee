package main

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/reflect/protoreflect"
)

type object = map[string]any

// enrich adds to a document what the contracts know and the generator leaves out: the limits of the fields, who may
// call, the headers of commands, examples, and what an error looks like.
func (c *contract) enrich(d *document, department string) error {
	schemas, _ := d.components["schemas"].(object)
	for name, schema := range schemas {
		if message := c.message(name); message != nil {
			enrichSchema(schema.(object), message)
		}
	}
	for _, path := range d.paths {
		for verb, operation := range path.item {
			operation, ok := operation.(object)
			if !ok {
				continue
			}
			id, _ := operation["operationId"].(string)
			method := c.method(department, id)
			if method == nil {
				return fmt.Errorf("%s %s: no method for operation %q", verb, path.name, id)
			}
			if err := c.enrichOperation(operation, method, verb != "get"); err != nil {
				return fmt.Errorf("%s: %w", method.FullName(), err)
			}
		}
	}
	return nil
}

// enrichSchema adds limits, examples and required fields to the properties of a message.
func enrichSchema(schema object, message protoreflect.MessageDescriptor) {
	properties, _ := schema["properties"].(object)
	required, _ := schema["required"].([]any)
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		property, ok := properties[field.JSONName()].(object)
		if !ok {
			continue
		}
		limit(property, field, rulesOf(field))
		if isRequired(field) && !slices.Contains(required, any(field.JSONName())) {
			required = append(required, field.JSONName())
		}
	}
	if len(required) > 0 {
		schema["required"] = required
	}
}

func (c *contract) enrichOperation(operation object, method protoreflect.MethodDescriptor, isCommand bool) error {
	audience, roles, err := c.callers(method)
	if err != nil {
		return err
	}
	describeCallers(operation, audience, roles)

	parameters, _ := operation["parameters"].([]any)
	inPath := map[string]bool{}
	for _, parameter := range parameters {
		parameter := parameter.(object)
		name := parameter["name"].(string)
		inPath[name] = parameter["in"] == "path"
		if field := fieldAt(method.Input(), name); field != nil {
			if schema, ok := parameter["schema"].(object); ok {
				limit(schema, field, rulesOf(field))
			}
			if isRequired(field) {
				parameter["required"] = true
			}
		}
	}
	if isCommand {
		parameters = append(parameters, object{"$ref": "#/components/parameters/idempotencyKey"})
		if method.Input().Fields().ByName("etag") != nil {
			parameters = append(parameters, object{"$ref": "#/components/parameters/ifMatch"})
		}
	}
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	if body := bodyOf(operation); body != nil {
		schema, _ := body["schema"].(object)
		switch schema["$ref"] {
		case nil:
			enrichSchema(schema, method.Input())
			if example := exampleOf(method.Input(), inPath); example != nil {
				body["example"] = example
			}
		case "#/components/schemas/google.api.HttpBody":
			// The gateway takes the file itself, too.
			content := operation["requestBody"].(object)["content"].(object)
			content["text/csv"] = object{"schema": object{"type": "string", "contentMediaType": "text/csv"}, "example": sampleFile}
			body["example"] = object{"contentType": "text/csv", "data": base64.StdEncoding.EncodeToString([]byte(sampleFile))}
		default:
			if whole := fieldOfType(method.Input(), schema["$ref"]); whole != nil {
				if example := exampleOf(whole.Message(), nil); example != nil {
					body["example"] = example
				}
			}
		}
	}
	responses, _ := operation["responses"].(object)
	if _, ok := responses["default"]; ok {
		responses["default"] = object{"$ref": "#/components/responses/error"}
	}
	return nil
}

// describeCallers says who may call, and frees public methods from the token.
func describeCallers(operation object, audience string, roles []string) {
	var who string
	switch audience {
	case "PUBLIC":
		who = "Anybody may call this, without a token."
		operation["security"] = []any{}
	case "STAFF":
		who = "Everybody with a role may call this."
	case "DEPARTMENT":
		who = "The role of this department may call this, and administrators."
	case "ROLES":
		who = "These roles may call this: " + strings.Join(roles, ", ") + "; and administrators."
	default:
		return
	}
	text, _ := operation["description"].(string)
	operation["description"] = strings.TrimSpace(text + "\n\n" + who)
}

func bodyOf(operation object) object {
	body, _ := operation["requestBody"].(object)
	content, _ := body["content"].(object)
	media, _ := content["application/json"].(object)
	return media
}

// fieldOfType finds the field of a request that is the whole body: the one of the type that a schema refers to.
func fieldOfType(request protoreflect.MessageDescriptor, ref any) protoreflect.FieldDescriptor {
	for i := range request.Fields().Len() {
		field := request.Fields().Get(i)
		if field.Message() != nil && ref == "#/components/schemas/"+string(field.Message().FullName()) {
			return field
		}
	}
	return nil
}

// fieldAt finds a field by its path of JSON or proto names, such as `amount.currencyCode`.
func fieldAt(message protoreflect.MessageDescriptor, path string) protoreflect.FieldDescriptor {
	name, rest, nested := strings.Cut(path, ".")
	field := message.Fields().ByJSONName(name)
	if field == nil {
		field = message.Fields().ByName(protoreflect.Name(name))
	}
	if !nested || field == nil {
		return field
	}
	if field.Message() == nil {
		return nil
	}
	return fieldAt(field.Message(), rest)
}

// limit writes the rules of a field into its schema, in the words of JSON Schema.
func limit(schema object, field protoreflect.FieldDescriptor, rules *validate.FieldRules) {
	if list := rules.GetRepeated(); list != nil {
		if list.MinItems != nil {
			schema["minItems"] = list.GetMinItems()
		}
		if list.MaxItems != nil {
			schema["maxItems"] = list.GetMaxItems()
		}
		if items, ok := schema["items"].(object); ok && items["$ref"] == nil {
			limit(items, field, list.GetItems())
		}
		return
	}
	if text := rules.GetString(); text != nil {
		limitText(schema, text, rules.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE)
	}
	if number := rules.GetInt32(); number != nil {
		if v, ok := number.GetGreaterThan().(*validate.Int32Rules_Gte); ok {
			schema["minimum"] = v.Gte
		}
		if v, ok := number.GetGreaterThan().(*validate.Int32Rules_Gt); ok {
			schema["exclusiveMinimum"] = v.Gt
		}
		if v, ok := number.GetLessThan().(*validate.Int32Rules_Lte); ok {
			schema["maximum"] = v.Lte
		}
		if v, ok := number.GetLessThan().(*validate.Int32Rules_Lt); ok {
			schema["exclusiveMaximum"] = v.Lt
		}
	}
	if example, ok := sampleText(field); ok && schema["type"] == "string" && schema["$ref"] == nil {
		schema["examples"] = []any{example}
	}
}

// limitText leaves the form of a text open where it may also be empty: formats have no "or nothing".
func limitText(schema object, text *validate.StringRules, mayBeEmpty bool) {
	if text.MinLen != nil && !mayBeEmpty {
		schema["minLength"] = text.GetMinLen()
	}
	if text.MaxLen != nil {
		schema["maxLength"] = text.GetMaxLen()
	}
	if text.Pattern != nil && !mayBeEmpty {
		schema["pattern"] = text.GetPattern()
	}
	if mayBeEmpty {
		return
	}
	if len(text.GetIn()) > 0 {
		schema["enum"] = text.GetIn()
	}
	switch {
	case text.GetUuid():
		schema["format"] = "uuid"
	case text.GetEmail():
		schema["format"] = "email"
	case text.GetUri():
		schema["format"] = "uri"
	}
}
