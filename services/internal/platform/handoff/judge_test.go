package handoff

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
)

func TestJudge(t *testing.T) {
	now := tokyo(6, 9, 0)
	us := func(attempt int32, s State, d handoffv1.Delivery, age time.Duration) *ours {
		return &ours{id: "x", attempt: attempt, state: s, delivery: d, offeredAt: now.Add(-age)}
	}
	them := func(attempt int32, s State, age time.Duration) *handoffv1.Handoff {
		return &handoffv1.Handoff{Id: "x", Attempt: attempt, State: s.proto(), UpdateTime: timestamppb.New(now.Add(-age))}
	}
	const (
		pending   = handoffv1.Delivery_DELIVERY_PENDING
		delivered = handoffv1.Delivery_DELIVERY_DELIVERED
		refused   = handoffv1.Delivery_DELIVERY_REFUSED
	)
	for name, c := range map[string]struct {
		o    *ours
		t    *handoffv1.Handoff
		want string
		mend bool
	}{
		"nothing on both sides":                      {},
		"equal":                                      {us(1, Offered, delivered, time.Hour), them(1, Offered, time.Hour), "", false},
		"equal and over":                             {us(2, Fulfilled, delivered, time.Hour), them(2, Fulfilled, 0), "", false},
		"on its way":                                 {us(1, Offered, pending, time.Second), nil, "", false},
		"on its way for long":                        {us(1, Offered, pending, time.Hour), nil, "MISSING_AT_RECEIVER", true},
		"lost after delivery":                        {us(1, Offered, delivered, 0), nil, "MISSING_AT_RECEIVER", true},
		"refused, never taken":                       {us(1, Returned, refused, time.Hour), nil, "", false},
		"lost after the decision":                    {us(1, Accepted, delivered, time.Hour), nil, "MISSING_AT_RECEIVER", false},
		"lost at the sender":                         {nil, them(1, Offered, time.Hour), "MISSING_AT_SENDER", false},
		"sender behind":                              {us(1, Returned, delivered, time.Hour), them(2, Offered, time.Hour), "SENDER_BEHIND", false},
		"next attempt on its way":                    {us(2, Offered, pending, time.Second), them(1, Returned, time.Hour), "", false},
		"next attempt on its way for long":           {us(2, Offered, pending, time.Hour), them(1, Returned, time.Hour), "RECEIVER_BEHIND", true},
		"next attempt refused":                       {us(2, Returned, refused, time.Hour), them(1, Returned, time.Hour), "", false},
		"decided on what the receiver does not have": {us(2, Accepted, delivered, time.Hour), them(1, Returned, time.Hour), "CONTRADICTION", false},
		"arrived just now":                           {us(1, Offered, pending, time.Second), them(1, Offered, 0), "", false},
		"arrived, not noted":                         {us(1, Offered, pending, time.Hour), them(1, Offered, time.Hour), "ARRIVAL_NOT_NOTED", true},
		"decided just now":                           {us(1, Offered, delivered, time.Hour), them(1, Rejected, time.Second), "", false},
		"decided":                                    {us(1, Offered, delivered, time.Hour), them(1, Rejected, time.Minute), "DECISION_NOT_APPLIED", true},
		"fulfilled":                                  {us(1, Accepted, delivered, time.Hour), them(1, Fulfilled, time.Minute), "DECISION_NOT_APPLIED", true},
		"accepted and fulfilled":                     {us(1, Offered, delivered, time.Hour), them(1, Fulfilled, time.Minute), "DECISION_NOT_APPLIED", true},
		"refused, arrived later":                     {us(1, Returned, refused, time.Hour), them(1, Offered, time.Hour), "CONTRADICTION", false},
		"refused, arrived later and was accepted":    {us(1, Returned, refused, time.Hour), them(1, Accepted, time.Hour), "CONTRADICTION", false},
		"the receiver's ledger went back in time":    {us(1, Accepted, delivered, time.Hour), them(1, Offered, time.Hour), "CONTRADICTION", false},
		"returned here, still offered there":         {us(1, Returned, delivered, time.Hour), them(1, Offered, time.Hour), "CONTRADICTION", false},
		"two decisions":                              {us(1, Accepted, delivered, time.Hour), them(1, Rejected, time.Hour), "CONTRADICTION", false},
	} {
		v := judge(c.o, c.t, now)
		got := ""
		if v != nil {
			got = v.finding.String()[len("FINDING_"):]
		}
		if got != c.want || v != nil && (v.mend != nil) != c.mend {
			t.Errorf("%s: %q, want %q that can be mended: %v", name, got, c.want, c.mend)
		}
		if v != nil && (v.ja == "" || v.en == "") {
			t.Errorf("%s: not described in both languages", name)
		}
	}
}
