package handoff

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Two hundred people decide on one offer at the same moment, and the sender wants it back: one wins, and the others hear who.
func TestOneDecisionWins(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		id := sender.offer(nil).GetId()
		receiver.waitState(id, Offered)
		type result struct {
			user string
			err  error
		}
		results := make(chan result, 200)
		back := handoffv1.NewHandoffReceiverServiceClient(receiver.conn)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 200 {
			user := fmt.Sprintf("user%03d", i)
			wg.Go(func() {
				ctx := as(t, user)
				<-start
				var err error
				switch i % 4 {
				case 0:
					_, err = receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
				case 1:
					_, err = receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: id, Reason: "NO_BUDGET"})
				case 2:
					_, err = receiver.desk.ReturnHandoff(ctx, &handoffv1.ReturnHandoffRequest{Id: id, Missing: []string{"company.domain"}})
				case 3:
					by := access.Actor{Kind: access.KindPerson, ID: user}
					_, err = back.Recall(ctx, &handoffv1.RecallRequest{Id: id, Attempt: 1, By: by.Proto()})
				}
				results <- result{user, err}
			})
		}
		close(start)
		wg.Wait()
		close(results)
		h := receiver.get(id)
		winner, state := h.GetDecision().GetBy().GetId(), stateOf(h.GetState())
		won, recalled := 0, 0
		for r := range results {
			switch {
			case r.err == nil && r.user == winner:
				won++
			case r.err == nil && state == Recalled:
				recalled++ // asking for it back again is safe: it is back
			case r.err == nil:
				t.Errorf("%s was told to have won, %s is written", r.user, winner)
			case status.Code(r.err) != codes.Aborted || problem.ReasonOf(r.err) != problem.ReasonDecisionTaken || !strings.Contains(r.err.Error(), winner):
				t.Errorf("%s was told %v", r.user, r.err)
			}
		}
		if won != 1 || state == Recalled && recalled != 49 {
			t.Errorf("%d won, %d asked for it back again", won, recalled)
		}
		past := receiver.past(id)
		if len(past.GetTransitions()) != 2 || len(past.GetAttempts()) != 1 {
			t.Errorf("the history has %v", past.GetTransitions())
		}
		hooks := receiver.seen()
		if n := count(hooks, "accepted") + count(hooks, "rejected") + count(hooks, "returned") + count(hooks, "recalled"); n != 1 {
			t.Errorf("%d effects: %v", n, hooks)
		}
		sender.waitState(id, state)
	})
}
