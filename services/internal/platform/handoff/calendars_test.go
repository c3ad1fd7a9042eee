package handoff

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// A branch in another zone gets a calendar, and its clocks run by it, summer time included.
func TestCalendarOfABranch(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		// Friday, 7 March 2026, 16:00 in New York; the clocks go forward on Sunday.
		now := testkit.NewClock(time.Date(2026, 3, 6, 21, 0, 0, 0, time.UTC))
		sender, receiver := worldAt(t, engine, now, nil)
		ctx := as(t, "admin")
		made, err := receiver.desk.CreateCalendar(ctx, &handoffv1.CreateCalendarRequest{Calendar: &handoffv1.Calendar{
			Name: "new-york", Zone: "America/New_York", Hours: map[string]string{"mon-fri": "09:00-17:00"},
		}})
		if err != nil || made.GetEtag() == "" {
			t.Fatal(made, err)
		}
		got, err := receiver.desk.GetCalendar(ctx, &handoffv1.GetCalendarRequest{Name: "new-york"})
		if err != nil || !proto.Equal(got, made) {
			t.Fatalf("%v %v, want %v", got, err, made)
		}
		p, err := receiver.desk.GetPolicy(ctx, &handoffv1.GetPolicyRequest{Code: "MQL"})
		if err != nil {
			t.Fatal(err)
		}
		p.Calendar = "new-york" // the clock of MQL is four hours
		if p, err = receiver.desk.UpdatePolicy(ctx, &handoffv1.UpdatePolicyRequest{Policy: p}); err != nil || p.GetCalendarZone() != "America/New_York" {
			t.Fatal(p, err)
		}
		cold := func(o *NewOffer) { o.Payload.GetMql().Hot = false }
		first := sender.offer(cold).GetId()
		monday := time.Date(2026, 3, 9, 16, 0, 0, 0, time.UTC) // 12:00 in New York
		if due := receiver.waitState(first, Offered).GetAcceptDueAt().AsTime(); !due.Equal(monday) {
			t.Errorf("due at %s, want %s", due, monday)
		}

		made.CompanyHolidays = []string{"2026-03-09"}
		changed, err := receiver.desk.UpdateCalendar(ctx, &handoffv1.UpdateCalendarRequest{Calendar: made})
		if err != nil || changed.GetEtag() == made.GetEtag() {
			t.Fatal(changed, err)
		}
		second := sender.offer(cold).GetId()
		if due := receiver.waitState(second, Offered).GetAcceptDueAt().AsTime(); !due.Equal(monday.AddDate(0, 0, 1)) {
			t.Errorf("due at %s, want the day after the holiday", due)
		}
		if due := receiver.waitState(first, Offered).GetAcceptDueAt().AsTime(); !due.Equal(monday) {
			t.Errorf("a running clock moved to %s", due)
		}
		if _, err := receiver.desk.UpdateCalendar(ctx, &handoffv1.UpdateCalendarRequest{Calendar: made}); !problem.Is(err, problem.ReasonEtagMismatch) {
			t.Errorf("an update of what has changed gives %v", err)
		}
	})
}

func TestCalendarsAreChecked(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		_, receiver := worldAt(t, engine, testkit.NewClock(tokyo(6, 9, 0)), nil)
		ctx := as(t, "admin")
		bad := &handoffv1.Calendar{
			Name: "bad", Zone: "Asia/Tokio", Hours: map[string]string{"mon": "18:00-09:00", "Montag": "09:00-18:00"},
			CompanyHolidays: []string{"12-29..01-03", "tomorrow"}, National: "de",
		}
		_, err := receiver.desk.CreateCalendar(ctx, &handoffv1.CreateCalendarRequest{Calendar: bad})
		wrong, ok := problem.Parse(err)
		if !ok || wrong.Reason != problem.ReasonInvalidFields {
			t.Fatal(err)
		}
		var fields []string
		for _, v := range wrong.Violations {
			fields = append(fields, v.Field)
		}
		slices.Sort(fields)
		want := []string{"calendar.company_holidays[1]", "calendar.hours.Montag", "calendar.hours.mon", "calendar.national", "calendar.zone"}
		if !slices.Equal(fields, want) {
			t.Errorf("it names %v, want %v", fields, want)
		}
		good := &handoffv1.Calendar{Name: "osaka", Zone: "Asia/Tokyo", Hours: map[string]string{"mon-sat": "10:00-19:00"}, National: "jp"}
		if _, err := receiver.desk.UpdateCalendar(ctx, &handoffv1.UpdateCalendarRequest{Calendar: good}); !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("an update of what is not there gives %v", err)
		}
		if _, err := receiver.desk.CreateCalendar(ctx, &handoffv1.CreateCalendarRequest{Calendar: good}); err != nil {
			t.Fatal(err)
		}
		if _, err := receiver.desk.CreateCalendar(as(t, "admin"), &handoffv1.CreateCalendarRequest{Calendar: good}); !problem.Is(err, problem.ReasonExists) {
			t.Errorf("a second one of the name gives %v", err)
		}
		if _, err := receiver.desk.GetCalendar(ctx, &handoffv1.GetCalendarRequest{Name: "kyoto"}); !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("asking for what is not there gives %v", err)
		}
		var names []string
		token := ""
		for {
			page, err := receiver.desk.ListCalendars(ctx, &handoffv1.ListCalendarsRequest{PageSize: 1, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range page.GetCalendars() {
				names = append(names, c.GetName())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		if !slices.Equal(names, []string{"company", "osaka"}) {
			t.Errorf("the list has %v", names)
		}
	})
}
