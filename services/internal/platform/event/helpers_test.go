package event_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Parallel()
	testkit.Engines(t, test, event.Migrations())
}

// database is an empty database on the engine of another.
func database(t testing.TB, like *store.DB) *store.DB {
	t.Helper()
	if like.Engine() == store.Postgres {
		return testkit.Postgres(t, event.Migrations())
	}
	return testkit.SQLite(t, event.Migrations())
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// background runs fn until the test ends.
func background(t testing.TB, fn func(ctx context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := fn(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// serve runs the log and its feed, and gives a client for it.
func serve(t testing.TB, log *event.Log) feedv1.FeedServiceClient {
	t.Helper()
	background(t, log.Run)
	return feedv1.NewFeedServiceClient(connect(t, log.RegisterServer))
}

// connect serves over memory.
func connect(t testing.TB, register func(grpc.ServiceRegistrar), opts ...grpc.ServerOption) *grpc.ClientConn {
	t.Helper()
	server := grpc.NewServer(opts...)
	register(server)
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends with Stop
	}()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close() // nothing depends on it
		server.Stop()
		<-served
	})
	return conn
}

func newLog(db *store.DB) *event.Log { return event.NewLog(db, clock.System{}) }

// number is event data that can be told apart.
func number(subject string, n int64) event.Event {
	return event.Event{Subject: subject, SubjectVersion: n, JourneyID: "j-" + subject, Data: wrapperspb.Int64(n)}
}

func appendEvents(t testing.TB, db *store.DB, log *event.Log, events ...event.Event) {
	t.Helper()
	if err := tryAppend(t.Context(), db, log, events...); err != nil {
		t.Fatal(err)
	}
}

func tryAppend(ctx context.Context, db *store.DB, log *event.Log, events ...event.Event) error {
	_, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, log.Append(ctx, tx, events...)
	})
	return err
}

func valueOf(t testing.TB, ev *feedv1.Event) int64 {
	t.Helper()
	var v wrapperspb.Int64Value
	if err := ev.GetData().UnmarshalTo(&v); err != nil {
		t.Fatal(err)
	}
	return v.GetValue()
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func key(subject string, n int64) string { return fmt.Sprintf("%s:%d", subject, n) }
