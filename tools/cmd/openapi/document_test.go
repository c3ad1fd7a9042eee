package main

import (
	"encoding/json"
	"testing"
)

func TestDocumentKeepsItsOrder(t *testing.T) {
	const text = `{"openapi":"3.1.0","paths":{"/z":{"get":{"operationId":"Z"}},"/a":{"get":{"operationId":"A"}}},"components":{"schemas":{}},"tags":[]}`
	d, err := parseDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != text {
		t.Errorf("read and written:\n%s\nwant:\n%s", got, text)
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	for _, text := range []string{``, `[]`, `{"paths":[]}`, `{"paths":{"/a":1}}`, `{"components":1}`} {
		if _, err := parseDocument([]byte(text)); err == nil {
			t.Errorf("%q was taken for a document", text)
		}
	}
}
