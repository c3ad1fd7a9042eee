package faults

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
)

// follower reads the feed of a department while everything is broken around it, going on from its cursor.
type follower struct {
	person
	department string
	cursor     string
	ids        []string
}

// run reads until ctx ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		events, err := f.read(ctx)
		if err != nil && ctx.Err() == nil {
			f.away(http.MethodGet, "/v1/events", err)
		}
		if err != nil || len(events) == 0 {
			pause(ctx, 100*time.Millisecond)
		}
	}
}

// read takes the events after the cursor, if there are any.
func (f *follower) read(ctx context.Context) ([]*feedv1.Event, error) {
	var page feedv1.ListEventsResponse
	query := url.Values{"pageSize": {"1000"}, "pageToken": {f.cursor}}
	if err := f.once(ctx, http.MethodGet, "/v1/events?"+query.Encode(), nil, &page); err != nil {
		return nil, err
	}
	f.cursor = page.GetNextPageToken()
	for _, e := range page.GetEvents() {
		f.ids = append(f.ids, e.GetId())
	}
	return page.GetEvents(), nil
}

// rest reads to the end of the feed, and returns what it has read.
func (f *follower) rest(ctx context.Context) ([]*feedv1.Event, error) {
	var all []*feedv1.Event
	for {
		events, err := f.read(ctx)
		if err != nil || len(events) == 0 {
			return all, err
		}
		all = append(all, events...)
	}
}

// tally is how often events say something.
type tally map[string]int

// checkFeed compares what the follower saw with a reading from the start, and adds up what the events say.
func checkFeed(ctx context.Context, found *findings, f *follower, told tally) error {
	if _, err := f.rest(ctx); err != nil {
		return err
	}
	anew := &follower{person: f.person, department: f.department}
	events, err := anew.rest(ctx)
	if err != nil {
		return err
	}
	for i := range max(len(f.ids), len(anew.ids)) {
		if i >= len(f.ids) || i >= len(anew.ids) || f.ids[i] != anew.ids[i] {
			found.add("the feed of %s: %d events were seen while they came, a reading from the start sees %d; they differ from place %d on",
				f.department, len(f.ids), len(anew.ids), i)
			break
		}
	}
	ids, versions := map[string]bool{}, map[string]int64{}
	for _, e := range events {
		if ids[e.GetId()] {
			found.add("the feed of %s shows event %s twice", f.department, e.GetId())
		}
		ids[e.GetId()] = true
		if e.GetSubjectVersion() < versions[e.GetSubject()] {
			found.add("the feed of %s shows %s in version %d after %d", f.department, e.GetSubject(), e.GetSubjectVersion(), versions[e.GetSubject()])
		}
		versions[e.GetSubject()] = e.GetSubjectVersion()
		if err := told.add(f.department, e); err != nil {
			return err
		}
	}
	return nil
}

// add counts one event by what it says.
func (t tally) add(department string, e *feedv1.Event) error {
	data, err := e.GetData().UnmarshalNew()
	if err != nil {
		return err
	}
	switch m := data.(type) {
	case *marketingv1.LeadCaptured:
		t["captured "+m.GetLead().GetId()]++
	case *insidesalesv1.ActivityLogged:
		t[m.GetActivity().GetNote()]++
	case *fieldsalesv1.OpportunityClosed:
		t["closed "+m.GetOpportunityId()]++
	case *customersuccessv1.MrrMoved:
		t["moved "+m.GetMovement().GetId()]++
		t["moved"]++
	case interface{ GetHandoff() *handoffv1.Handoff }:
		t.handoff(department, e, data, m.GetHandoff())
	}
	return nil
}

// handoff counts what happened to an attempt, and at the receiver the decision with who took it.
func (t tally) handoff(department string, e *feedv1.Event, data proto.Message, h *handoffv1.Handoff) {
	what := string(data.ProtoReflect().Descriptor().Name())
	one := fmt.Sprintf("%s %d", h.GetId(), h.GetAttempt())
	t[what+" "+one]++
	command := map[string]string{"HandoffAccepted": "accept", "HandoffRejected": "reject", "HandoffReturned": "return", "HandoffRecalled": "recall", "HandoffExpired": "expire"}[what]
	if command == "" || department != h.GetTo() {
		return
	}
	t["decided "+one]++
	t[fmt.Sprintf("%s %s by %s", command, one, nameOf(e.GetActor().GetId()))]++
}

// nameOf is the name of a person in an actor's id.
func nameOf(id string) string { return id[strings.LastIndexByte(id, ':')+1:] }

// checkEvents compares the events with the ledgers and with what callers were told.
func checkEvents(found *findings, told tally, b *books, j *journal) {
	want := func(n int, what string, args ...any) {
		if key := fmt.Sprintf(what, args...); told[key] != n {
			found.add("the feeds say %q %d times, want %d", key, told[key], n)
		}
	}
	for _, leads := range b.leads {
		want(1, "captured %s", leads[0].GetId())
	}
	for _, l := range b.legs {
		for id, h := range l.sent {
			for n := int32(1); n <= h.GetAttempt(); n++ {
				want(1, "HandoffOffered %s %d", id, n)
				want(1, "HandoffReceived %s %d", id, n)
				want(1, "decided %s %d", id, n)
			}
		}
	}
	for _, deals := range b.deals {
		want(1, "closed %s", deals[0].GetId())
	}
	want(size(b.lines), "moved")
	for _, lines := range b.lines {
		for _, line := range lines {
			want(1, "moved %s", line.GetId())
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	for a, decisions := range j.decisions {
		if len(decisions) > 1 {
			found.add("several decisions on %s, attempt %d, were acknowledged: %v", a.handoff, a.n, decisions)
		}
		for d := range decisions {
			want(1, "%s %s %d by %s", d.command, a.handoff, a.n, d.by)
		}
	}
	for note, acknowledged := range j.calls {
		if acknowledged || told[note] > 1 {
			want(1, "%s", note)
		}
	}
}
