package event_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestSchemas(t *testing.T) { testkit.SchemasMatch(t, event.Migrations()) }

func TestListEvents(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		log := newLog(db)
		feed := serve(t, log)
		ctx := access.WithActor(t.Context(), access.Actor{Kind: access.KindPerson, ID: "sato", Name: "佐藤"})
		ctx = event.WithCause(ctx, "why")

		empty, err := feed.ListEvents(ctx, &feedv1.ListEventsRequest{})
		if err != nil || len(empty.GetEvents()) != 0 || empty.GetNextPageToken() == "" {
			t.Fatal(empty, err)
		}
		for n := int64(1); n <= 5; n++ {
			if err := tryAppend(ctx, db, log, number("a/1", n), number("b/1", n), event.Event{Subject: "c/1", Data: wrapperspb.String("x")}); err != nil {
				t.Fatal(err)
			}
		}
		all := list(t, feed, &feedv1.ListEventsRequest{PageSize: 4}, 15)
		first := all[0]
		if first.GetSubject() != "a/1" || first.GetSubjectVersion() != 1 || first.GetType() != "google.protobuf.Int64Value" ||
			first.GetJourneyId() != "j-a/1" || first.GetActor().GetId() != "sato" || first.GetActor().GetDisplayName() != "佐藤" ||
			first.GetActor().GetKind().String() != "KIND_PERSON" || first.GetCause() != "why" || len(first.GetId()) != 36 ||
			time.Since(first.GetAt().AsTime()).Abs() > time.Minute || valueOf(t, first) != 1 {
			t.Errorf("got %v", first)
		}
		bySubject := list(t, feed, &feedv1.ListEventsRequest{PageSize: 2, Subject: "b/1"}, 5)
		for i, ev := range bySubject {
			if ev.GetSubject() != "b/1" || valueOf(t, ev) != int64(i+1) {
				t.Errorf("event %d of b/1 is %v", i, ev)
			}
		}
		if byType := list(t, feed, &feedv1.ListEventsRequest{Types: []string{"google.protobuf.StringValue"}}, 5); len(byType) != 5 {
			t.Errorf("%d events of the type", len(byType))
		}
		if after := list(t, feed, &feedv1.ListEventsRequest{PageToken: empty.GetNextPageToken()}, 15); len(after) != 15 {
			t.Errorf("%d events after the cursor of the empty feed", len(after))
		}
		_, err = feed.ListEvents(ctx, &feedv1.ListEventsRequest{PageToken: "nonsense"})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("a broken cursor gives %v", err)
		}
	})
}

// list pages until want events have come: on PostgreSQL they show once no running transaction can precede them.
func list(t *testing.T, feed feedv1.FeedServiceClient, req *feedv1.ListEventsRequest, want int) []*feedv1.Event {
	t.Helper()
	var all []*feedv1.Event
	eventually(t, "the events are listed", func() bool {
		resp, err := feed.ListEvents(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, resp.GetEvents()...)
		req.PageToken = resp.GetNextPageToken()
		return len(all) >= want
	})
	return all
}

// Two transactions that commit in reverse order: the reader that looks in between sees nothing of the later one yet, and
// both in the end.
func TestReversedCommits(t *testing.T) {
	db := testkit.Postgres(t, event.Migrations())
	log := newLog(db)
	feed := serve(t, log)
	begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := store.Write(context.Background(), db, func(tx store.Tx) (struct{}, error) {
			if err := log.Append(context.Background(), tx, number("slow/1", 1)); err != nil {
				return struct{}{}, err
			}
			err := tx.Flush(context.Background())
			close(begun)
			<-finish
			return struct{}{}, err
		})
		done <- err
	}()
	<-begun
	appendEvents(t, db, log, number("quick/1", 1)) // began later, commits first

	resp, err := feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{})
	if err != nil || len(resp.GetEvents()) != 0 {
		t.Fatalf("shown before the slow one has ended: %v, %v", resp.GetEvents(), err)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	all := list(t, feed, &feedv1.ListEventsRequest{PageToken: resp.GetNextPageToken()}, 2)
	if all[0].GetSubject() != "slow/1" || all[1].GetSubject() != "quick/1" {
		t.Errorf("got %v", all)
	}
}

