package problem

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	errorsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/errors/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

var when = time.Date(2026, 4, 1, 3, 0, 0, 0, time.UTC)

// every value of the catalogue, with the metadata that its comment in errors.proto shows.
var every = []struct {
	err  *Error
	code codes.Code
	meta string
}{
	{Invalid(Field("mail", "is no mail address")), codes.InvalidArgument, "map[]"},
	{NotFound("lead", "7"), codes.NotFound, "map[id:7 resource:lead]"},
	{Exists("account", "7"), codes.AlreadyExists, "map[id:7 resource:account]"},
	{
		IllegalTransition("lead", "CAPTURED", "qualify", []string{"screen"}), codes.FailedPrecondition,
		"map[command:qualify legal:screen resource:lead state:CAPTURED]",
	},
	{
		GuardNotMet("completeOnboarding", "FIRST_VALUE"), codes.FailedPrecondition,
		"map[command:completeOnboarding missing:FIRST_VALUE]",
	},
	{EtagMismatch("7"), codes.Aborted, "map[current:7]"},
	{IdempotencyKeyReused("/a.B/C"), codes.FailedPrecondition, "map[method:/a.B/C]"},
	{PageTokenInvalid(), codes.InvalidArgument, "map[]"},
	{TokenMissing(), codes.Unauthenticated, "map[]"},
	{TokenInvalid(errors.New("x")), codes.Unauthenticated, "map[]"},
	{TokenExpired(), codes.Unauthenticated, "map[]"},
	{RoleMissing([]string{"MARKETING"}, []string{"VIEWER"}), codes.PermissionDenied, "map[has:VIEWER needs:MARKETING]"},
	{TooLarge(20971520), codes.ResourceExhausted, "map[limit_bytes:20971520]"},
	{FileEncodingUnknown(), codes.InvalidArgument, "map[]"},
	{FileNotCSV("no header"), codes.InvalidArgument, "map[detail:no header]"},
	{
		PayloadIncomplete("MQL", "person.mail", "company.name"), codes.FailedPrecondition,
		"map[kind:MQL missing:person.mail,company.name]",
	},
	{DecisionTaken("ACCEPTED", "sato", when), codes.Aborted, "map[at:2026-04-01T03:00:00Z by:sato decision:ACCEPTED]"},
	{ReasonUnknown("X", "MQL", "A", "B"), codes.InvalidArgument, "map[code:X kind:MQL known:A,B]"},
	{Unavailable("inside-sales"), codes.Unavailable, "map[department:inside-sales]"},
	{DeadlineExceeded(), codes.DeadlineExceeded, "map[]"},
	{RateLimited(time.Second), codes.ResourceExhausted, "map[]"},
	{Internal(errors.New("x")), codes.Internal, "map[]"},
	{Malformed("line 1"), codes.InvalidArgument, "map[detail:line 1]"},
	{NotOffered("mergeLeads"), codes.Unimplemented, "map[command:mergeLeads]"},
	{Cancelled(), codes.Canceled, "map[]"},
	{KeyLimited("departments", "marketing"), codes.PermissionDenied, "map[limit:departments to:marketing]"},
	{CursorExpired(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)), codes.OutOfRange, "map[kept_from:2026-01-05T09:00:00Z]"},
}

