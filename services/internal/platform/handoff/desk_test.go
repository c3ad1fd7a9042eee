package handoff

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// A won customer is never refused: it is accepted with its gaps, or returned.
func TestClosedWon(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, func(_, _ *department, k *KindConfig) {
			k.Kind, k.Required, k.Floor = handoffv1.Kind_KIND_CLOSED_WON, nil, nil
		})
		id := sender.offer(func(o *NewOffer) {
			o.Kind, o.Payload = handoffv1.Kind_KIND_CLOSED_WON, full()[handoffv1.Kind_KIND_CLOSED_WON]
			o.Payload.GetClosedWon().Purpose = ""
		}).GetId()
		receiver.waitState(id, Offered)
		ctx := as(t, "sato")
		_, err := receiver.desk.RejectHandoff(ctx, &handoffv1.RejectHandoffRequest{Id: id, Reason: "NO_BUDGET"})
		if problem.ReasonOf(err) != problem.ReasonIllegalTransition {
			t.Errorf("refusing gives %v", err)
		}
		_, err = receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id})
		if problem.ReasonOf(err) != problem.ReasonGuardNotMet {
			t.Errorf("accepting as if it were complete gives %v", err)
		}
		h, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id, WithGaps: true, Assignee: "csm"})
		if err != nil || !slices.Equal(h.GetDecision().GetMissing(), []string{"purpose"}) || h.GetAssignee() != "csm" {
			t.Errorf("accepted %v, %v", h, err)
		}
		if h := sender.waitState(id, Accepted); !slices.Equal(h.GetDecision().GetMissing(), []string{"purpose"}) {
			t.Errorf("the sender has %v", h)
		}
	})
}

func TestListHandoffs(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		var ids []string
		for range 7 {
			ids = append(ids, sender.offer(func(o *NewOffer) { o.Queue = "SDR" }).GetId())
		}
		slices.Reverse(ids) // newest first
		for _, id := range ids {
			receiver.waitState(id, Offered)
		}
		ctx := as(t, "sato")
		for _, i := range []int{1, 4} {
			if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: ids[i]}); err != nil {
				t.Fatal(err)
			}
		}
		offered, accepted := handoffv1.State_STATE_OFFERED, handoffv1.State_STATE_ACCEPTED
		journey := receiver.get(ids[3]).GetJourneyId()
		for name, c := range map[string]struct {
			req  *handoffv1.ListHandoffsRequest
			want []int
		}{
			"all":            {&handoffv1.ListHandoffsRequest{}, []int{0, 1, 2, 3, 4, 5, 6}},
			"inbox":          {&handoffv1.ListHandoffsRequest{Box: handoffv1.Box_BOX_INBOX}, []int{0, 1, 2, 3, 4, 5, 6}},
			"outbox":         {&handoffv1.ListHandoffsRequest{Box: handoffv1.Box_BOX_OUTBOX}, nil},
			"offered":        {&handoffv1.ListHandoffsRequest{States: []handoffv1.State{offered}}, []int{0, 2, 3, 5, 6}},
			"two states":     {&handoffv1.ListHandoffsRequest{States: []handoffv1.State{offered, accepted}}, []int{0, 1, 2, 3, 4, 5, 6}},
			"kind":           {&handoffv1.ListHandoffsRequest{Kind: handoffv1.Kind_KIND_MQL, States: []handoffv1.State{accepted}}, []int{1, 4}},
			"other kind":     {&handoffv1.ListHandoffsRequest{Kind: handoffv1.Kind_KIND_CSQL}, nil},
			"queue":          {&handoffv1.ListHandoffsRequest{Queue: "SDR"}, []int{0, 1, 2, 3, 4, 5, 6}},
			"other queue":    {&handoffv1.ListHandoffsRequest{Queue: "BDR"}, nil},
			"assignee":       {&handoffv1.ListHandoffsRequest{Assignee: "sato"}, []int{1, 4}},
			"journey":        {&handoffv1.ListHandoffsRequest{JourneyId: journey}, []int{3}},
			"nothing is due": {&handoffv1.ListHandoffsRequest{Overdue: true}, nil},
		} {
			for _, size := range []int32{0, 1, 3} {
				var got []int
				c.req.PageSize, c.req.PageToken = size, ""
				for {
					resp, err := receiver.desk.ListHandoffs(ctx, c.req)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					for _, h := range resp.GetHandoffs() {
						got = append(got, slices.Index(ids, h.GetId()))
					}
					if c.req.PageToken = resp.GetNextPageToken(); c.req.PageToken == "" {
						break
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s by %d: %v", name, size, got)
				}
			}
		}
		first, err := receiver.desk.ListHandoffs(ctx, &handoffv1.ListHandoffsRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		_, err = receiver.desk.ListHandoffs(ctx, &handoffv1.ListHandoffsRequest{PageSize: 1, PageToken: first.GetNextPageToken(), Queue: "SDR"})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("a token of another list gives %v", err)
		}
	})
}

