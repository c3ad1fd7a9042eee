package apikey

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// Remember is how long the answer about a key is used again: so long may a key that another replica revoked still work.
	Remember = 15 * time.Second
	// rememberMost bounds the answers that are kept.
	rememberMost = 4096
	// tokenLife is the life of the token that stands for a key inside the system. It never leaves it.
	tokenLife = 2 * time.Minute
	// usedEvery is how precisely the last use of a key is kept.
	usedEvery = time.Minute
)

// Exchange gives tokens for keys. It is safe for concurrent use.
type Exchange struct {
	DB     *store.DB
	Issuer *access.Issuer
	Clock  clock.Clock
	Logger *slog.Logger

	mu   sync.Mutex
	seen map[[sha256.Size]byte]answer
}

type answer struct {
	token string
	err   error
	until time.Time
}

// Token is the token that stands for a key. The error is a problem: TOKEN_INVALID or TOKEN_EXPIRED, or that the store
// cannot be reached.
func (e *Exchange) Token(ctx context.Context, raw string) (string, error) {
	prefix, secret, ok := parse(raw)
	if !ok {
		return "", problem.TokenInvalid(errors.New("not the form of an API key"))
	}
	now := e.Clock.Now()
	// By hash, so that no secret lies about in memory.
	sum := sha256.Sum256([]byte(raw))
	e.mu.Lock()
	a, ok := e.seen[sum]
	e.mu.Unlock()
	if ok && now.Before(a.until) {
		return a.token, a.err
	}
	a, err := e.ask(ctx, prefix, secret, now)
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", problem.Unavailable("the store of API keys").Because(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil || len(e.seen) >= rememberMost {
		e.seen = map[[sha256.Size]byte]answer{}
	}
	e.seen[sum] = a
	return a.token, a.err
}

// forget makes every key be looked up again.
func (e *Exchange) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = nil
}

// ask looks the key up. The error is the store's; what is wrong with the key is in the answer.
func (e *Exchange) ask(ctx context.Context, prefix, secret string, now time.Time) (answer, error) {
	a := answer{until: now.Add(Remember)}
	type found struct {
		key Key
		ok  bool
	}
	f, err := store.Read(ctx, e.DB, func(tx store.Tx) (found, error) {
		k, ok, err := find(ctx, tx, prefix)
		return found{k, ok}, err
	})
	if err != nil {
		return a, err
	}
	if !f.ok {
		a.err = problem.TokenInvalid(errors.New("no such API key"))
		return a, nil
	}
	if a.err = f.key.check(secret, now); a.err != nil {
		return a, nil //nolint:nilerr // the answer carries it
	}
	if f.key.ExpiresAt.Before(a.until) {
		a.until = f.key.ExpiresAt
	}
	if now.Sub(f.key.LastUsedAt) >= usedEvery {
		_, err := store.Write(store.WithoutGuard(ctx), e.DB, func(tx store.Tx) (struct{}, error) {
			return struct{}{}, used(ctx, tx, f.key.ID, now)
		})
		if err != nil {
			e.Logger.WarnContext(ctx, "the last use of an API key is not noted", "key_id", f.key.ID, "error", err)
		}
	}
	a.token, err = e.Issuer.Machine(f.key.Actor(), tokenLife)
	return a, err
}