func TestEveryReasonHasAConstructor(t *testing.T) {
	seen := map[Reason]bool{errorsv1.ErrorReason_ERROR_REASON_UNSPECIFIED: true}
	for _, c := range every {
		t.Run(ReasonName(c.err.Reason), func(t *testing.T) {
			seen[c.err.Reason] = true
			st := Status(context.Background(), fmt.Errorf("wrapped: %w", c.err))
			if st.Code() != c.code {
				t.Errorf("code %v, want %v", st.Code(), c.code)
			}
			var info *errdetails.ErrorInfo
			var ja *errdetails.LocalizedMessage
			for _, d := range st.Details() {
				switch d := d.(type) {
				case *errdetails.ErrorInfo:
					info = d
				case *errdetails.LocalizedMessage:
					ja = d
				}
			}
			if info.GetDomain() != "tasuki" || "ERROR_REASON_"+info.GetReason() != c.err.Reason.String() {
				t.Errorf("info %v", info)
			}
			if got := fmt.Sprint(info.GetMetadata()); got != c.meta {
				t.Errorf("metadata %s, want %s", got, c.meta)
			}
			if ja.GetLocale() != "ja-JP" || ja.GetMessage() == "" || st.Message() == "" {
				t.Errorf("texts %q %v", st.Message(), ja)
			}
			back, ok := Parse(st.Err())
			if !ok || back.Reason != c.err.Reason || back.MessageJa != c.err.MessageJa || back.RetryAfter != c.err.RetryAfter {
				t.Errorf("read back %+v", back)
			}
		})
	}
	for v, name := range errorsv1.ErrorReason_name {
		if !seen[Reason(v)] {
			t.Errorf("%s has no constructor in the table of this test", name)
		}
	}
}

func TestViolationsTravel(t *testing.T) {
	err := Invalid(Field("lines[2].amount", "must be positive").Ja("正の数で入力してください。"))
	back, _ := Parse(Status(context.Background(), err).Err())
	want := Violation{Field: "lines[2].amount", Description: "must be positive", DescriptionJa: "正の数で入力してください。"}
	if len(back.Violations) != 1 || back.Violations[0] != want {
		t.Fatalf("%+v", back.Violations)
	}
	if !strings.Contains(back.Message, "lines[2].amount: must be positive") {
		t.Errorf("message %q", back.Message)
	}
}

func TestProtovalidate(t *testing.T) {
	err := protovalidate.Validate(&typev1.Person{Mail: "no-mail", Phone: strings.Repeat("0", 51)})
	back, _ := Parse(Status(context.Background(), err).Err())
	if back.Reason != ReasonInvalidFields || len(back.Violations) != 2 {
		t.Fatalf("%+v", back)
	}
	mail, phone := back.Violations[0], back.Violations[1]
	if mail.Field != "mail" || mail.Rule != "STRING_EMAIL" || !strings.Contains(mail.DescriptionJa, "メールアドレス") {
		t.Errorf("%+v", mail)
	}
	if phone.Field != "phone" || phone.DescriptionJa != "50 文字以内で入力してください。" || phone.Description == "" {
		t.Errorf("%+v", phone)
	}
}