func TestWatchHandoffs(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		ctx, cancel := context.WithTimeout(as(t, "sato"), 30*time.Second)
		defer cancel()
		open := func(after string) handoffv1.HandoffDeskService_WatchHandoffsClient {
			stream, err := receiver.desk.WatchHandoffs(ctx, &handoffv1.WatchHandoffsRequest{After: after, Box: handoffv1.Box_BOX_INBOX, Kind: handoffv1.Kind_KIND_MQL})
			if err != nil {
				t.Fatal(err)
			}
			return stream
		}
		next := func(stream handoffv1.HandoffDeskService_WatchHandoffsClient) *handoffv1.WatchHandoffsResponse {
			msg, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			return msg
		}
		stream := open("")
		if msg := next(stream); msg.GetHandoff() != nil || msg.GetCursor() == "" {
			t.Fatalf("it begins with %v", msg)
		}
		id := sender.offer(nil).GetId()
		received := next(stream)
		if received.GetEvent() != "HandoffReceived" || received.GetHandoff().GetId() != id {
			t.Fatalf("got %v", received)
		}
		if _, err := receiver.desk.AcceptHandoff(ctx, &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []handoffv1.HandoffDeskService_WatchHandoffsClient{stream, open(received.GetCursor())} {
			if msg := next(s); msg.GetEvent() != "HandoffAccepted" || msg.GetHandoff().GetEtag() != "2" {
				t.Errorf("got %v", msg)
			}
		}
	})
}

func TestListReasons(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		_, receiver := world(t, engine, nil)
		ctx := as(t, "sato")
		all := map[handoffv1.Kind]int{}
		req := &handoffv1.ListReasonsRequest{PageSize: 5}
		last := ""
		for {
			resp, err := receiver.desk.ListReasons(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range resp.GetReasons() {
				all[r.GetKind()]++
				key := fmt.Sprint(kindName(r.GetKind()), "/", r.GetCode())
				if key <= last || r.GetLabel().GetJa() == "" || r.GetLabel().GetEn() == "" || r.GetAction() == handoffv1.Reason_ACTION_UNSPECIFIED {
					t.Errorf("%s after %s: %v", key, last, r)
				}
				last = key
			}
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if all[handoffv1.Kind_KIND_MQL] != 12 || all[handoffv1.Kind_KIND_MEETING] != 6 || all[handoffv1.Kind_KIND_CSQL] != 6 || len(all) != 3 {
			t.Errorf("reasons: %v", all)
		}
		one, err := receiver.desk.ListReasons(ctx, &handoffv1.ListReasonsRequest{Kind: handoffv1.Kind_KIND_MEETING})
		if err != nil || len(one.GetReasons()) != 6 || one.GetReasons()[0].GetCode() != "DUPLICATE_OPEN_DEAL" {
			t.Errorf("reasons of a meeting: %v, %v", one, err)
		}
	})
}

// From the offer to the other desk, and from the decision back.
func TestLatency(t *testing.T) {
	both(t, func(t *testing.T, engine store.Engine) {
		sender, receiver := world(t, engine, nil)
		const n = 20
		var there, back []time.Duration
		for range n {
			began := time.Now()
			id := sender.offer(nil).GetId()
			receiver.waitState(id, Offered)
			there = append(there, time.Since(began))
			if _, err := receiver.desk.AcceptHandoff(as(t, "sato"), &handoffv1.AcceptHandoffRequest{Id: id}); err != nil {
				t.Fatal(err)
			}
			began = time.Now()
			sender.waitState(id, Accepted)
			back = append(back, time.Since(began))
		}
		slices.Sort(there)
		slices.Sort(back)
		t.Logf("there p50 %s, max %s; back p50 %s, max %s", there[n/2], there[n-1], back[n/2], back[n-1])
		if there[n/2] > 250*time.Millisecond || back[n/2] > 500*time.Millisecond {
			t.Errorf("there p50 %s, back p50 %s", there[n/2], back[n/2])
		}
	})
}
