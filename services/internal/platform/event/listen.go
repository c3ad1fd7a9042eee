package event

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

const (
	// channel is where processes that share a PostgreSQL database tell one another of commits.
	channel = "tasuki_events"
	// tellEvery bounds how often they do. It is done after the commit and for many at once, because transactions that
	// notify commit one after another.
	tellEvery = 20 * time.Millisecond
)

// Run hears of commits of other processes (PostgreSQL) and tells them of ours until ctx ends; then it ends all streams with
// UNAVAILABLE, so that a server can stop. Without it streams look at the table every 200 ms. It may be called once.
func (l *Log) Run(ctx context.Context) error {
	defer close(l.stopped)
	if l.db.Engine() == store.SQLite {
		<-ctx.Done()
		return nil
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		l.tell(ctx)
	}()
	for ctx.Err() == nil {
		// An error is a lost connection: streams look for themselves until the next one stands.
		_ = l.listen(ctx)
		l.listening.Store(false)
		pause(ctx, time.Second)
	}
	<-told
	return nil
}

func (l *Log) listen(ctx context.Context) error {
	conn, err := l.db.Pool().Acquire(ctx)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	l.listening.Store(true)
	l.wakeup.wake() // what was committed before LISTEN
	for {
		n, err := conn.Conn().WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if n.Payload != l.id {
			l.wakeup.wake()
		}
	}
}

// hangUp closes the connection instead of giving it back: it must not listen on in the pool.
func hangUp(ctx context.Context, conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Hijack().Close(ctx) // nothing to be done about a connection that does not close
}

func (l *Log) tell(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.dirty:
		}
		// An error costs the others one slow look.
		_, _ = l.db.Pool().Exec(ctx, "SELECT pg_notify($1, $2)", channel, l.id)
		pause(ctx, tellEvery)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
