package answer_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tasuki-project/tasuki/services/allinone/internal/answer"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

func TestError(t *testing.T) {
	const info = `"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TOKEN_EXPIRED","domain":"tasuki"}]`
	for name, tt := range map[string]struct {
		text, message, reason string
		code                  codes.Code
	}{
		"a status":                {`{"code":16,"message":"get a new one",` + info + `}`, "GET /x: get a new one", "TOKEN_EXPIRED", codes.Unauthenticated},
		"with fields of later":    {`{"code":5,"message":"gone","help":{"url":"x"}}`, "GET /x: gone", "", codes.NotFound},
		"a page of a proxy":       {"<html>bad gateway</html>\n", "GET /x: HTTP 502: <html>bad gateway</html>", "", codes.Unavailable},
		"JSON of somebody else":   {`{"error":"no"}`, `GET /x: HTTP 502: {"error":"no"}`, "", codes.Unavailable},
		"nothing":                 {"", "GET /x: HTTP 502: ", "", codes.Unavailable},
		"more than anybody reads": {strings.Repeat("x", 300), "GET /x: HTTP 502: " + strings.Repeat("x", 200), "", codes.Unavailable},
	} {
		err := answer.Error("GET /x", 502, []byte(tt.text))
		st := status.Convert(err)
		if p, ok := problem.Parse(err); ok != (tt.reason != "") || ok && problem.ReasonName(p.Reason) != tt.reason {
			t.Errorf("%s: the reason is lost: %v", name, p)
		}
		if st.Code() != tt.code || st.Message() != tt.message {
			t.Errorf("%s: %s %q, want %s %q", name, st.Code(), st.Message(), tt.code, tt.message)
		}
	}
}
