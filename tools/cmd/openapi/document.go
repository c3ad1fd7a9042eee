package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// document is an OpenAPI document whose paths stay in the order of the contracts.
type document struct {
	head       []field
	paths      []path
	components object
}

type field struct {
	name string
	raw  json.RawMessage
}

type path struct {
	name string
	item object
}

func parseDocument(text []byte) (*document, error) {
	fields, err := ordered(text)
	if err != nil {
		return nil, err
	}
	d := &document{head: fields}
	for _, f := range fields {
		switch f.name {
		case "paths":
			items, err := ordered(f.raw)
			if err != nil {
				return nil, err
			}
			for _, item := range items {
				p := path{name: item.name}
				if err := json.Unmarshal(item.raw, &p.item); err != nil {
					return nil, fmt.Errorf("path %s: %w", item.name, err)
				}
				d.paths = append(d.paths, p)
			}
		case "components":
			if err := json.Unmarshal(f.raw, &d.components); err != nil {
				return nil, fmt.Errorf("components: %w", err)
			}
		}
	}
	return d, nil
}

// ordered reads the members of a JSON object in their order.
func ordered(text []byte) ([]field, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	open, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if open != json.Delim('{') {
		return nil, fmt.Errorf("%v where an object begins", open)
	}
	var fields []field
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		f := field{name: name.(string)} // A member's name is always a string.
		if err := decoder.Decode(&f.raw); err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// MarshalJSON writes the document in the order in which it was read.
func (d *document) MarshalJSON() ([]byte, error) {
	paths := make([]field, 0, len(d.paths))
	for _, p := range d.paths {
		raw, err := json.Marshal(p.item)
		if err != nil {
			return nil, err
		}
		paths = append(paths, field{p.name, raw})
	}
	members := make([]field, 0, len(d.head))
	for _, f := range d.head {
		switch f.name {
		case "paths":
			f.raw = joined(paths)
		case "components":
			raw, err := json.Marshal(d.components)
			if err != nil {
				return nil, err
			}
			f.raw = raw
		}
		members = append(members, f)
	}
	return joined(members), nil
}

func joined(fields []field) json.RawMessage {
	var text bytes.Buffer
	text.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			text.WriteByte(',')
		}
		name, _ := json.Marshal(f.name) // A string always can.
		text.Write(name)
		text.WriteByte(':')
		text.Write(f.raw)
	}
	text.WriteByte('}')
	return text.Bytes()
}
