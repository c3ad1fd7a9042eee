package problem

import (
	"errors"
	"maps"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	errorsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/errors/v1"
)

// Domain is the domain of every ErrorInfo that Tasuki sends.
const Domain = "tasuki"

// Reason is the machine-readable reason of an error.
type Reason = errorsv1.ErrorReason

// Error is an error that a client may see. Build it with the constructors of this package.
type Error struct {
	// Reason says what went wrong; it decides the gRPC code.
	Reason Reason
	// Message and MessageJa say it to people, in English and Japanese.
	Message, MessageJa string
	// Metadata names the things involved, as the catalogue describes for each reason.
	Metadata map[string]string
	// Violations are the fields that are wrong, by path.
	Violations []Violation
	// RetryAfter is when another try makes sense; zero says nothing.
	RetryAfter time.Duration

	cause error
}

// Violation says what is wrong with one field and what to do about it.
type Violation struct {
	// Field is the path as in the contract, for instance `person.mail` or `lines[2].amount`.
	Field string
	// Description and DescriptionJa say what is wrong and what to do. Japanese may be empty.
	Description, DescriptionJa string
	// Rule is the id of the broken rule, for instance `string.email`. May be empty.
	Rule string
}

// Field is a violation of the field at path.
func Field(path, description string) Violation {
	return Violation{Field: path, Description: description}
}

// Ja adds the Japanese description.
func (v Violation) Ja(description string) Violation {
	v.DescriptionJa = description
	return v
}

// Because returns a copy of e that remembers its cause for the log. The cause is never sent.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// With returns a copy of e with one more entry of metadata.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.Metadata = maps.Clone(e.Metadata)
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	c.Metadata[key] = value
	return &c
}

// Code is the gRPC code of the reason.
func (e *Error) Code() codes.Code { return Code(e.Reason) }

// Error includes the cause: it is for logs. Clients get GRPCStatus.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an *Error of the same reason, so that errors.Is(err, problem.NotFound("", "")) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Reason == e.Reason
}

// GRPCStatus is what the client sees. It makes *Error a gRPC status error even where no interceptor maps it.
func (e *Error) GRPCStatus() *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{
		Reason: ReasonName(e.Reason), Domain: Domain, Metadata: e.Metadata,
	}}
	if len(e.Violations) > 0 {
		details = append(details, badRequest(e.Violations))
	}
	if e.MessageJa != "" {
		details = append(details, &errdetails.LocalizedMessage{Locale: "ja-JP", Message: e.MessageJa})
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	st, err := status.New(e.Code(), e.Message).WithDetails(details...)
	if err != nil { // cannot happen: the details are linked in, and no reason has code OK
		return status.New(e.Code(), e.Message)
	}
	return st
}

func badRequest(vs []Violation) *errdetails.BadRequest {
	b := &errdetails.BadRequest{}
	for _, v := range vs {
		f := &errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Description, Reason: ruleReason(v.Rule)}
		if v.DescriptionJa != "" {
			f.LocalizedMessage = &errdetails.LocalizedMessage{Locale: "ja-JP", Message: v.DescriptionJa}
		}
		b.FieldViolations = append(b.FieldViolations, f)
	}
	return b
}

// ruleReason writes a rule id as google.rpc asks: `string.min_len` becomes `STRING_MIN_LEN`.
func ruleReason(rule string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(rule))
}

// ReasonName is the name that goes over the wire: without its prefix.
func ReasonName(r Reason) string { return strings.TrimPrefix(r.String(), "ERROR_REASON_") }

// Parse returns the Tasuki error inside err: an *Error as it is, or one read back from the status of another service.
// ok is false when there is none.
func Parse(err error) (e *Error, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	st, ok := statusOf(err)
	if !ok {
		return nil, false
	}
	e = &Error{Message: st.Message(), cause: err}
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				e.Reason = Reason(errorsv1.ErrorReason_value["ERROR_REASON_"+d.GetReason()])
				e.Metadata = d.GetMetadata()
			}
		case *errdetails.LocalizedMessage:
			e.MessageJa = d.GetMessage()
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, f := range d.GetFieldViolations() {
				e.Violations = append(e.Violations, Violation{
					Field: f.GetField(), Description: f.GetDescription(),
					DescriptionJa: f.GetLocalizedMessage().GetMessage(), Rule: f.GetReason(),
				})
			}
		}
	}
	return e, e.Reason != errorsv1.ErrorReason_ERROR_REASON_UNSPECIFIED
}

// ReasonOf returns the reason of err, unspecified when it carries none. It works on both sides of a call.
func ReasonOf(err error) Reason {
	e, ok := Parse(err)
	if !ok {
		return errorsv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return e.Reason
}

// Is reports whether err carries the reason.
func Is(err error, reason Reason) bool { return ReasonOf(err) == reason }

// statusOf finds a gRPC status inside err without the text that wrapping added, which status.FromError would keep.
func statusOf(err error) (*status.Status, bool) {
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) || s.GRPCStatus() == nil {
		return nil, false
	}
	return s.GRPCStatus(), true
}
