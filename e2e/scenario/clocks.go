package scenario

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

// meetingNobodyTakesUp lets a clock run out: the meeting begins, nobody has it in hand, and the desks of both departments
// and the feed say so. It is the one clock that a policy lets run for less than a minute.
func meetingNobodyTakesUp(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead := r.Capture("alone")
	r.ToMeetingIn(lead, 5*time.Second)
	offer := r.Arrival(r.Field, lead.GetJourneyId(), handoffv1.Kind_KIND_MEETING)
	id, begins := offer.GetId(), offer.GetPayload().GetMeeting().GetStartsAt().AsTime()
	for name, desk := range map[string]rest.Client{"the receiver": r.Field, "the sender": r.Inside} {
		house.Await(t, name+" sees that nobody has it in hand", func() error {
			var got handoffv1.GetHandoffResponse
			desk.Must(t, http.MethodGet, "/v1/handoffs/"+id, nil, &got)
			if n := got.GetHandoff().GetBreaches(); n != 1 {
				return fmt.Errorf("%d breaches", n)
			}
			return nil
		})
	}
	managers := []string{"field-sales/manager", "inside-sales/manager"}
	var got handoffv1.GetHandoffResponse
	r.Field.Must(t, http.MethodGet, "/v1/handoffs/"+id, nil, &got)
	if b := got.GetBreaches(); len(b) != 1 || b[0].GetClock() != handoffv1.Clock_CLOCK_PICK_UP || !slices.Equal(b[0].GetEscalatedTo(), managers) ||
		b[0].GetAt().AsTime().Before(begins.Truncate(time.Microsecond)) {
		t.Errorf("the receiver's desk shows %v", b)
	}
	admin := rest.Client{URL: r.Field.URL, Token: h.Token("admin")}
	query := url.Values{"types": {"tasuki.handoff.v1.HandoffBreached"}, "subject": {"handoff/" + id}}
	house.Await(t, "the feed tells", func() error {
		var page feedv1.ListEventsResponse
		admin.Must(t, http.MethodGet, "/v1/events?"+query.Encode(), nil, &page)
		if len(page.GetEvents()) != 1 {
			return fmt.Errorf("%d events", len(page.GetEvents()))
		}
		var told handoffv1.HandoffBreached
		if err := page.GetEvents()[0].GetData().UnmarshalTo(&told); err != nil || !slices.Equal(told.GetEscalatedTo(), managers) {
			t.Errorf("the feed tells %v, %v", &told, err)
		}
		return nil
	})
	// Late is not lost.
	r.ToOpportunity(lead.GetJourneyId())
}
