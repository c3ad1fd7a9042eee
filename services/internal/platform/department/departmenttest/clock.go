package departmenttest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
)

// lag leaves two seconds of the shortest time that a policy knows, a minute.
const lag = time.Minute - 2*time.Second

// Clock lets the clocks of handoffs run out while a test looks on. Jobs run by the clock on the wall: what starts while
// this one is behind, and is due a minute later, has its job two seconds later.
type Clock struct{ behind atomic.Int64 }

var _ clock.Clock = (*Clock)(nil)

// Now is the time on the wall, or somewhat earlier.
func (c *Clock) Now() time.Time {
	return clock.System{}.Now().Add(-time.Duration(c.behind.Load()))
}

// Behind runs what starts clocks of one minute, and catches up.
func (c *Clock) Behind(start func()) {
	c.behind.Store(int64(lag))
	defer c.behind.Store(0)
	start()
}

// Hurry gives a kind of handoff clocks of one minute that never stand still, at the desk behind conn, by a policy of which
// all other things are as they were; change may be nil.
func Hurry(t *testing.T, h *House, conn grpc.ClientConnInterface, code string, change func(p *handoffv1.Policy)) {
	t.Helper()
	desk, admin := handoffv1.NewHandoffDeskServiceClient(conn), h.As(t, "admin", access.RoleAdmin)
	always := &handoffv1.Calendar{Name: "always", Zone: "Asia/Tokyo", Hours: map[string]string{"mon-sun": "00:00-24:00"}}
	if _, err := desk.CreateCalendar(admin, &handoffv1.CreateCalendarRequest{Calendar: always}); err != nil {
		t.Fatal(err)
	}
	p, err := desk.GetPolicy(admin, &handoffv1.GetPolicyRequest{Code: code})
	if err != nil {
		t.Fatal(err)
	}
	p.Calendar, p.AcceptWithinMinutes, p.FirstActionWithinMinutes = always.GetName(), 1, 1
	if change != nil {
		change(p)
	}
	if _, err := desk.UpdatePolicy(admin, &handoffv1.UpdatePolicyRequest{Policy: p}); err != nil {
		t.Fatal(err)
	}
}

// AwaitHandoff asks a desk for a handoff until it is as wanted.
func AwaitHandoff(t *testing.T, h *House, conn grpc.ClientConnInterface, id, what string, ok func(*handoffv1.Handoff) bool) *handoffv1.GetHandoffResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(h.As(t, "viewer", access.RoleViewer), Patience)
	defer cancel()
	desk, tick := handoffv1.NewHandoffDeskServiceClient(conn), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		got, err := desk.GetHandoff(ctx, &handoffv1.GetHandoffRequest{Id: id})
		if err == nil && ok(got.GetHandoff()) {
			return got
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("the handoff was never %s: %v, %v", what, got, err)
		}
	}
}
