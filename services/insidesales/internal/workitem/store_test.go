package workitem

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/insidesales/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func TestSchemasMatch(t *testing.T) { testkit.SchemasMatch(t, migrations.Set) }

// engines runs a test on both engines with a store of work items.
func engines(t *testing.T, test func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		c := testkit.NewClock(time.Time{})
		test(t, db, NewStore(event.NewLog(db, c)), c)
	}, event.Migrations(), people.Migrations(), migrations.Set)
}

func write(t *testing.T, db *store.DB, fn func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	ctx := access.WithActor(context.Background(), sato)
	if _, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) { return struct{}{}, fn(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

func read[T any](t *testing.T, db *store.DB, fn func(ctx context.Context, tx store.Tx) (T, error)) T {
	t.Helper()
	v, err := store.Read(context.Background(), db, func(tx store.Tx) (T, error) { return fn(context.Background(), tx) })
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// prospect is an MQL handoff of a person.
func prospect(n int) *handoffv1.Handoff {
	return &handoffv1.Handoff{
		Id: party.NewID(), JourneyId: party.NewID(), PersonId: party.NewID(), AccountId: party.NewID(), Attempt: 1,
		Kind: handoffv1.Kind_KIND_MQL, Payload: &handoffv1.Payload{Kind: &handoffv1.Payload_Mql{Mql: &handoffv1.MqlPayload{
			Person: &typev1.Person{
				Name: &typev1.PersonName{Family: "佐藤", Given: "花子", Full: "佐藤 花子"},
				Mail: fmt.Sprintf("Hanako%d@Example.co.jp", n), Phone: "03-1234-5678", Title: "営業部長",
			},
			Company:          &typev1.Company{Name: "株式会社タスキ", Domain: "example.co.jp", Industry: "IT", Employees: 120},
			FirstTouch:       &typev1.Touch{Channel: "SEMINAR"},
			Score:            &handoffv1.LeadScore{Fit: 40, Behaviour: 30, Total: 70},
			QualifyingAction: "demo_request", RecycleCount: 2, Hot: true, Notes: "メモ",
		}}},
	}
}

func TestSaveAndRead(t *testing.T) {
	engines(t, func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock) {
		hooks, h := NewHooks(items, c), prospect(1)
		var made *WorkItem
		write(t, db, func(ctx context.Context, tx store.Tx) error {
			if _, err := hooks.received(ctx, tx, h); err != nil {
				return err
			}
			var err error
			made, err = items.ForHandoff(ctx, tx, h.GetId())
			return err
		})
		if made.State != New || made.Queue != QueueSDR || !made.Hot || made.Person.Phone != "+81312345678" {
			t.Fatalf("%+v", made)
		}
		next := c.Now().Add(time.Hour)
		c.Advance(90 * time.Minute)
		write(t, db, func(ctx context.Context, tx store.Tx) error {
			w, err := items.ForUpdate(ctx, tx, made.ID, etag.Match("1"))
			if err != nil {
				return err
			}
			if err := w.AcceptBy("sato", sato, "mine", c.Now()); err != nil {
				return err
			}
			a := activity.Activity{
				ID: party.NewID(), WorkItemID: w.ID, JourneyID: w.JourneyID, PersonID: w.Person.ID,
				Kind: activity.Call, Direction: activity.Outbound, Result: activity.Connected, Note: "話した",
				OccurredAt: c.Now(), CreatedAt: c.Now(), Actor: sato,
			}
			if _, err := w.Log(a, &next, c.Now()); err != nil {
				return err
			}
			if err := items.Save(ctx, tx, w); err != nil {
				return err
			}
			made = w
			return nil
		})
		got := read(t, db, func(ctx context.Context, tx store.Tx) (*WorkItem, error) { return items.Get(ctx, tx, made.ID) })
		if d := cmp.Diff(made, got, cmpopts.IgnoreUnexported(WorkItem{}), cmpopts.IgnoreFields(WorkItem{}, "Offer")); d != "" {
			t.Errorf("read back otherwise: %s", d)
		}
		offer, err := offerOf(got)
		if err != nil || offer.GetScore().GetTotal() != 70 || offer.GetRecycleCount() != 2 {
			t.Errorf("%v %v", offer, err)
		}
		history := read(t, db, func(ctx context.Context, tx store.Tx) ([]Transition, error) {
			return items.Transitions(ctx, tx, made.ID)
		})
		start := c.Now().Add(-90 * time.Minute)
		want := []Transition{
			{To: New, At: start, Actor: sato},
			{From: New, To: Accepted, At: c.Now(), Actor: sato, Note: "mine", InFrom: 90 * time.Minute},
			{From: Accepted, To: Working, At: c.Now(), Actor: sato},
			{From: Working, To: Connected, At: c.Now(), Actor: sato},
		}
		if d := cmp.Diff(want, history); d != "" {
			t.Error(d)
		}
		acts := read(t, db, func(ctx context.Context, tx store.Tx) ([]activity.Activity, error) {
			return activity.List(ctx, tx, made.ID, nil, 10)
		})
		if len(acts) != 1 || acts[0].Note != "話した" || acts[0].Result != activity.Connected {
			t.Errorf("%+v", acts)
		}
		type told struct {
			Type           string
			SubjectVersion int64
		}
		events := read(t, db, func(ctx context.Context, tx store.Tx) ([]told, error) {
			return store.Select[told](ctx, tx, `SELECT type, subject_version FROM events ORDER BY xid, seq`)
		})
		const p = "tasuki.insidesales.v1."
		wantEvents := []told{
			{p + "WorkItemCreated", 1},
			{p + "WorkItemAssigned", 2},
			{p + "WorkItemStateChanged", 3},
			{p + "ActivityLogged", 4},
			{p + "WorkItemStateChanged", 5},
			{p + "WorkItemStateChanged", 6},
		}
		if d := cmp.Diff(wantEvents, events); d != "" {
			t.Error(d)
		}
	})
}

func TestEtagAndNotFound(t *testing.T) {
	engines(t, func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock) {
		h := prospect(1)
		write(t, db, func(ctx context.Context, tx store.Tx) error {
			_, err := NewHooks(items, c).received(ctx, tx, h)
			return err
		})
		ctx := context.Background()
		_, err := store.Write(ctx, db, func(tx store.Tx) (*WorkItem, error) {
			w, err := items.ForHandoff(ctx, tx, h.GetId())
			if err != nil {
				return nil, err
			}
			return items.ForUpdate(ctx, tx, w.ID, etag.Match("7"))
		})
		if _, stale := err.(*etag.MismatchError); !stale {
			t.Errorf("a stale etag gives %v", err)
		}
		_, err = store.Read(ctx, db, func(tx store.Tx) (*WorkItem, error) { return items.Get(ctx, tx, party.NewID()) })
		if !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("%v", err)
		}
	})
}

