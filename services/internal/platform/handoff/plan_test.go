package handoff_test

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff/handofftest"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/telemetry/telemetrytest"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// filled is how many handoffs the ledgers have when the plans are looked at: enough that reading all of them costs more than
// an index does.
const filled = 20_000

// large are the tables that grow with the handoffs.
var large = []string{"handoffs", "handoff_attempts", "handoff_transitions", "events"}

// TestPlans: in large ledgers, every statement of the desks, the protocol, the feed, the comparison and the measures finds its
// rows by an index. The statements are those that the code has sent: a new one is looked at by itself, once something here
// makes it be sent.
func TestPlans(t *testing.T) {
	telemetrytest.On()
	for _, engine := range []store.Engine{store.SQLite, store.Postgres} {
		for _, side := range []handoff.Side{handoff.Out, handoff.In} {
			t.Run(string(engine)+"/"+string(side), func(t *testing.T) {
				l := newLedger(t, engine, side)
				l.use(t)
				for sql, args := range l.seen {
					for _, plan := range explain(t, l.db, sql, args) {
						if reads := readsAll(plan, l.db.Engine()); reads != "" {
							t.Errorf("reads all of %s:\n%s\n%s", reads, strings.TrimSpace(sql), plan)
						}
					}
				}
				t.Logf("looked at %d statements", len(l.seen))
				if len(l.seen) < 25 {
					t.Error("these cannot be all")
				}
			})
		}
	}
}

// TestPlansNoticeALostIndex: the test above can fail.
func TestPlansNoticeALostIndex(t *testing.T) {
	t.Parallel()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		if err := handofftest.Fill(t.Context(), db, handoff.In, filled); err != nil {
			t.Fatal(err)
		}
		for _, drop := range []string{"", "DROP INDEX handoffs_journey"} {
			sql := `SELECT body FROM handoffs WHERE journey_id = $1 -- ` + drop // another text: SQLite keeps prepared plans
			if drop != "" {
				if _, err := store.Write(t.Context(), db, func(tx store.Tx) (int64, error) { return tx.Exec(t.Context(), drop) }); err != nil {
					t.Fatal(err)
				}
			}
			for _, plan := range explain(t, db, sql, []any{uuid.NewString()}) {
				if got := readsAll(plan, db.Engine()); (got == "handoffs") != (drop != "") {
					t.Errorf("after %q it says that all of %q is read:\n%s", drop, got, plan)
				}
			}
		}
	}, event.Migrations(), jobs.Migrations(), handoff.Migrations())
}

// ledger is a department with a large ledger, all of whose statements are seen.
type ledger struct {
	db       *store.DB
	side     handoff.Side
	log      *event.Log
	jobs     *jobs.Jobs
	engine   *handoff.Engine
	desk     handoffv1.HandoffDeskServiceServer
	receiver handoffv1.HandoffReceiverServiceServer
	feed     feedv1.FeedServiceServer

	mu   sync.Mutex
	seen map[string][]any
}

// RegisterService implements grpc.ServiceRegistrar: the servers are called without a network.
func (l *ledger) RegisterService(_ *grpc.ServiceDesc, impl any) {
	switch impl := impl.(type) {
	case handoffv1.HandoffDeskServiceServer:
		l.desk = impl
	case handoffv1.HandoffReceiverServiceServer:
		l.receiver = impl
	case feedv1.FeedServiceServer:
		l.feed = impl
	}
}

// neighbour takes every offer, and can be asked nothing.
type neighbour struct{ grpc.ClientConnInterface }

func (neighbour) Invoke(_ context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	if offer, ok := args.(*handoffv1.OfferRequest); ok {
		proto.Merge(reply.(proto.Message), offer.GetHandoff())
		return nil
	}
	return status.Error(codes.Unavailable, "not now")
}

