// Package rig is customer success without its doors, for the tests of its aggregates: the servers on a store, a clock that
// stands still, and a field sales that hands over whatever a test wants.
package rig

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/feedback"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/onboarding"
	"github.com/tasuki-project/tasuki/services/customersuccess/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// Rig is the department on one database.
type Rig struct {
	DB        *store.DB
	Clock     *testkit.Clock // Monday 2026-04-06, 09:00 in Tokyo
	Customers *customer.Server
	Plans     *onboarding.Server
	Feedback  *feedback.Server
	Fulfilled *Fulfilled

	handovers *customer.Handovers
}

// Fulfilled remembers which handoffs were fulfilled.
type Fulfilled struct {
	mu  sync.Mutex
	ids []string
}

// Fulfil implements onboarding.Fulfiller.
func (f *Fulfilled) Fulfil(_ context.Context, _ store.Tx, handoffID, _ string) (*handoffv1.Handoff, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids = append(f.ids, handoffID)
	return &handoffv1.Handoff{Id: handoffID}, nil
}

// IDs are the handoffs that were fulfilled.
func (f *Fulfilled) IDs() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.ids...)
}

// Engines runs the test on both engines.
func Engines(t *testing.T, test func(t *testing.T, r *Rig)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) { test(t, newRig(db)) }, event.Migrations(), jobs.Migrations(), people.Migrations(), migrations.Set)
}

func newRig(db *store.DB) *Rig {
	c := testkit.NewClock(start)
	log := event.NewLog(db, c)
	customers, plans := customer.NewStore(log, c), onboarding.NewStore(log, c)
	r := &Rig{DB: db, Clock: c, Fulfilled: &Fulfilled{}, handovers: customer.NewHandovers(customers, plans, c)}
	r.Customers = customer.NewServer(db, c, customers, plans, jobs.New(db, jobs.Config{}))
	r.Plans = onboarding.NewServer(db, c, plans, customers, r.Fulfilled)
	r.Feedback = feedback.NewServer(db, c, feedback.NewStore(log, c), customers)
	return r
}

// start is Monday 2026-04-06, 09:00 in Tokyo.
var start = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)

// As is a context in which a person of customer success acts.
func As(ctx context.Context, name string) context.Context {
	return access.WithActor(ctx, access.Actor{Kind: access.KindPerson, ID: name, Roles: []access.Role{access.RoleCustomerSuccess}})
}

// Accept takes in a handoff as the engine does, and returns the receiver's subject.
func (r *Rig) Accept(ctx context.Context, h *handoffv1.Handoff) (string, error) {
	return store.Write(ctx, r.DB, func(tx store.Tx) (string, error) { return r.handovers.Accepted(ctx, tx, h) })
}

// Breach tells, as the engine does, that a clock of a handoff has run out.
func (r *Rig) Breach(ctx context.Context, h *handoffv1.Handoff, clock handoffv1.Clock, due time.Time) error {
	_, err := store.Write(ctx, r.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, r.handovers.Breached(ctx, tx, h, clock, due)
	})
	return err
}

// Yen is an amount in yen.
func Yen(n int64) money.Amount { return money.Amount{Minor: n, Currency: "JPY"} }

// Line is a monthly contract line in yen.
func Line(quantity int32, price int64) *handoffv1.ContractLine {
	return &handoffv1.ContractLine{Product: "Tasuki Standard", Quantity: quantity, UnitPrice: Yen(price).Proto(), IntervalMonths: 1}
}

// Handoff is an accepted CLOSED_WON handoff with a complete document: ten seats at 13,000 yen a month from 2026-04-06 on.
// change may spoil it.
func Handoff(change func(h *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload)) *handoffv1.Handoff {
	account := party.NewID()
	doc := &handoffv1.ClosedWonPayload{
		Company: &typev1.Company{Id: account, Name: "株式会社たすき商事", Domain: "tasuki-shoji.example.jp", Industry: "卸売", Employees: 80},
		Contact: &typev1.Person{Id: party.NewID(), Name: &typev1.PersonName{Full: "田中 一郎"}, Mail: "tanaka@tasuki-shoji.example.jp"},
		Purpose: "営業の可視化", Issues: "引き継ぎが漏れる", Expectations: "半年で商談化率を倍に", DecisionMaker: "営業本部長",
		DecisionProcess: "本部長決裁のみ", Agreements: "月次の定例会",
		Contract: &handoffv1.ContractSummary{
			Lines: []*handoffv1.ContractLine{Line(10, 13_000)}, Mrr: Yen(130_000).Proto(), TermMonths: 12,
			StartDate: &date.Date{Year: 2026, Month: 4, Day: 6}, SignedDate: &date.Date{Year: 2026, Month: 4, Day: 1},
		},
		SuccessCriteria: []*handoffv1.SuccessCriterion{{Description: "定着", Measure: "週次利用率 80%"}},
		BillingContact:  &typev1.Person{Name: &typev1.PersonName{Full: "鈴木 経理"}, Mail: "keiri@tasuki-shoji.example.jp"},
		OpportunityId:   party.NewID(),
	}
	h := &handoffv1.Handoff{
		Id: party.NewID(), Kind: handoffv1.Kind_KIND_CLOSED_WON, PayloadVersion: 1, Attempt: 1, JourneyId: party.NewID(),
		AccountId: account, PersonId: doc.GetContact().GetId(), Assignee: "sato", State: handoffv1.State_STATE_ACCEPTED,
		OfferedAt:    timestamppb.New(start),
		Payload:      &handoffv1.Payload{Kind: &handoffv1.Payload_ClosedWon{ClosedWon: doc}},
		Completeness: &handoffv1.Completeness{Score: 100},
	}
	if change != nil {
		change(h, doc)
	}
	return h
}

// Further is another deal with the account of a handoff.
func Further(first *handoffv1.Handoff, lines ...*handoffv1.ContractLine) *handoffv1.Handoff {
	h := proto.CloneOf(first)
	h.Id, h.JourneyId = party.NewID(), party.NewID()
	doc := h.GetPayload().GetClosedWon()
	doc.OpportunityId = party.NewID()
	doc.Contract.Lines = lines
	mrr, err := money.MRR(lines)
	if err != nil {
		panic(err) // the test's lines are wrong
	}
	doc.Contract.Mrr = mrr.Proto()
	return h
}
