package problem

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	errorsv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/errors/v1"
)

// Short names of the reasons, for switches in callers.
const (
	ReasonInvalidFields         = errorsv1.ErrorReason_ERROR_REASON_INVALID_FIELDS
	ReasonNotFound              = errorsv1.ErrorReason_ERROR_REASON_RESOURCE_NOT_FOUND
	ReasonExists                = errorsv1.ErrorReason_ERROR_REASON_RESOURCE_EXISTS
	ReasonIllegalTransition     = errorsv1.ErrorReason_ERROR_REASON_ILLEGAL_TRANSITION
	ReasonGuardNotMet           = errorsv1.ErrorReason_ERROR_REASON_GUARD_NOT_MET
	ReasonEtagMismatch          = errorsv1.ErrorReason_ERROR_REASON_ETAG_MISMATCH
	ReasonIdempotencyKeyReused  = errorsv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED
	ReasonPageTokenInvalid      = errorsv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID
	ReasonTokenMissing          = errorsv1.ErrorReason_ERROR_REASON_TOKEN_MISSING
	ReasonTokenInvalid          = errorsv1.ErrorReason_ERROR_REASON_TOKEN_INVALID
	ReasonTokenExpired          = errorsv1.ErrorReason_ERROR_REASON_TOKEN_EXPIRED
	ReasonRoleMissing           = errorsv1.ErrorReason_ERROR_REASON_ROLE_MISSING
	ReasonTooLarge              = errorsv1.ErrorReason_ERROR_REASON_TOO_LARGE
	ReasonFileEncodingUnknown   = errorsv1.ErrorReason_ERROR_REASON_FILE_ENCODING_UNKNOWN
	ReasonFileNotCSV            = errorsv1.ErrorReason_ERROR_REASON_FILE_NOT_CSV
	ReasonPayloadIncomplete     = errorsv1.ErrorReason_ERROR_REASON_PAYLOAD_INCOMPLETE
	ReasonDecisionTaken         = errorsv1.ErrorReason_ERROR_REASON_DECISION_TAKEN
	ReasonReasonUnknown         = errorsv1.ErrorReason_ERROR_REASON_REASON_UNKNOWN
	ReasonDepartmentUnavailable = errorsv1.ErrorReason_ERROR_REASON_DEPARTMENT_UNAVAILABLE
	ReasonDeadlineExceeded      = errorsv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED
	ReasonRateLimited           = errorsv1.ErrorReason_ERROR_REASON_RATE_LIMITED
	ReasonInternal              = errorsv1.ErrorReason_ERROR_REASON_INTERNAL
	ReasonMalformed             = errorsv1.ErrorReason_ERROR_REASON_REQUEST_MALFORMED
	ReasonNotOffered            = errorsv1.ErrorReason_ERROR_REASON_NOT_OFFERED
	ReasonCancelled             = errorsv1.ErrorReason_ERROR_REASON_CANCELLED
	ReasonKeyLimited            = errorsv1.ErrorReason_ERROR_REASON_KEY_LIMITED
	ReasonCursorExpired         = errorsv1.ErrorReason_ERROR_REASON_CURSOR_EXPIRED
)

var codeOf = map[Reason]codes.Code{
	ReasonInvalidFields:         codes.InvalidArgument,
	ReasonNotFound:              codes.NotFound,
	ReasonExists:                codes.AlreadyExists,
	ReasonIllegalTransition:     codes.FailedPrecondition,
	ReasonGuardNotMet:           codes.FailedPrecondition,
	ReasonEtagMismatch:          codes.Aborted,
	ReasonIdempotencyKeyReused:  codes.FailedPrecondition,
	ReasonPageTokenInvalid:      codes.InvalidArgument,
	ReasonTokenMissing:          codes.Unauthenticated,
	ReasonTokenInvalid:          codes.Unauthenticated,
	ReasonTokenExpired:          codes.Unauthenticated,
	ReasonRoleMissing:           codes.PermissionDenied,
	ReasonTooLarge:              codes.ResourceExhausted,
	ReasonFileEncodingUnknown:   codes.InvalidArgument,
	ReasonFileNotCSV:            codes.InvalidArgument,
	ReasonPayloadIncomplete:     codes.FailedPrecondition,
	ReasonDecisionTaken:         codes.Aborted,
	ReasonReasonUnknown:         codes.InvalidArgument,
	ReasonDepartmentUnavailable: codes.Unavailable,
	ReasonDeadlineExceeded:      codes.DeadlineExceeded,
	ReasonRateLimited:           codes.ResourceExhausted,
	ReasonInternal:              codes.Internal,
	ReasonMalformed:             codes.InvalidArgument,
	ReasonNotOffered:            codes.Unimplemented,
	ReasonCancelled:             codes.Canceled,
	ReasonKeyLimited:            codes.PermissionDenied,
	ReasonCursorExpired:         codes.OutOfRange,
}

// Code is the gRPC code of a reason; INTERNAL for one that is not in the catalogue.
func Code(r Reason) codes.Code {
	if c, ok := codeOf[r]; ok {
		return c
	}
	return codes.Internal
}

