package idempotency

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

const (
	capture = "/tasuki.rpctest.v1.RelayService/CreatePerson"
	schema  = "-- +goose Up\nCREATE TABLE effects (id TEXT NOT NULL PRIMARY KEY);\n"
)

var effects = store.Migrations{Name: "effects", FS: fstest.MapFS{
	"postgres/0001_effects.sql": {Data: []byte(schema)}, "sqlite/0001_effects.sql": {Data: []byte(schema)},
}}

// house is a service with one command, whose effect is a row and whose answer tells which.
type house struct {
	t     *testing.T
	db    *store.DB
	clock *testkit.Clock
	call  grpc.UnaryServerInterceptor
	mu    sync.Mutex
	runs  int
	fail  error
}

func newHouse(t *testing.T, db *store.DB) *house {
	h := &house{t: t, db: db, clock: testkit.NewClock(time.Time{})}
	h.call = Unary(Options{Clock: h.clock})
	return h
}

func engines(t *testing.T, test func(*testing.T, *house)) {
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, newHouse(t, db)) }, Migrations, effects)
}

func (h *house) handle(ctx context.Context, req any) (any, error) {
	h.mu.Lock()
	h.runs++
	id := fmt.Sprint("effect-", h.runs)
	fail := h.fail
	h.mu.Unlock()
	return store.Write(ctx, h.db, func(tx store.Tx) (*typev1.Person, error) {
		tx.Queue(`INSERT INTO effects (id) VALUES ($1)`, id)
		if fail != nil {
			return nil, fail
		}
		return &typev1.Person{Id: id, Name: req.(*typev1.Person).GetName()}, nil
	})
}

func as(actor, key string) context.Context {
	ctx := access.WithActor(store.Sharing(context.Background()), access.Actor{Kind: access.KindPerson, ID: actor})
	if key == "" {
		return ctx
	}
	return metadata.NewIncomingContext(ctx, metadata.Pairs(Header, key))
}

func person(name string) *typev1.Person { return &typev1.Person{Name: &typev1.PersonName{Full: name}} }

func (h *house) send(ctx context.Context, method string, req *typev1.Person) (*typev1.Person, error) {
	resp, err := h.call(ctx, req, &grpc.UnaryServerInfo{FullMethod: method}, h.handle)
	if err != nil {
		return nil, err
	}
	return resp.(*typev1.Person), nil
}

func (h *house) must(ctx context.Context, method string, req *typev1.Person) *typev1.Person {
	h.t.Helper()
	p, err := h.send(ctx, method, req)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

func (h *house) rows(table string) int {
	h.t.Helper()
	n, err := store.Read(context.Background(), h.db, func(tx store.Tx) (int, error) {
		return store.Get[int](context.Background(), tx, "SELECT count(*) FROM "+table)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

func TestReplay(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		first := h.must(as("sato", "k1"), capture, person("花子"))
		again := h.must(as("sato", "k1"), capture, person("花子"))
		if !proto.Equal(first, again) || h.rows("effects") != 1 {
			t.Errorf("%v, then %v, %d effects", first, again, h.rows("effects"))
		}
		_, err := h.send(as("sato", "k1"), capture, person("太郎"))
		if e, _ := problem.Parse(err); e == nil || e.Reason != problem.ReasonIdempotencyKeyReused || e.Metadata["method"] != capture {
			t.Errorf("another request: %v", err)
		}
		for name, other := range map[string]*typev1.Person{
			"another caller": h.must(as("tanaka", "k1"), capture, person("花子")),
			"another method": h.must(as("sato", "k1"), capture+"Again", person("花子")),
			"another key":    h.must(as("sato", "k2"), capture, person("花子")),
			"no key":         h.must(as("sato", ""), capture, person("花子")),
			"no key again":   h.must(as("sato", ""), capture, person("花子")),
		} {
			if other.GetId() == first.GetId() {
				t.Errorf("%s got the same answer", name)
			}
		}
	})
}

func TestParallelCallsHaveOneEffect(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		const n = 16
		answers := make([]*typev1.Person, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				p, err := h.send(as("sato", "k1"), capture, person("花子"))
				if err != nil {
					t.Error(err)
				}
				answers[i] = p
			})
		}
		wg.Wait()
		for _, p := range answers {
			if !proto.Equal(p, answers[0]) {
				t.Errorf("%v and %v", p, answers[0])
			}
		}
		if got := h.rows("effects"); got != 1 {
			t.Errorf("%d effects", got)
		}
	})
}

func TestParallelCallsWhereSomeFail(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		h.fail = problem.GuardNotMet("capture", "consent")
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := h.send(as("sato", "k1"), capture, person("花子")); !problem.Is(err, problem.ReasonGuardNotMet) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if h.rows("effects") != 0 || h.rows("idempotency_keys") != 0 {
			t.Errorf("failures leave %d effects and %d keys", h.rows("effects"), h.rows("idempotency_keys"))
		}
		h.fail = nil
		h.must(as("sato", "k1"), capture, person("花子"))
	})
}

