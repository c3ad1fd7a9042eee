package telemetry

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// span is a span as the console exporter writes it.
type span struct {
	Name        string
	SpanContext struct{ TraceID, SpanID string }
	Parent      struct{ TraceID, SpanID string }
	Links       []struct {
		SpanContext struct{ TraceID, SpanID string }
	}
	Attributes []attribute
	Resource   []attribute

	program string
}

type attribute struct {
	Key   string
	Value struct{ Value any }
}

// spans are those that the programs have ended so far, from their logs.
func (h *observed) spans(t *testing.T) []span {
	t.Helper()
	var all []span
	for program := range h.metrics {
		f, err := os.Open(filepath.Join(t.ArtifactDir(), program+".log"))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			s := span{program: program}
			if strings.HasPrefix(lines.Text(), `{"Name":`) && json.Unmarshal(lines.Bytes(), &s) == nil {
				all = append(all, s)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		_ = f.Close() // it was only read
	}
	return all
}

// find is the first span that is as wanted.
func find(all []span, ok func(span) bool) (span, bool) {
	for _, s := range all {
		if ok(s) {
			return s, true
		}
	}
	return span{}, false
}

func linked(s span, trace string) bool {
	for _, l := range s.Links {
		if l.SpanContext.TraceID == trace {
			return true
		}
	}
	return false
}