func TestKnownErrors(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	drained, end := context.WithCancelCause(context.Background())
	end(Unavailable("marketing"))
	bg := WithCall(context.Background(), "r1", "marketing")
	upstream := status.New(codes.FailedPrecondition, "odd")
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want Reason
	}{
		"etag":                  {bg, &etag.MismatchError{Got: "1", Current: 2}, ReasonEtagMismatch},
		"page token":            {bg, fmt.Errorf("x: %w", page.ErrToken), ReasonPageTokenInvalid},
		"no rows":               {bg, store.ErrNoRows, ReasonNotFound},
		"database down":         {bg, &store.Error{Kind: store.ErrUnavailable}, ReasonDepartmentUnavailable},
		"lost all attempts":     {bg, store.ErrRetry, ReasonDepartmentUnavailable},
		"unexpected constraint": {bg, &store.Error{Kind: store.ErrUnique}, ReasonInternal},
		"deadline":              {bg, context.DeadlineExceeded, ReasonDeadlineExceeded},
		"driver at deadline":    {expired, errors.New("interrupted (9)"), ReasonDeadlineExceeded},
		"cancelled at deadline": {expired, context.Canceled, ReasonDeadlineExceeded},
		"caller gone":           {cancelled, errors.New("interrupted (9)"), ReasonCancelled},
		"caller gone, upstream": {cancelled, status.FromContextError(context.Canceled).Err(), ReasonCancelled},
		"own cancel":            {bg, context.Canceled, ReasonInternal},
		"draining":              {drained, context.Canceled, ReasonDepartmentUnavailable},
		"draining, upstream":    {drained, status.FromContextError(context.Canceled).Err(), ReasonDepartmentUnavailable},
		"upstream reason":       {bg, fmt.Errorf("call: %w", NotFound("lead", "1").GRPCStatus().Err()), ReasonNotFound},
		"upstream down":         {bg, status.Error(codes.Unavailable, "dial tcp 10.0.0.1"), ReasonDepartmentUnavailable},
		"upstream too slow":     {bg, status.Error(codes.DeadlineExceeded, "x"), ReasonDeadlineExceeded},
		"unimplemented":         {bg, status.Error(codes.Unimplemented, "x"), ReasonNotOffered},
		"upstream unknown":      {bg, status.Error(codes.Unknown, "pq: secret"), ReasonInternal},
		"message too large":     {bg, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 4)"), ReasonTooLarge},
		"upstream without":      {bg, upstream.Err(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			st := Status(c.ctx, c.err)
			if got := ReasonOf(st.Err()); got != c.want {
				t.Fatalf("%v, want %v (%v)", got, c.want, st)
			}
		})
	}
	if st := Status(bg, fmt.Errorf("wrap: %w", upstream.Err())); st.Message() != "odd" || st.Code() != codes.FailedPrecondition {
		t.Errorf("a foreign status changed: %v", st)
	}
	if e, _ := Parse(Status(bg, store.ErrRetry).Err()); e.Metadata["department"] != "marketing" {
		t.Errorf("department %v", e.Metadata)
	}
	if Status(bg, nil).Code() != codes.OK {
		t.Error("nil is no error")
	}
}

// TestLeak: what drivers, networks and bugs say stays here.
func TestLeak(t *testing.T) {
	const secret = "leads_mail_key sato@example.co.jp 10.0.0.1 /var/lib SELECT"
	ctx := WithCall(context.Background(), "4bf92f35", "marketing")
	for _, err := range []error{
		errors.New(secret), fmt.Errorf("%s: %w", secret, sql.ErrConnDone), fmt.Errorf("%s: %w", secret, store.ErrNoRows),
		fmt.Errorf("%s: %w", secret, store.ErrUnique), fmt.Errorf("%s: %w", secret, store.ErrUnavailable),
		fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), fmt.Errorf("%s: %w", secret, context.Canceled),
		fmt.Errorf("%s: %w", secret, page.ErrToken), status.Error(codes.Unknown, secret), status.Error(codes.Internal, secret),
		status.Error(codes.Unavailable, secret), status.Error(codes.DataLoss, secret),
		Internal(errors.New(secret)), TokenInvalid(errors.New(secret)), fmt.Errorf("%s: %w", secret, NotFound("lead", "1")),
		NotFound("lead", "1").Because(errors.New(secret)), fmt.Errorf("%s: %w", secret, NotFound("lead", "1").GRPCStatus().Err()),
	} {
		wire := Status(ctx, err).Proto().String()
		for _, word := range strings.Fields(secret) {
			if strings.Contains(wire, word) {
				t.Errorf("%q leaks in %s", word, wire)
			}
		}
	}
	if e, _ := Parse(Status(ctx, errors.New(secret)).Err()); e.Metadata["request_id"] != "4bf92f35" || e.Message != "internal error" {
		t.Errorf("%+v", e)
	}
}

func TestErrorForLogs(t *testing.T) {
	cause := errors.New("disk full")
	err := Internal(cause)
	if err.Error() != "internal error: disk full" || !errors.Is(err, cause) || !errors.Is(err, Internal(nil)) {
		t.Errorf("%v", err)
	}
	if errors.Is(err, NotFound("", "")) || Is(nil, ReasonInternal) || ReasonOf(cause) != 0 {
		t.Error("reasons mixed up")
	}
}