func TestPanicLeavesNothing(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is lost")
				}
			}()
			_, _ = h.call(as("sato", "k1"), person("花子"), &grpc.UnaryServerInfo{FullMethod: capture}, func(ctx context.Context, _ any) (any, error) {
				return store.Write(ctx, h.db, func(tx store.Tx) (*typev1.Person, error) {
					tx.Queue(`INSERT INTO effects (id) VALUES ('x')`)
					if err := tx.Flush(ctx); err != nil {
						return nil, err
					}
					panic("bug")
				})
			})
		}()
		if h.rows("effects") != 0 || h.rows("idempotency_keys") != 0 {
			t.Error("a panic left something behind")
		}
		h.must(as("sato", "k1"), capture, person("花子"))
	})
}

func TestExpiry(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		first := h.must(as("sato", "k1"), capture, person("花子"))
		h.must(as("sato", "k2"), capture, person("花子"))
		h.clock.Advance(DefaultTTL - time.Second)
		if again := h.must(as("sato", "k1"), capture, person("花子")); again.GetId() != first.GetId() {
			t.Error("forgotten too early")
		}
		if n, err := Purge(context.Background(), h.db, h.clock.Now()); n != 0 || err != nil {
			t.Errorf("purged %d too early, %v", n, err)
		}
		h.clock.Advance(time.Second)
		fresh := h.must(as("sato", "k1"), capture, person("太郎")) // an expired key may serve another request
		if again := h.must(as("sato", "k1"), capture, person("太郎")); fresh.GetId() == first.GetId() || again.GetId() != fresh.GetId() {
			t.Errorf("%v %v %v", first, fresh, again)
		}
		if n, err := Purge(context.Background(), h.db, h.clock.Now()); n != 1 || err != nil || h.rows("idempotency_keys") != 1 {
			t.Errorf("purged %d, %v, %d left", n, err, h.rows("idempotency_keys"))
		}
	})
}

func TestEmptyAnswerIsReplayed(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		runs := 0
		for range 2 {
			resp, err := h.call(as("sato", "k1"), person("花子"), &grpc.UnaryServerInfo{FullMethod: capture}, func(ctx context.Context, _ any) (any, error) {
				return store.Write(ctx, h.db, func(store.Tx) (*emptypb.Empty, error) { runs++; return &emptypb.Empty{}, nil })
			})
			if _, ok := resp.(*emptypb.Empty); err != nil || !ok {
				t.Fatalf("%v %v", resp, err)
			}
		}
		if runs != 1 {
			t.Errorf("ran %d times", runs)
		}
	})
}

// TestSecondTryIsProtected: a handler that writes again after a failure is as safe as one that succeeds at once.
func TestSecondTryIsProtected(t *testing.T) {
	engines(t, func(t *testing.T, h *house) {
		lost := errors.New("lost against a rival")
		_, err := h.call(as("sato", "k1"), person("花子"), &grpc.UnaryServerInfo{FullMethod: capture}, func(ctx context.Context, req any) (any, error) {
			if _, err := store.Write(ctx, h.db, func(store.Tx) (*typev1.Person, error) { return nil, lost }); !errors.Is(err, lost) {
				t.Errorf("%v", err)
			}
			return h.handle(ctx, req)
		})
		if err != nil || h.rows("idempotency_keys") != 1 || h.rows("effects") != 1 {
			t.Errorf("%v, %d keys, %d effects", err, h.rows("idempotency_keys"), h.rows("effects"))
		}
	})
}

func TestMisuseIsNamed(t *testing.T) {
	h := newHouse(t, testkit.SQLite(t, Migrations, effects))
	_, err := h.call(as("sato", "k1"), person("花子"), &grpc.UnaryServerInfo{FullMethod: capture}, func(ctx context.Context, _ any) (any, error) {
		return store.Write(ctx, h.db, func(store.Tx) (string, error) { return "no message", nil })
	})
	if err == nil || !strings.Contains(err.Error(), "returns a string, not its response message") || h.rows("idempotency_keys") != 0 {
		t.Errorf("%v", err)
	}
	if _, err := h.send(as("sato", strings.Repeat("k", MaxKey+1)), capture, person("花子")); !problem.Is(err, problem.ReasonInvalidFields) {
		t.Errorf("a key too long: %v", err)
	}
	h.must(as("sato", strings.Repeat("k", MaxKey)), capture, person("花子"))
}

func TestReadsPass(t *testing.T) {
	db := testkit.SQLite(t, Migrations, effects)
	h := newHouse(t, db)
	h.must(as("sato", "k1"), "/a.B/ListPeople", person("花子"))
	h.must(as("sato", "k1"), "/a.B/GetPerson", person("太郎"))
	if h.rows("idempotency_keys") != 0 || h.rows("effects") != 2 {
		t.Error("a read took a key")
	}
	boom := errors.New("boom")
	if _, err := h.call(as("sato", "k1"), "no message", &grpc.UnaryServerInfo{FullMethod: capture}, func(context.Context, any) (any, error) {
		return nil, boom
	}); !errors.Is(err, boom) {
		t.Error(err)
	}
}

func TestSchemasMatch(t *testing.T) { testkit.SchemasMatch(t, Migrations) }
