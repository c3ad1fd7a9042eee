package idempotency

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Header is the metadata key that callers set.
const Header = "idempotency-key"

// MaxKey is the longest key, in bytes.
const MaxKey = 200

// DefaultTTL is how long an answer is kept.
const DefaultTTL = 24 * time.Hour

//go:embed postgres sqlite
var migrations embed.FS

// Migrations make the table.
var Migrations = store.Migrations{Name: "idempotency", FS: migrations}

// Options of Unary; the zero value is good.
type Options struct {
	// TTL is how long an answer is kept; zero is DefaultTTL.
	TTL time.Duration
	// Clock is asked for the time; nil is the system's.
	Clock clock.Clock
}

func (o Options) withDefaults() Options {
	if o.TTL == 0 {
		o.TTL = DefaultTTL
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	return o
}

// Unary guards the first store.Write of every unary command that carries a key. Reads, whose methods are named Get… or
// List…, pass. It expects the actor in the context.
func Unary(o Options) grpc.UnaryServerInterceptor {
	o = o.withDefaults()
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		key := Key(ctx)
		msg, ok := req.(proto.Message)
		if key == "" || !ok || IsRead(info.FullMethod) {
			return handler(ctx, req)
		}
		if len(key) > MaxKey {
			return nil, problem.Invalid(problem.Field(Header, fmt.Sprintf("is longer than %d bytes: send a shorter one", MaxKey)).
				Ja(fmt.Sprintf("%d バイト以内で指定してください。", MaxKey)))
		}
		g, err := newGuard(key, access.ActorOf(ctx), info.FullMethod, msg, o)
		if err != nil {
			return nil, err
		}
		return handler(store.WithGuard(ctx, g), req)
	}
}

// Key is the key of an incoming call; empty when there is none.
func Key(ctx context.Context) string {
	if vs := metadata.ValueFromIncomingContext(ctx, Header); len(vs) > 0 {
		return vs[0]
	}
	return ""
}

// IsRead reports whether a method, by its full name, only reads.
func IsRead(fullMethod string) bool {
	name := fullMethod[strings.LastIndexByte(fullMethod, '/')+1:]
	return strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List")
}

type guard struct {
	key, actor, method string
	hash               []byte
	opts               Options
}

func newGuard(key string, actor access.Actor, method string, req proto.Message, o Options) (*guard, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("idempotency: %w", err)
	}
	sum := sha256.Sum256(raw)
	return &guard{key: key, actor: actor.ID, method: method, hash: sum[:], opts: o}, nil
}

// claim takes the key, or reads what the call that has it answered. A rival that holds the key in a running transaction
// is waited for. An expired key is taken over.
const claim = `INSERT INTO idempotency_keys AS k
	(actor, method, key, request_hash, response_type, response, created_at, expires_at)
VALUES ($1, $2, $3, $4, '', $5, $6, $7)
ON CONFLICT (actor, method, key) DO UPDATE SET
	request_hash  = CASE WHEN k.expires_at <= excluded.created_at THEN excluded.request_hash ELSE k.request_hash END,
	response_type = CASE WHEN k.expires_at <= excluded.created_at THEN '' ELSE k.response_type END,
	response      = CASE WHEN k.expires_at <= excluded.created_at THEN excluded.response ELSE k.response END,
	created_at    = CASE WHEN k.expires_at <= excluded.created_at THEN excluded.created_at ELSE k.created_at END,
	expires_at    = CASE WHEN k.expires_at <= excluded.created_at THEN excluded.expires_at ELSE k.expires_at END
RETURNING request_hash, response_type, response`

// Before implements store.Guard.
func (g *guard) Before(ctx context.Context, tx store.Tx) (any, bool, error) {
	now := g.opts.Clock.Now()
	var (
		hash, response []byte
		responseType   string
	)
	err := tx.QueryRow(ctx, claim, g.actor, g.method, g.key, g.hash, []byte{}, now, now.Add(g.opts.TTL)).
		Scan(&hash, &responseType, &response)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("idempotency: %w", err)
	case !bytes.Equal(hash, g.hash):
		return nil, false, problem.IdempotencyKeyReused(g.method)
	case responseType == "":
		return nil, false, nil
	}
	answer, err := decode(responseType, response)
	return answer, err == nil, err
}

// After implements store.Guard.
func (g *guard) After(_ context.Context, tx store.Tx, result any) error {
	msg, ok := result.(proto.Message)
	if !ok {
		return fmt.Errorf("idempotency: the store.Write of %s returns a %T, not its response message", g.method, result)
	}
	raw, err := proto.Marshal(msg)
	if err != nil {
		return fmt.Errorf("idempotency: %w", err)
	}
	if raw == nil {
		raw = []byte{}
	}
	tx.Queue(`UPDATE idempotency_keys SET response_type = $1, response = $2 WHERE actor = $3 AND method = $4 AND key = $5`,
		string(msg.ProtoReflect().Descriptor().FullName()), raw, g.actor, g.method, g.key)
	return nil
}

func decode(name string, raw []byte) (proto.Message, error) {
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("idempotency: stored answer: %w", err)
	}
	msg := t.New().Interface()
	if err := proto.Unmarshal(raw, msg); err != nil {
		return nil, fmt.Errorf("idempotency: stored answer: %w", err)
	}
	return msg, nil
}

// purgeBatch keeps each transaction of Purge short.
const purgeBatch = 1000

// Purge removes keys that have expired at now, and returns how many. Call it now and then.
func Purge(ctx context.Context, db *store.DB, now time.Time) (removed int64, err error) {
	for {
		n, err := store.Write(ctx, db, func(tx store.Tx) (int64, error) {
			return tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE (actor, method, key) IN
				(SELECT actor, method, key FROM idempotency_keys WHERE expires_at <= $1 LIMIT $2)`, now, purgeBatch)
		})
		removed += n
		if err != nil || n < purgeBatch {
			return removed, err
		}
	}
}
