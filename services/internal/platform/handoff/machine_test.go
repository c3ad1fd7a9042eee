package handoff

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

var (
	allStates   = []State{None, Offered, Accepted, Fulfilled, Rejected, Returned, Recalled, Expired}
	allCommands = []Command{Assign, Accept, Reject, Return, Recall, Expire, Fulfil, Resubmit}
)

// Every command in every state: the legal ones lead where the picture says, the others are refused with what is legal.
func TestMachine(t *testing.T) {
	want := map[State]map[Command]State{
		Offered:  {Assign: Offered, Accept: Accepted, Reject: Rejected, Return: Returned, Recall: Recalled, Expire: Expired},
		Accepted: {Assign: Accepted, Fulfil: Fulfilled},
		Returned: {Resubmit: Offered},
		Expired:  {Resubmit: Offered},
	}
	decisions := []Command{Accept, Reject, Return, Recall, Expire}
	for _, s := range allStates {
		for _, c := range allCommands {
			to, legalHere := want[s][c]
			got, ok := next(s, c)
			if ok != legalHere || got != to {
				t.Errorf("%s in %q: %q, %v", c, s, got, ok)
			}
			for _, side := range []Side{In, Out} {
				err := possible(rowIn(side, s), c)
				var p *problem.Error
				switch {
				case legalHere:
					if err != nil {
						t.Errorf("%s in %q on %s: %v", c, s, side, err)
					}
				case !errors.As(err, &p):
					t.Errorf("%s in %q on %s gives %v", c, s, side, err)
				case slices.Contains(decisions, c) && s != None:
					if p.Reason != problem.ReasonDecisionTaken || p.Metadata["by"] != "sato" || p.Metadata["decision"] == "" {
						t.Errorf("%s in %q on %s gives %v %v", c, s, side, p.Reason, p.Metadata)
					}
				default:
					if p.Reason != problem.ReasonIllegalTransition || p.Metadata["command"] != string(c) || p.Metadata["state"] != string(s) {
						t.Errorf("%s in %q on %s gives %v %v", c, s, side, p.Reason, p.Metadata)
					}
					if p.Metadata["legal"] != strings.Join(legal(side, s), ",") {
						t.Errorf("%s in %q on %s names %q", c, s, side, p.Metadata["legal"])
					}
				}
			}
		}
	}
}

func rowIn(side Side, s State) *entry {
	h := &handoffv1.Handoff{State: s.proto()}
	if s != None && s != Offered {
		h.Decision = &handoffv1.Decision{State: s.proto(), By: &typev1.Actor{Id: "sato"}, At: timestamppb.New(time.Unix(1, 0))}
	}
	return &entry{side: side, h: h}
}

// What people may do on each side, by state.
func TestLegal(t *testing.T) {
	want := map[Side]map[State]string{
		In:  {Offered: "assign accept reject return", Accepted: "assign fulfil"},
		Out: {Offered: "recall", Returned: "resubmit", Expired: "resubmit"},
	}
	for _, side := range []Side{In, Out} {
		for _, s := range allStates {
			if got := strings.Join(legal(side, s), " "); got != want[side][s] {
				t.Errorf("%s in %q: %q", side, s, got)
			}
			for _, c := range allCommands {
				err := given(rowIn(side, s), c)
				if ok := slices.Contains(commands[side], c); ok != (err == nil) {
					t.Errorf("%s on %s: %v", c, side, err)
				}
			}
		}
	}
}

// The sender follows the receiver along the arrows only.
func TestLeadsTo(t *testing.T) {
	want := map[[2]State]Command{
		{Offered, Accepted}: Accept, {Offered, Rejected}: Reject, {Offered, Returned}: Return, {Offered, Recalled}: Recall,
		{Offered, Expired}: Expire, {Accepted, Fulfilled}: Fulfil, {Returned, Offered}: Resubmit, {Expired, Offered}: Resubmit,
	}
	for _, from := range allStates {
		for _, to := range allStates {
			c, ok := leadsTo(from, to)
			if w, legalHere := want[[2]State{from, to}]; ok != legalHere || c != w {
				t.Errorf("%q to %q: %q, %v", from, to, c, ok)
			}
		}
	}
}
