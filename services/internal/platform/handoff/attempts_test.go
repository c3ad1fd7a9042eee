package handoff

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

// attempts are those that the desk shows: number, decision and who decided.
func (d *department) attempts(id string) []string {
	d.t.Helper()
	var shown []string
	for _, a := range d.past(id).GetAttempts() {
		shown = append(shown, fmt.Sprint(a.GetNumber(), " ", stateOf(a.GetDecision().GetState()), " ", a.GetDecision().GetBy().GetId()))
	}
	return shown
}

type keptRow struct {
	Number int64
	State  string
	Body   []byte
}

// kept are the attempts that are stored apart from the handoff.
func (d *department) kept(id string) []keptRow {
	d.t.Helper()
	rows, err := store.Read(d.t.Context(), d.db, func(tx store.Tx) ([]keptRow, error) {
		return store.Select[keptRow](d.t.Context(), tx, `SELECT number, state, body FROM handoff_attempts WHERE handoff_id = $1 ORDER BY number`, id)
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return rows
}

// keepUndecided stores the present attempt as the version before does when an offer is made; a decision that this version takes
// does not change that row.
func (d *department) keepUndecided(id string) {
	d.t.Helper()
	h := d.get(id)
	body, err := proto.Marshal(&handoffv1.Attempt{Number: h.GetAttempt(), OfferedAt: h.GetOfferedAt(), Payload: h.GetPayload()})
	if err != nil {
		d.t.Fatal(err)
	}
	d.exec(`INSERT INTO handoff_attempts (handoff_id, number, state, reason, offered_at, body) VALUES ($1, $2, 'OFFERED', '', $3, $4)`,
		id, int64(h.GetAttempt()), h.GetOfferedAt().AsTime(), body)
}

// Returned, expired, accepted: at any time both desks show all attempts with their payloads and decisions, whether the version
// before has made the offers or this one.
func TestChainOfAttempts(t *testing.T) {
	for name, offered := range map[string]func(d *department, id string){
		"this version":       func(*department, string) {},
		"the version before": (*department).keepUndecided,
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, engine store.Engine) {
				now := testkit.NewClock(tokyo(6, 9, 0))
				sender, receiver := worldAt(t, engine, now, nil)
				receiver.exec(`UPDATE handoff_policies SET steps = '[{"clock":"ACCEPT","step":"EXPIRE"}]' WHERE kind = 'MQL'`)
				show := func(id string, want ...string) {
					t.Helper()
					for _, d := range []*department{sender, receiver} {
						if got := d.attempts(id); !slices.Equal(got, want) {
							t.Errorf("%s shows %q, want %q", d.name, got, want)
						}
					}
				}
				id := sender.offer(func(o *NewOffer) { o.Payload.GetMql().Company.Domain = "" }).GetId()
				offer := func(n int32) *handoffv1.Handoff {
					t.Helper()
					h := receiver.wait(id, "the attempt", func(h *handoffv1.Handoff) bool { return h.GetAttempt() == n })
					offered(sender, id)
					offered(receiver, id)
					return h
				}
				again := func(domain string) {
					t.Helper()
					now.Set(now.Now().AddDate(0, 0, 1))
					payload := full()[handoffv1.Kind_KIND_MQL]
					payload.GetMql().Company.Domain = domain
					if _, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id, Payload: payload}); err != nil {
						t.Fatal(err)
					}
				}

				offer(1)
				show(id, "1  ")
				if _, err := receiver.desk.ReturnHandoff(as(t, "sato"), &handoffv1.ReturnHandoffRequest{Id: id, Missing: []string{"company.domain"}}); err != nil {
					t.Fatal(err)
				}
				sender.waitState(id, Returned)
				show(id, "1 RETURNED sato")

				again("second.example.co.jp")
				h := offer(2)
				show(id, "1 RETURNED sato", "2  ")
				now.Set(h.GetAcceptDueAt().AsTime())
				receiver.ringNow(h, acceptClock, h.GetAcceptDueAt())
				sender.waitState(id, Expired)
				show(id, "1 RETURNED sato", "2 EXPIRED handoff.clock")

				again("third.example.co.jp")
				offer(3)
				if _, err := receiver.desk.AcceptHandoff(as(t, "suzuki"), &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
					t.Fatal(err)
				}
				sender.waitState(id, Accepted)
				show(id, "1 RETURNED sato", "2 EXPIRED handoff.clock", "3 ACCEPTED suzuki")

				here, there := sender.past(id).GetAttempts(), receiver.past(id).GetAttempts()
				if len(here) != 3 || len(there) != 3 {
					t.Fatalf("%d attempts at the sender, %d at the receiver", len(here), len(there))
				}
				for i, domain := range []string{"", "second.example.co.jp", "third.example.co.jp"} {
					if here[i].GetPayload().GetMql().GetCompany().GetDomain() != domain || !proto.Equal(here[i], there[i]) {
						t.Errorf("attempt %d is %v at the sender, and %v at the receiver", i+1, here[i], there[i])
					}
					if i > 0 && !here[i].GetOfferedAt().AsTime().After(here[i-1].GetDecision().GetAt().AsTime()) {
						t.Errorf("attempt %d was offered at %s", i+1, here[i].GetOfferedAt().AsTime())
					}
				}
			})
		})
	}
}

