// Package answer reads what the gateway says over REST when it does not do what it was asked to.
package answer

import (
	"fmt"
	"strings"

	_ "google.golang.org/genproto/googleapis/rpc/errdetails" // details are read by these types
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
)

// Error is the gRPC status in an answer of the gateway's one error shape, with its details; call stands before the message.
// What is not of that shape came from somebody in between: that is codes.Unavailable.
func Error(call string, httpCode int, text []byte) error {
	var st spb.Status
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &st); err != nil || st.GetCode() == 0 {
		return status.Error(codes.Unavailable, fmt.Sprintf("%s: HTTP %d: %.200s", call, httpCode, strings.TrimSpace(string(text))))
	}
	st.Message = call + ": " + st.GetMessage()
	return status.ErrorProto(&st)
}