func newLedger(t *testing.T, engine store.Engine, side handoff.Side) *ledger {
	t.Helper()
	l := &ledger{side: side, seen: map[string][]any{}}
	sets := []store.Migrations{event.Migrations(), jobs.Migrations(), handoff.Migrations()}
	var dsn string
	if engine == store.SQLite {
		dsn = testkit.SQLiteDSN(t, sets...)
	} else {
		dsn = testkit.PostgresDSN(t, sets...)
	}
	var err error
	l.db, err = store.Open(t.Context(), dsn, store.WithoutSync(), store.WithStatements(func(sql string, args []any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.seen[sql] = args
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.db.Close)
	if err := handofftest.Fill(t.Context(), l.db, side, filled); err != nil {
		t.Fatal(err)
	}
	clear(l.seen)
	me, other := access.Marketing, access.InsideSales
	if side == handoff.In {
		me, other = other, me
	}
	quiet := slog.New(slog.DiscardHandler)
	l.log = event.NewLog(l.db, clock.System{})
	l.jobs = jobs.New(l.db, jobs.Config{Logger: quiet})
	l.engine = handoff.New(handoff.Config{Department: me, DB: l.db, Clock: clock.System{}, Events: l.log, Jobs: l.jobs, Logger: quiet})
	l.engine.Register(handoff.KindConfig{Kind: handoffv1.Kind_KIND_MQL, From: access.Marketing, To: access.InsideSales})
	l.engine.Peer(other, neighbour{})
	l.engine.RegisterServers(l)
	l.log.RegisterServer(l)
	return l
}

// use does everything that a ledger is there for.
func (l *ledger) use(t *testing.T) {
	t.Helper()
	ctx := access.WithActor(t.Context(), access.Actor{Kind: access.KindPerson, ID: "suzuki"})
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	var end string
	caughtUp := errors.New("this is the end")
	err := l.log.Follow(ctx, event.FollowRequest{After: event.Now}, func(msg *feedv1.StreamEventsResponse) error {
		end = msg.GetCursor()
		return caughtUp
	})
	if !errors.Is(err, caughtUp) {
		t.Fatal(err)
	}
	clear(l.seen)
	l.lists(ctx, must)
	must(l.feed.ListEvents(ctx, &feedv1.ListEventsRequest{PageToken: end}))
	must(l.feed.ListEvents(ctx, &feedv1.ListEventsRequest{PageToken: end, Types: []string{"tasuki.handoff.v1.HandoffAccepted"}}))
	must(l.feed.ListEvents(ctx, &feedv1.ListEventsRequest{Subject: "handoff/" + uuid.NewString()}))
	for _, measure := range []func() func(){func() func() { return l.engine.Measure(ctx) }, func() func() { return l.log.Measure("here") }} {
		end := measure()
		telemetrytest.Values(t)
		end()
	}

	var h *handoffv1.Handoff
	if l.side == handoff.Out {
		h = l.offer(ctx, t)
		must(l.engine.Reconcile(ctx, false))
		must(l.desk.RecallHandoff(ctx, &handoffv1.RecallHandoffRequest{Id: h.GetId()}))
		for _, state := range []handoffv1.State{handoffv1.State_STATE_RETURNED, handoffv1.State_STATE_ACCEPTED} {
			told := proto.CloneOf(h)
			told.State, told.Decision = state, &handoffv1.Decision{State: state, At: h.GetOfferedAt()}
			told.DecidedAt = h.GetOfferedAt()
			if state == handoffv1.State_STATE_RETURNED {
				l.hear(ctx, t, &handoffv1.HandoffReturned{Handoff: told})
				resubmitted, err := l.desk.ResubmitHandoff(ctx, &handoffv1.ResubmitHandoffRequest{Id: h.GetId()})
				must(nil, err)
				h = resubmitted
				continue
			}
			l.hear(ctx, t, &handoffv1.HandoffAccepted{Handoff: told})
		}
		l.work(ctx, t)
	} else {
		for _, decide := range []func(id string){
			func(id string) {
				must(l.desk.AssignHandoff(ctx, &handoffv1.AssignHandoffRequest{Id: id, Assignee: "suzuki"}))
				must(l.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}))
				must(l.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: id, Note: "called"}))
			},
			func(id string) {
				must(l.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: id, Reason: "NO_BUDGET"}))
			},
			func(id string) {
				must(l.desk.ReturnHandoff(ctx, &handoffv1.ReturnHandoffRequest{Id: id, Missing: []string{"person.title"}}))
			},
			func(id string) { must(l.receiver.Recall(ctx, &handoffv1.RecallRequest{Id: id, Attempt: 1})) },
		} {
			h = l.receive(ctx, t)
			decide(h.GetId())
		}
		must(l.receiver.ListReceived(ctx, &handoffv1.ListReceivedRequest{From: "marketing"}))
		l.work(ctx, t)
	}
	must(l.desk.GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: h.GetId()}))
	must(l.desk.ListGaps(ctx, &handoffv1.ListGapsRequest{Id: h.GetId()}))
}

// lists are all of the desk: each filter alone, with and without a side, and the second page.
func (l *ledger) lists(ctx context.Context, must func(any, error)) {
	for _, box := range []handoffv1.Box{handoffv1.Box_BOX_UNSPECIFIED, handoffv1.Box_BOX_INBOX, handoffv1.Box_BOX_OUTBOX} {
		for _, req := range []*handoffv1.ListHandoffsRequest{
			{},
			{States: []handoffv1.State{handoffv1.State_STATE_OFFERED}},
			{Queue: "enterprise"},
			{Assignee: "person-7"},
			{Overdue: true},
			{States: []handoffv1.State{handoffv1.State_STATE_OFFERED, handoffv1.State_STATE_ACCEPTED}},
			{Kind: handoffv1.Kind_KIND_MQL},
			{JourneyId: uuid.NewString()},
		} {
			req.Box = box
			page, err := l.desk.ListHandoffs(ctx, req)
			must(nil, err)
			if page.GetNextPageToken() != "" {
				req.PageToken = page.GetNextPageToken()
				must(l.desk.ListHandoffs(ctx, req))
			}
		}
	}
}

