// Package apikey lets machines in: keys that people make, keep up and revoke, and the exchange of a key for a token of a
// few minutes that departments check like any other.
package apikey

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

// How long keys live.
const (
	DefaultLife = 90 * 24 * time.Hour
	MaxLife     = 366 * 24 * time.Hour
)

// A key is `tsk_<16 hexadecimal digits>_<52 letters and digits>`: the beginning finds it, the rest is its secret of 256
// bits. Such a secret cannot be guessed, so a plain SHA-256 of it is as good as a slow hash.
const (
	mark       = "tsk_"
	prefixSize = len(mark) + 16
	secretSize = 52
)

var letters = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Key is what is known of a key.
type Key struct {
	ID, Prefix, Name string
	Hash             []byte
	Roles            []access.Role
	Departments      []access.Department
	ReadOnly         bool
	CreatedAt        time.Time
	CreatedBy        access.Actor
	ExpiresAt        time.Time
	LastUsedAt       time.Time // zero: never
	RevokedAt        time.Time // zero: not
	RevokedBy        access.Actor
}

// New makes a key and its secret text. A zero end is DefaultLife ahead.
func New(k Key, now time.Time) (_ Key, text string, err error) {
	switch {
	case k.ExpiresAt.IsZero():
		k.ExpiresAt = now.Add(DefaultLife)
	case !k.ExpiresAt.After(now):
		return Key{}, "", problem.Invalid(problem.Field("expire_time", "must be in the future").Ja("未来の日時を指定してください。"))
	case k.ExpiresAt.After(now.Add(MaxLife)):
		return Key{}, "", problem.Invalid(problem.Field("expire_time", "must be at most 366 days ahead").Ja("366 日以内を指定してください。"))
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, "", err
	}
	var random [8 + 32]byte
	_, _ = rand.Read(random[:]) // never fails
	secret := letters.EncodeToString(random[8:])
	k.ID, k.Prefix, k.CreatedAt = id.String(), mark+hex.EncodeToString(random[:8]), now
	k.Hash = hash(secret)
	return k, k.Prefix + "_" + secret, nil
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// Is reports whether a bearer token is meant as a key.
func Is(raw string) bool { return strings.HasPrefix(raw, mark) }

// parse takes a key apart; ok is false for what cannot be one.
func parse(raw string) (prefix, secret string, ok bool) {
	if len(raw) != prefixSize+1+secretSize || !Is(raw) || raw[prefixSize] != '_' {
		return "", "", false
	}
	return raw[:prefixSize], raw[prefixSize+1:], true
}

// check says whether the secret opens the key now. The error is a problem.
func (k Key) check(secret string, now time.Time) error {
	switch {
	case subtle.ConstantTimeCompare(hash(secret), k.Hash) != 1:
		return problem.TokenInvalid(fmt.Errorf("the secret of %s is wrong", k.Prefix))
	case !k.RevokedAt.IsZero():
		return problem.TokenInvalid(fmt.Errorf("%s is revoked", k.Prefix))
	case !now.Before(k.ExpiresAt):
		return problem.TokenExpired()
	}
	return nil
}

// subject starts the id of every holder of a key.
const subject = "api-key:"

// Actor is who holds the key.
func (k Key) Actor() access.Actor {
	return access.Actor{
		Kind: access.KindService, ID: subject + k.ID, Name: k.Name, Roles: k.Roles, Departments: k.Departments, ReadOnly: k.ReadOnly,
	}
}