// build makes an error; meta is key, value, key, value …
func build(r Reason, en, ja string, meta ...string) *Error {
	m := make(map[string]string, len(meta)/2)
	for i := 0; i+1 < len(meta); i += 2 {
		m[meta[i]] = meta[i+1]
	}
	return &Error{Reason: r, Message: en, MessageJa: ja, Metadata: m}
}

// Invalid says that fields of the request are wrong.
func Invalid(violations ...Violation) *Error {
	parts := make([]string, len(violations))
	for i, v := range violations {
		parts[i] = v.Field + ": " + v.Description
	}
	en := "the request is not valid"
	if len(parts) > 0 {
		en += ": " + strings.Join(parts, "; ")
	}
	e := build(ReasonInvalidFields, en, "入力に誤りがあります。各項目の指摘をご確認ください。")
	e.Violations = violations
	return e
}

// NotFound says that the resource, for instance "lead", with this id does not exist.
func NotFound(resource, id string) *Error {
	return build(ReasonNotFound, fmt.Sprintf("%s %q does not exist", resource, id),
		fmt.Sprintf("%s「%s」は見つかりません。", resource, id), "resource", resource, "id", id)
}

// Exists says that a resource with the same key exists already; id is the id of the existing one.
func Exists(resource, id string) *Error {
	return build(ReasonExists, fmt.Sprintf("%s exists already with id %q", resource, id),
		fmt.Sprintf("%s はすでに登録されています（id: %s）。", resource, id), "resource", resource, "id", id)
}

// IllegalTransition says that the command is not allowed in the present state; legal are the commands that are.
func IllegalTransition(resource, state, command string, legal []string) *Error {
	now := strings.Join(legal, ",")
	shown := now
	if shown == "" {
		shown = "-"
	}
	return build(ReasonIllegalTransition,
		fmt.Sprintf("%s is %s: %s is not allowed; allowed now: %s", resource, state, command, shown),
		fmt.Sprintf("%s は %s のため %s できません。今できる操作: %s", resource, state, command, shown),
		"resource", resource, "state", state, "command", command, "legal", now)
}

// GuardNotMet says that the state allows the command, but these conditions of it are missing.
func GuardNotMet(command string, missing ...string) *Error {
	m := strings.Join(missing, ",")
	return build(ReasonGuardNotMet, fmt.Sprintf("%s is not possible yet; missing: %s", command, m),
		fmt.Sprintf("%s の条件を満たしていません。不足: %s", command, m), "command", command, "missing", m)
}

// EtagMismatch says that the resource was changed since it was read; current is its etag now.
func EtagMismatch(current string) *Error {
	return build(ReasonEtagMismatch, "the resource was changed since you read it: read it again and send its new etag",
		"読み込み後に別の変更がありました。最新の内容を読み込み直してください。", "current", current)
}

// IdempotencyKeyReused says that the key was used for method with another request.
func IdempotencyKeyReused(method string) *Error {
	return build(ReasonIdempotencyKeyReused, "this idempotency key was used with another request: send a new key",
		"この Idempotency-Key は別の内容で使用済みです。新しいキーを指定してください。", "method", method)
}

// PageTokenInvalid says that the page token is damaged or belongs to another query.
func PageTokenInvalid() *Error {
	return build(ReasonPageTokenInvalid, "the page token does not belong to this query: start again without one",
		"page_token がこの検索条件のものではありません。指定せずに最初から取得してください。")
}

// TokenMissing says that the call needs a token and has none.
func TokenMissing() *Error {
	return build(ReasonTokenMissing, "sign in first: send a token in the header `authorization: Bearer …`",
		"ログインが必要です。authorization ヘッダーにトークンを指定してください。")
}

// TokenInvalid says that the token is not one of ours. The cause is only logged.
func TokenInvalid(cause error) *Error {
	return build(ReasonTokenInvalid, "the token is not valid here: get one from the issuer of this system",
		"トークンが無効です。本システムの発行者から取得し直してください。").Because(cause)
}

// TokenExpired says that the token was good once.
func TokenExpired() *Error {
	return build(ReasonTokenExpired, "the token has expired: get a new one",
		"トークンの有効期限が切れています。取得し直してください。")
}

// RoleMissing says that none of the caller's roles may do this.
func RoleMissing(needs, has []string) *Error {
	n, h := strings.Join(needs, ","), strings.Join(has, ",")
	return build(ReasonRoleMissing, fmt.Sprintf("your role may not do this; it needs one of: %s", n),
		fmt.Sprintf("この操作の権限がありません。必要なロール: %s", n), "needs", n, "has", h)
}

// TooLarge says that a body or file is over the limit, in bytes.
func TooLarge(limitBytes int64) *Error {
	l := strconv.FormatInt(limitBytes, 10)
	return build(ReasonTooLarge, fmt.Sprintf("too large: the limit is %s bytes", l),
		fmt.Sprintf("サイズが上限（%s バイト）を超えています。", l), "limit_bytes", l)
}