// A transaction that has begun first and gets hold of its subject last: its event comes last all the same.
func TestOrderOfOneSubject(t *testing.T) {
	db := testkit.Postgres(t, event.Migrations())
	log := newLog(db)
	feed := serve(t, log)
	begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		attempts := 0
		_, err := store.Write(context.Background(), db, func(tx store.Tx) (struct{}, error) {
			if attempts++; attempts == 1 {
				// It writes something else first, as the guard of an idempotency key does, and waits for a rival.
				if err := log.Append(context.Background(), tx, number("key/1", 1)); err != nil {
					return struct{}{}, err
				}
				err := tx.Flush(context.Background())
				close(begun)
				<-finish
				if err != nil {
					return struct{}{}, err
				}
			}
			return struct{}{}, log.Append(context.Background(), tx, number("contested/1", 2))
		})
		if attempts != 2 {
			err = errors.Join(err, fmt.Errorf("it took %d attempts, want 2", attempts))
		}
		done <- err
	}()
	<-begun
	appendEvents(t, db, log, number("contested/1", 1))
	close(finish)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for i, ev := range list(t, feed, &feedv1.ListEventsRequest{Subject: "contested/1"}, 2) {
		if ev.GetSubjectVersion() != int64(i+1) {
			t.Errorf("place %d of the subject has version %d", i, ev.GetSubjectVersion())
		}
	}
}

// Sixteen writers at once, some of whom fail: readers by page, by stream and by subject see every event exactly once, and
// those of one subject in order.
func TestConcurrentWriters(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		const writers, each = 16, 40
		log := newLog(db)
		feed := serve(t, log)
		streamed := follow(t, feed, &feedv1.StreamEventsRequest{}, writers*each)
		ofOne := follow(t, feed, &feedv1.StreamEventsRequest{Subject: "w/3"}, each)
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				subject := "w/" + string(rune('0'+w%10)) + strings.Repeat("x", w/10)
				for n := int64(1); n <= each; n++ {
					if n%7 == 0 { // a transaction that fails leaves nothing
						ctx, cancel := context.WithCancel(context.Background())
						_, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
							if err := log.Append(ctx, tx, number("lost/1", n)); err != nil {
								return struct{}{}, err
							}
							return struct{}{}, context.Canceled
						})
						cancel()
						if err == nil {
							t.Error("it should have failed")
						}
					}
					if err := tryAppend(context.Background(), db, log, number(subject, n)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		paged := list(t, feed, &feedv1.ListEventsRequest{PageSize: 7}, writers*each)
		wg.Wait()
		check(t, "paged", paged, writers, each)
		check(t, "streamed", <-streamed, writers, each)
		check(t, "one subject", <-ofOne, 1, each)
	})
}

func check(t *testing.T, what string, events []*feedv1.Event, writers, each int) {
	t.Helper()
	last, ids := map[string]int64{}, map[string]bool{}
	for _, ev := range events {
		if ids[ev.GetId()] {
			t.Errorf("%s: %s twice", what, ev.GetId())
		}
		ids[ev.GetId()] = true
		if v := valueOf(t, ev); v != last[ev.GetSubject()]+1 {
			t.Errorf("%s: %s has %d after %d", what, ev.GetSubject(), v, last[ev.GetSubject()])
		} else {
			last[ev.GetSubject()] = v
		}
	}
	if len(events) != writers*each || len(last) != writers {
		t.Errorf("%s: %d events of %d subjects", what, len(events), len(last))
	}
}

// follow collects what a stream brings until it has n events.
func follow(t *testing.T, feed feedv1.FeedServiceClient, req *feedv1.StreamEventsRequest, n int) <-chan []*feedv1.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := feed.StreamEvents(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	out, ended := make(chan []*feedv1.Event, 1), make(chan struct{})
	go func() {
		defer close(ended)
		var all []*feedv1.Event
		for len(all) < n {
			msg, err := stream.Recv()
			if err != nil {
				t.Errorf("after %d events: %v", len(all), err)
				break
			}
			if len(msg.GetCursors()) != len(msg.GetEvents()) || msg.GetCursor() == "" {
				t.Errorf("cursors are missing in %v", msg)
			}
			all = append(all, msg.GetEvents()...)
		}
		out <- all
	}()
	timer := time.AfterFunc(60*time.Second, cancel)
	t.Cleanup(func() { timer.Stop(); cancel(); <-ended })
	return out
}