// Another attempt of a handoff brings the same work item back, and says what is new.
func TestNextAttempt(t *testing.T) {
	engines(t, func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock) {
		hooks, h := NewHooks(items, c), prospect(1)
		step := func(fn func(ctx context.Context, tx store.Tx) error) *WorkItem {
			t.Helper()
			write(t, db, fn)
			return read(t, db, func(ctx context.Context, tx store.Tx) (*WorkItem, error) {
				return one(ctx, tx, `mql_handoff_id = $1`, false, h.GetId())
			})
		}
		receive := func(ctx context.Context, tx store.Tx) error { _, err := hooks.received(ctx, tx, h); return err }
		first := step(receive)
		h.Assignee = "kato"
		if w := step(func(ctx context.Context, tx store.Tx) error { return hooks.assigned(ctx, tx, h) }); w.State != Assigned || w.Assignee != "kato" {
			t.Fatalf("%+v", w)
		}
		h.Decision = &handoffv1.Decision{Missing: []string{"company.domain"}, Note: "which one?"}
		w := step(func(ctx context.Context, tx store.Tx) error { return hooks.returned(ctx, tx, h) })
		if w.State != Returned || w.Reason != "RETURNED" || w.ReasonNote != "company.domain: which one?" {
			t.Fatalf("%+v", w)
		}
		h.Attempt, h.Decision, h.Assignee = 2, nil, ""
		h.Payload.GetMql().Company.Name = "タスキ合同会社"
		w = step(receive)
		if w.ID != first.ID || w.State != New || w.Assignee != "" || w.Company.Name != "タスキ合同会社" {
			t.Fatalf("%+v", w)
		}
		h.Decision = &handoffv1.Decision{Reason: "TOO_SMALL", Note: "three people"}
		if w = step(func(ctx context.Context, tx store.Tx) error { return hooks.rejected(ctx, tx, h) }); w.State != Rejected || w.Reason != "TOO_SMALL" {
			t.Fatalf("%+v", w)
		}
	})
}