func (l *ledger) payload() *handoffv1.Payload {
	return &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
		Person:     &typev1.Person{Name: &typev1.PersonName{Full: "佐藤 花子"}, Mail: "hanako@example.co.jp"},
		Company:    &typev1.Company{Name: "株式会社タスキ"},
		FirstTouch: &typev1.Touch{Channel: "EVENT"}, Score: &handoffv1.LeadScore{}, QualifyingAction: "manual",
	}}}
}

func (l *ledger) offer(ctx context.Context, t *testing.T) *handoffv1.Handoff {
	t.Helper()
	h, err := store.Write(ctx, l.db, func(tx store.Tx) (*handoffv1.Handoff, error) {
		return l.engine.Offer(ctx, tx, handoff.NewOffer{Kind: handoffv1.Kind_KIND_MQL, JourneyID: uuid.NewString(), Payload: l.payload()})
	})
	if err != nil {
		t.Fatal(err)
	}
	l.work(ctx, t)
	return h
}

func (l *ledger) receive(ctx context.Context, t *testing.T) *handoffv1.Handoff {
	t.Helper()
	sent := &handoffv1.Handoff{
		Id: uuid.NewString(), ChainId: uuid.NewString(), Attempt: 1, Kind: handoffv1.Kind_KIND_MQL, JourneyId: uuid.NewString(),
		From: "marketing", To: "inside-sales", OfferedAt: timestamppb.Now(), Payload: l.payload(),
	}
	h, err := l.receiver.Offer(ctx, &handoffv1.OfferRequest{Handoff: sent})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// hear takes in an event of the receiver.
func (l *ledger) hear(ctx context.Context, t *testing.T, data proto.Message) {
	t.Helper()
	body, err := anypb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	ev := &feedv1.Event{Id: uuid.NewString(), Data: body}
	_, err = store.Write(ctx, l.db, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, l.engine.Subscriptions()[0].Handler(ctx, tx, ev)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// work does all jobs that wait, whenever they are due; what they return is not looked at.
func (l *ledger) work(ctx context.Context, t *testing.T) {
	t.Helper()
	manual := jobs.ByHand(l.jobs)
	waiting, err := manual.Waiting(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range waiting {
		_ = manual.Work(ctx, job.ID) // clocks are early, and the neighbour does not give anything back
		if err := manual.Complete(ctx, job.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// explain is the plan of a statement for its arguments, and on PostgreSQL also the one for any. Statements without a plan
// have none.
func explain(t *testing.T, db *store.DB, sql string, args []any) []string {
	t.Helper()
	words := strings.Fields(sql)
	if len(words) == 0 || !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, strings.ToUpper(words[0])) {
		return nil
	}
	ctx := t.Context()
	if db.Engine() == store.SQLite {
		plan, err := store.Write(ctx, db, func(tx store.Tx) ([]string, error) {
			type step struct {
				ID, Parent, Notused int64
				Detail              string
			}
			steps, err := store.Select[step](ctx, tx, "EXPLAIN QUERY PLAN "+sql, args...)
			var lines []string
			for _, s := range steps {
				lines = append(lines, s.Detail)
			}
			return lines, err
		})
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return []string{strings.Join(plan, "\n")}
	}
	lines, err := store.Write(ctx, db, func(tx store.Tx) ([]string, error) { return store.Select[string](ctx, tx, "EXPLAIN "+sql, args...) })
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", len(args)), ", ")
	if len(args) > 0 {
		nulls = "(" + nulls + ")"
	}
	generic, err := store.Write(ctx, db, func(tx store.Tx) ([]string, error) {
		tx.Queue("SET LOCAL plan_cache_mode = force_generic_plan")
		tx.Queue("PREPARE looked AS " + sql)
		lines, err := store.Select[string](ctx, tx, "EXPLAIN EXECUTE looked"+nulls)
		tx.Queue("DEALLOCATE looked")
		return lines, err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return []string{strings.Join(lines, "\n"), strings.Join(generic, "\n")}
}

var scans = map[store.Engine]*regexp.Regexp{
	// With ORDER BY and LIMIT, SQLite may walk along an index.
	store.SQLite:   regexp.MustCompile(`(?m)^SCAN (\w+)(?: AS \w+)?$`),
	store.Postgres: regexp.MustCompile(`Seq Scan on (\w+)`),
}

// readsAll names the first large table that a plan reads from one end to the other.
func readsAll(plan string, engine store.Engine) string {
	for _, found := range scans[engine].FindAllStringSubmatch(plan, -1) {
		if slices.Contains(large, found[1]) {
			return found[1]
		}
	}
	return ""
}