// Every cursor of a message resumes right behind its event, and messages stay small.
func TestStreamResumesAnywhere(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		log := newLog(db)
		feed := serve(t, log)
		big := strings.Repeat("襷", 100_000)
		for range 8 {
			appendEvents(t, db, log, event.Event{Subject: "big/1", Data: wrapperspb.String(big)})
		}
		var cursors []string
		err := log.Follow(t.Context(), event.FollowRequest{}, func(msg *feedv1.StreamEventsResponse) error {
			if len(msg.GetEvents()) == 8 {
				t.Error("2.4 MB came in one message")
			}
			cursors = append(cursors, msg.GetCursors()...)
			if len(cursors) == 8 {
				return context.Canceled
			}
			return nil
		})
		if status.Code(err) != codes.Unknown && err != context.Canceled {
			t.Fatal(err)
		}
		for i, c := range cursors {
			resp, err := feed.ListEvents(t.Context(), &feedv1.ListEventsRequest{PageToken: c, PageSize: 1})
			if err != nil || len(resp.GetEvents()) != min(1, 7-i) {
				t.Errorf("after event %d come %d events, %v", i, len(resp.GetEvents()), err)
			}
		}
	})
}

func TestStreamFromNow(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		log := newLog(db)
		feed := serve(t, log)
		appendEvents(t, db, log, number("a/1", 1))
		list(t, feed, &feedv1.ListEventsRequest{}, 1)
		stream, err := feed.StreamEvents(t.Context(), &feedv1.StreamEventsRequest{After: event.Now})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := stream.Recv() // a cursor at once
		if err != nil || len(msg.GetEvents()) != 0 || msg.GetCursor() == "" {
			t.Fatal(msg, err)
		}
		began := time.Now()
		appendEvents(t, db, log, number("a/1", 2))
		msg, err = stream.Recv()
		if err != nil || len(msg.GetEvents()) != 1 || valueOf(t, msg.GetEvents()[0]) != 2 {
			t.Fatal(msg, err)
		}
		t.Logf("%s from the transaction to the reader", time.Since(began))
	})
}

// A commit of another process wakes the streams: two logs on one database are two processes.
func TestWakesOtherProcesses(t *testing.T) {
	db := testkit.Postgres(t, event.Migrations())
	here, there := newLog(db), newLog(db)
	background(t, there.Run)
	feed := serve(t, here)
	stream, err := feed.StreamEvents(t.Context(), &feedv1.StreamEventsRequest{After: event.Now})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for n := int64(1); n <= 10; n++ {
		began := time.Now()
		appendEvents(t, db, there, number("a/1", n))
		msg, err := stream.Recv()
		if err != nil || len(msg.GetEvents()) != 1 {
			t.Fatal(msg, err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if took[5] > 600*time.Millisecond { // without the wake-up it would be the slow look, a second
		t.Errorf("the median is %s", took[5])
	}
}

func TestRunEndsStreams(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		log := newLog(db)
		stop := background(t, log.Run)
		ended := make(chan error, 1)
		ready := make(chan struct{})
		go func() {
			ended <- log.Follow(context.Background(), event.FollowRequest{After: event.Now}, func(*feedv1.StreamEventsResponse) error {
				close(ready)
				return nil
			})
		}()
		<-ready
		stop()
		if err := <-ended; status.Code(err) != codes.Unavailable {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	each(t, func(t *testing.T, db *store.DB) {
		log := newLog(db)
		for _, ev := range []event.Event{{Subject: "a/1"}, {Data: wrapperspb.Int64(1)}} {
			if err := tryAppend(t.Context(), db, log, ev); err == nil {
				t.Errorf("%v was taken", ev)
			}
		}
	})
}