// FileEncodingUnknown says that the encoding of a text file could not be told.
func FileEncodingUnknown() *Error {
	return build(ReasonFileEncodingUnknown, "the text encoding of the file could not be told: save it as UTF-8 or Shift_JIS",
		"文字コードを判別できません。UTF-8 または Shift_JIS で保存し直してください。")
}

// FileNotCSV says that the file is no CSV with a header row; detail says what was found, and may be sent to the client.
func FileNotCSV(detail string) *Error {
	return build(ReasonFileNotCSV, "the file is not a CSV with a header row: "+detail,
		"見出し行のある CSV ファイルではありません。", "detail", detail)
}

// PayloadIncomplete says what a handoff of the kind lacks, by field path.
func PayloadIncomplete(kind string, missing ...string) *Error {
	m := strings.Join(missing, ",")
	return build(ReasonPayloadIncomplete, fmt.Sprintf("the %s handoff is incomplete; missing: %s", kind, m),
		fmt.Sprintf("引き継ぎ（%s）に不足があります: %s", kind, m), "kind", kind, "missing", m)
}

// DecisionTaken says that somebody else decided first.
func DecisionTaken(decision, by string, at time.Time) *Error {
	t := at.UTC().Format(time.RFC3339)
	return build(ReasonDecisionTaken, fmt.Sprintf("already decided: %s by %s at %s", decision, by, t),
		fmt.Sprintf("すでに %s さんが %s に決定しています（%s）。", by, t, decision), "decision", decision, "by", by, "at", t)
}

// ReasonUnknown says that the reason code does not apply to the kind of handoff; known are the codes that do.
func ReasonUnknown(code, kind string, known ...string) *Error {
	k := strings.Join(known, ",")
	return build(ReasonReasonUnknown, fmt.Sprintf("reason %q does not apply to %s; use one of: %s", code, kind, k),
		fmt.Sprintf("理由コード「%s」は %s には使えません。使えるコード: %s", code, kind, k),
		"code", code, "kind", kind, "known", k)
}

// Unavailable says that a department, for instance "inside-sales", cannot answer now.
func Unavailable(department string) *Error {
	e := build(ReasonDepartmentUnavailable, fmt.Sprintf("%s cannot be reached at the moment: try again", department),
		fmt.Sprintf("%s に現在接続できません。しばらくしてから再度お試しください。", department), "department", department)
	e.RetryAfter = time.Second
	return e
}

// DeadlineExceeded says that the call took too long, and may have happened all the same.
func DeadlineExceeded() *Error {
	return build(ReasonDeadlineExceeded,
		"the call took longer than its deadline; it may have happened: repeat it with the same idempotency key",
		"時間内に完了しませんでした。処理済みの可能性があるため、同じ Idempotency-Key で再度お試しください。")
}

// RateLimited says that there were too many calls; after is when to try again.
func RateLimited(after time.Duration) *Error {
	e := build(ReasonRateLimited, "too many calls: slow down", "アクセスが集中しています。間隔を空けて再度お試しください。")
	e.RetryAfter = after
	return e
}

// Internal hides cause from the client. Status adds the request id.
func Internal(cause error) *Error {
	return build(ReasonInternal, "internal error",
		"内部エラーが発生しました。お手数ですが request_id を添えてお問い合わせください。").Because(cause)
}

// Malformed says that the request could not be read; detail says where, and may be sent to the client.
func Malformed(detail string) *Error {
	return build(ReasonMalformed, "the request could not be read: "+detail, "リクエストの形式が正しくありません。", "detail", detail)
}

// NotOffered says that the contract knows the command, but this version does not offer it yet.
func NotOffered(command string) *Error {
	return build(ReasonNotOffered, command+" is not offered by this version yet",
		command+" はこのバージョンではまだ提供していません。", "command", command)
}

// Cancelled says that the caller went away.
func Cancelled() *Error {
	return build(ReasonCancelled, "the caller went away before the answer was ready",
		"呼び出し元により中断されました。")
}

// KeyLimited says that the caller's API key is limited: to departments, by name with commas between, or to reading.
func KeyLimited(limit, to string) *Error {
	return build(ReasonKeyLimited, fmt.Sprintf("your API key may not do this; it is limited: %s = %s", limit, to),
		fmt.Sprintf("この API キーでは許可されていない操作です（制限: %s = %s）。", limit, to), "limit", limit, "to", to)
}

// CursorExpired says that the events behind a cursor of the feed are gone; keptFrom is the time of the oldest that is left, or
// zero.
func CursorExpired(keptFrom time.Time) *Error {
	e := build(ReasonCursorExpired, "events behind this cursor are no longer kept: start again with an empty cursor, and reconcile what was missed",
		"このカーソルより後のイベントは保存期間を過ぎて削除されました。空のカーソルからやり直し、欠落分を照合してください。")
	if !keptFrom.IsZero() {
		e.Metadata = map[string]string{"kept_from": keptFrom.UTC().Format(time.RFC3339)}
	}
	return e
}
