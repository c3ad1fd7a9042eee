package customer_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

func stale(err error) bool {
	var old *etag.MismatchError
	return errors.As(err, &old)
}

// A handover that is late flags the customer, once for each clock, until somebody has looked at it.
func TestFlags(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "sato")
		due := r.Clock.Now()
		first := rig.Handoff(nil)
		if err := r.Breach(ctx, first, handoffv1.Clock_CLOCK_ACCEPT, due); err != nil {
			t.Fatalf("nobody is flagged before there is a customer: %v", err)
		}
		first.Breaches, first.AcceptDueAt = 1, timestamppb.New(due)
		id := accept(t, r, first)
		c := get(t, r, id)
		if !c.GetFlagged() || len(c.GetFlags()) != 1 || c.GetFlags()[0].GetReason() != pb.CustomerFlag_REASON_HANDOVER_LATE ||
			c.GetFlags()[0].GetHandoffId() != first.GetId() || !c.GetFlags()[0].GetDueAt().AsTime().Equal(due) {
			t.Fatalf("accepted late: %v", c.GetFlags())
		}
		first.ReceiverSubject = "customer/" + id
		for range 2 { // a policy may have several steps
			if err := r.Breach(ctx, first, handoffv1.Clock_CLOCK_FIRST_ACTION, due.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		accept(t, r, rig.Handoff(nil)) // another customer, in time
		list, err := r.Customers.ListCustomers(ctx, &pb.ListCustomersRequest{Flagged: true})
		if err != nil || len(list.GetCustomers()) != 1 || list.GetCustomers()[0].GetId() != id {
			t.Errorf("flagged customers: %v, %v", list.GetCustomers(), err)
		}
		c = get(t, r, id)
		if len(c.GetFlags()) != 2 || c.GetFlags()[1].GetReason() != pb.CustomerFlag_REASON_KICKOFF_LATE {
			t.Fatalf("two clocks: %v", c.GetFlags())
		}
		if _, err := r.Customers.ClearCustomerFlags(ctx, &pb.ClearCustomerFlagsRequest{Id: id, Etag: "1", Note: "x"}); !stale(err) {
			t.Errorf("an old etag: %v", err)
		}
		c, err = r.Customers.ClearCustomerFlags(ctx, &pb.ClearCustomerFlagsRequest{Id: id, Etag: c.GetEtag(), Note: "電話でお詫びした"})
		if err != nil || c.GetFlagged() || c.GetFlags()[0].GetClearedBy().GetId() != "sato" || c.GetFlags()[1].GetNote() != "電話でお詫びした" {
			t.Errorf("cleared: %v, %v", c.GetFlags(), err)
		}
		if _, err := r.Customers.ClearCustomerFlags(ctx, &pb.ClearCustomerFlagsRequest{Id: id, Note: "x"}); !errors.Is(err, problem.GuardNotMet("")) {
			t.Errorf("nothing to clear: %v", err)
		}
		// What was looked at stays so; the next attempt, and the next deal of the account, count anew.
		if err := r.Breach(ctx, first, handoffv1.Clock_CLOCK_FIRST_ACTION, due); err != nil || get(t, r, id).GetFlagged() {
			t.Errorf("a flag that was cleared is raised again: %v", err)
		}
		next := rig.Further(first, rig.Line(1, 1_000))
		next.ReceiverSubject, next.Attempt = "", 2
		if err := r.Breach(ctx, next, handoffv1.Clock_CLOCK_ACCEPT, due); err != nil || !get(t, r, id).GetFlagged() {
			t.Errorf("a further deal that nobody takes does not flag its customer: %v", err)
		}
	})
}

// An expansion that came as a CSQL moves the ledger of its customer, under whatever account it was won, and only once.
func TestExpansionOfANamedCustomer(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		first := rig.Handoff(nil)
		id := accept(t, r, first)
		won := rig.Further(first, rig.Line(5, 13_000))
		won.AccountId = party.NewID() // the account was merged into another
		won.GetPayload().GetClosedWon().Company.Id = won.GetAccountId()
		won.GetPayload().GetClosedWon().CustomerId = id
		if got := accept(t, r, won); got != id {
			t.Fatalf("it went to customer %s, want %s", got, id)
		}
		if _, err := r.Accept(t.Context(), proto.CloneOf(won)); err == nil {
			t.Error("the same handoff was accepted twice")
		}
		lines, err := r.Customers.ListMrrMovements(t.Context(), &pb.ListMrrMovementsRequest{CustomerId: id})
		if err != nil || len(lines.GetMovements()) != 2 || lines.GetMovements()[0].GetKind() != pb.MrrMovement_KIND_EXPANSION ||
			lines.GetMovements()[0].GetAmount().GetUnits() != 65_000 {
			t.Errorf("ledger %v, %v", lines.GetMovements(), err)
		}
		unknown := rig.Handoff(nil)
		unknown.GetPayload().GetClosedWon().CustomerId = party.NewID()
		if got := accept(t, r, unknown); got == id {
			t.Error("a customer that is not known here is taken for another")
		}
	})
}