func TestListPagesAndFilters(t *testing.T) {
	engines(t, func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock) {
		hooks := NewHooks(items, c)
		var ids []string
		for i := range 7 {
			h := prospect(i)
			if i%2 == 1 {
				h.Queue, h.Assignee = "bdr", "kato"
			}
			write(t, db, func(ctx context.Context, tx store.Tx) error {
				subject, err := hooks.received(ctx, tx, h)
				ids = append([]string{subject[len("work-item/"):]}, ids...)
				return err
			})
			if i > 3 { // the first ones share a moment: the id decides
				c.Advance(time.Second)
			}
		}
		list := func(f Filter, after *page.After, limit int) []string {
			t.Helper()
			rows := read(t, db, func(ctx context.Context, tx store.Tx) ([]*WorkItem, error) {
				return items.List(ctx, tx, f, after, limit)
			})
			out := []string{}
			for _, w := range rows {
				out = append(out, w.ID)
			}
			return out
		}
		if d := cmp.Diff(ids, list(Filter{}, nil, 100)); d != "" {
			t.Error(d)
		}
		var paged []string
		var after *page.After
		for {
			rows := read(t, db, func(ctx context.Context, tx store.Tx) ([]*WorkItem, error) {
				return items.List(ctx, tx, Filter{}, after, 2)
			})
			if len(rows) == 0 {
				break
			}
			for _, w := range rows {
				paged = append(paged, w.ID)
				after = &page.After{At: w.CreatedAt, ID: w.ID}
			}
		}
		if d := cmp.Diff(ids, paged); d != "" {
			t.Errorf("paged: %s", d)
		}
		odd := []string{ids[1], ids[3], ids[5]}
		for name, f := range map[string]Filter{
			"assignee": {Assignee: "kato"}, "queue": {Queue: "bdr"}, "state": {States: []State{Assigned, Working}},
			"all of them": {Assignee: "kato", Queue: "bdr", States: []State{Assigned}},
		} {
			if d := cmp.Diff(odd, list(f, nil, 100)); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		if got := list(Filter{Mail: "hanako3@example.co.jp"}, nil, 100); len(got) != 1 || got[0] != ids[3] {
			t.Errorf("by mail: %v", got)
		}
		one := read(t, db, func(ctx context.Context, tx store.Tx) (*WorkItem, error) { return items.Get(ctx, tx, ids[2]) })
		if got := list(Filter{JourneyID: one.JourneyID}, nil, 100); len(got) != 1 || got[0] != ids[2] {
			t.Errorf("by journey: %v", got)
		}
		due := c.Now()
		write(t, db, func(ctx context.Context, tx store.Tx) error {
			w, err := items.ForUpdate(ctx, tx, ids[4], etag.Match(""))
			if err != nil {
				return err
			}
			note := activity.Activity{
				ID: party.NewID(), WorkItemID: w.ID, JourneyID: w.JourneyID, PersonID: w.Person.ID,
				Kind: activity.Note, Note: "n", OccurredAt: due, CreatedAt: due, Actor: sato,
			}
			if _, err := w.Log(note, &due, due); err != nil {
				return err
			}
			return items.Save(ctx, tx, w)
		})
		later := due.Add(time.Second)
		if got := list(Filter{OverdueAt: &due}, nil, 100); len(got) != 0 {
			t.Errorf("due now is not overdue: %v", got)
		}
		if got := list(Filter{OverdueAt: &later}, nil, 100); len(got) != 1 || got[0] != ids[4] {
			t.Errorf("overdue: %v", got)
		}
	})
}

// A failed command leaves nothing: no row, no history, no event.
func TestRollback(t *testing.T) {
	engines(t, func(t *testing.T, db *store.DB, items *Store, c *testkit.Clock) {
		ctx := context.Background()
		_, err := store.Write(ctx, db, func(tx store.Tx) (struct{}, error) {
			if _, err := NewHooks(items, c).received(ctx, tx, prospect(1)); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, problem.GuardNotMet("test")
		})
		if !problem.Is(err, problem.ReasonGuardNotMet) {
			t.Fatal(err)
		}
		n := read(t, db, func(ctx context.Context, tx store.Tx) (int64, error) {
			return store.Get[int64](ctx, tx, `SELECT (SELECT count(*) FROM work_items) + (SELECT count(*) FROM work_item_transitions) +
				(SELECT count(*) FROM events)`)
		})
		if n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}