// An attempt is stored apart from its handoff once it is over and another may follow, so that whoever offers again, the version
// before too, need not look back. Others never are.
func TestAttemptsAreKeptWhenTheyAreOver(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		kept := func(id string, want ...string) {
			t.Helper()
			for _, d := range []*department{sender, receiver} {
				var got []string
				for _, a := range d.kept(id) {
					got = append(got, fmt.Sprint(a.Number, " ", a.State))
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s keeps %q, want %q", d.name, got, want)
				}
			}
		}
		ctx := as(t, "sato")
		id, returned := sender.offer(nil).GetId(), sender.offer(nil).GetId()
		receiver.waitState(id, Offered)
		receiver.waitState(returned, Offered)
		if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		if _, err := receiver.desk.FulfilHandoff(ctx, &handoffv1.FulfilHandoffRequest{Id: id, Note: "called"}); err != nil {
			t.Fatal(err)
		}
		sender.waitState(id, Fulfilled)
		kept(id)
		if _, err := receiver.desk.ReturnHandoff(ctx, &handoffv1.ReturnHandoffRequest{Id: returned, Missing: []string{"person.title"}}); err != nil {
			t.Fatal(err)
		}
		sender.waitState(returned, Returned)
		kept(returned, "1 RETURNED")
	})
}

// What is rewritten afterwards is rewritten in every attempt, wherever it stands.
func TestRewriteReachesAllAttempts(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		id := sender.offer(nil).GetId()
		receiver.waitState(id, Offered)
		if _, err := receiver.desk.ReturnHandoff(as(t, "sato"), &handoffv1.ReturnHandoffRequest{Id: id, Missing: []string{"person.title"}}); err != nil {
			t.Fatal(err)
		}
		sender.waitState(id, Returned)
		if _, err := sender.desk.ResubmitHandoff(as(t, "tanaka"), &handoffv1.ResubmitHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		receiver.wait(id, "the second attempt", func(h *handoffv1.Handoff) bool { return h.GetAttempt() == 2 })
		name := full()[handoffv1.Kind_KIND_MQL].GetMql().GetPerson().GetName().GetFull()
		for _, d := range []*department{sender, receiver} {
			d.wait(id, "at rest", func(h *handoffv1.Handoff) bool { return h.GetDelivery() != handoffv1.Delivery_DELIVERY_PENDING })
			d.keepUndecided(id)
			n, err := store.Write(t.Context(), d.db, func(tx store.Tx) (int64, error) {
				return Rewrite(t.Context(), tx, []string{id}, func(m proto.Message) bool {
					p := m.(interface{ GetPayload() *handoffv1.Payload }).GetPayload().GetMql().GetPerson()
					p.Name = nil
					return true
				}, nil)
			})
			if err != nil || n != 3 { // the handoff, its first attempt, and what was stored of the second
				t.Errorf("%s: %d rows are rewritten, %v", d.name, n, err)
			}
			for _, a := range d.past(id).GetAttempts() {
				if p := a.GetPayload().GetMql().GetPerson(); p.GetName() != nil || p.GetMail() == "" {
					t.Errorf("%s: attempt %d has %v", d.name, a.GetNumber(), p)
				}
			}
			for _, row := range d.kept(id) {
				if bytes.Contains(row.Body, []byte(name)) {
					t.Errorf("%s: what is stored of attempt %d names the person", d.name, row.Number)
				}
			}
		}
	})
}
