package customersuccess_test

import (
	"slices"
	"testing"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// A further deal that nobody takes, and then a kickoff that nobody holds: each clock runs out by itself, and both desks,
// the customer and the feed show it.
func TestClocksRunOutUntilEverybodySeesIt(t *testing.T) {
	departmenttest.Engines(t, customersuccess.Definition, func(t *testing.T, db departmenttest.Database) {
		clock := &departmenttest.Clock{}
		sales := &departmenttest.Neighbour{Name: access.FieldSales, Kinds: []handoff.KindConfig{
			{Kind: handoffv1.Kind_KIND_CLOSED_WON, From: access.FieldSales, To: access.CustomerSuccess},
		}}
		h := &house{House: departmenttest.RunAt(t, clock, customersuccess.Definition, db, sales)}
		h.customers, h.desk = pb.NewCustomerServiceClient(h.Conn), handoffv1.NewHandoffDeskServiceClient(h.Conn)
		sato := h.As(t, "sato", access.RoleCustomerSuccess)

		first := rig.Handoff(nil)
		taken, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: h.closes(t, sales, first).GetId()})
		if err != nil {
			t.Fatal(err)
		}
		customer := taken.GetReceiverSubject()[len("customer/"):]
		departmenttest.Hurry(t, h.House, h.Conn, "CLOSED_WON", nil)

		var deal *handoffv1.Handoff
		clock.Behind(func() { deal = h.closes(t, sales, rig.Further(first, rig.Line(5, 13_000))) })
		h.breached(t, sales, deal.GetId(), 1, handoffv1.Clock_CLOCK_ACCEPT)
		h.flagged(t, customer, deal.GetId(), pb.CustomerFlag_REASON_HANDOVER_LATE)

		clock.Behind(func() {
			if _, err := h.desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: deal.GetId()}); err != nil {
				t.Fatal(err)
			}
		})
		h.breached(t, sales, deal.GetId(), 2, handoffv1.Clock_CLOCK_FIRST_ACTION)
		h.flagged(t, customer, deal.GetId(), pb.CustomerFlag_REASON_HANDOVER_LATE, pb.CustomerFlag_REASON_KICKOFF_LATE)
	})
}

// closes lets field sales hand over a deal, and waits until it is there.
func (h *house) closes(t *testing.T, sales *departmenttest.Neighbour, like *handoffv1.Handoff) *handoffv1.Handoff {
	t.Helper()
	ctx := access.WithActor(t.Context(), access.System("deals"))
	deal, err := store.Write(ctx, sales.DB, func(tx store.Tx) (*handoffv1.Handoff, error) {
		return sales.Handoffs.Offer(ctx, tx, handoff.NewOffer{
			Kind: like.GetKind(), JourneyID: like.GetJourneyId(), PersonID: like.GetPersonId(), AccountID: like.GetAccountId(),
			SenderSubject: "opportunity/" + like.GetPayload().GetClosedWon().GetOpportunityId(), Payload: like.GetPayload(),
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return departmenttest.WaitFor(t, h.House, h.Conn, func(e *handoffv1.HandoffReceived) bool {
		return e.GetHandoff().GetId() == deal.GetId()
	}).GetHandoff()
}

// breached waits until clocks of a handoff have run out that many times, and checks that both desks and the feed tell of
// the last time.
func (h *house) breached(t *testing.T, sales *departmenttest.Neighbour, id string, times int32, clock handoffv1.Clock) {
	t.Helper()
	e := departmenttest.WaitFor(t, h.House, h.Conn, func(e *handoffv1.HandoffBreached) bool {
		return e.GetHandoff().GetId() == id && e.GetClock() == clock
	})
	heads := []string{"customer-success/head", "field-sales/seller"}
	if !slices.Equal(e.GetEscalatedTo(), heads) || e.GetHandoff().GetBreaches() != times {
		t.Errorf("told is %v", e)
	}
	ours, err := h.desk.GetHandoff(h.As(t, "viewer", access.RoleViewer), &handoffv1.GetHandoffRequest{Id: id})
	if err != nil || len(ours.GetBreaches()) != int(times) || ours.GetHandoff().GetBreaches() != times {
		t.Fatalf("the receiver's desk shows %v, %v", ours, err)
	}
	if b := ours.GetBreaches()[times-1]; b.GetClock() != clock || !slices.Equal(b.GetEscalatedTo(), heads) || b.GetAt().AsTime().Before(b.GetDueAt().AsTime()) {
		t.Errorf("the receiver's desk shows %v", b)
	}
	departmenttest.AwaitHandoff(t, h.House, sales.Conn, id, "late at the sender's desk", func(theirs *handoffv1.Handoff) bool {
		return theirs.GetBreaches() == times
	})
	for box, conn := range map[handoffv1.Box]handoffv1.HandoffDeskServiceClient{
		handoffv1.Box_BOX_INBOX: h.desk, handoffv1.Box_BOX_OUTBOX: handoffv1.NewHandoffDeskServiceClient(sales.Conn),
	} {
		late, err := conn.ListHandoffs(h.As(t, "viewer", access.RoleViewer), &handoffv1.ListHandoffsRequest{Box: box, Overdue: true})
		if err != nil || len(late.GetHandoffs()) != 1 || late.GetHandoffs()[0].GetId() != id {
			t.Errorf("overdue in %s are %v, %v", box, late.GetHandoffs(), err)
		}
	}
}

// flagged checks that a customer shows these flags of a handoff, and that the feed has told of the last.
func (h *house) flagged(t *testing.T, id, handoffID string, want ...pb.CustomerFlag_Reason) {
	t.Helper()
	c, err := h.customers.GetCustomer(h.As(t, "viewer", access.RoleViewer), &pb.GetCustomerRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	var got []pb.CustomerFlag_Reason
	for _, f := range c.GetFlags() {
		if f.GetHandoffId() == handoffID {
			got = append(got, f.GetReason())
		}
	}
	if !c.GetFlagged() || !slices.Equal(got, want) {
		t.Fatalf("the customer shows %v, want %v", c.GetFlags(), want)
	}
	departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.CustomerFlagged) bool {
		return e.GetCustomerId() == id && e.GetFlag().GetReason() == want[len(want)-1]
	})
}
