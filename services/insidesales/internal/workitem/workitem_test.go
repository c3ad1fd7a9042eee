package workitem

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tasuki-project/tasuki/services/insidesales/internal/activity"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
)

var (
	t0   = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)
	sato = access.Actor{Kind: access.KindPerson, ID: "sato"}
)

func item(s State, src Source) *WorkItem {
	w := Create(WorkItem{ID: "w", Source: src}, sato, t0)
	w.State, w.facts = s, nil
	if !s.Undecided() || s == Assigned {
		w.Assignee = "sato"
	}
	return w
}

// ways is how each command of the machine is given.
var ways = map[Command]func(w *WorkItem) error{
	Assign: func(w *WorkItem) error {
		if w.State == Assigned { // assigning anew keeps the state
			return w.illegal("assign")
		}
		return w.AssignTo("kato", sato, t0)
	},
	Unassign: func(w *WorkItem) error {
		if w.State == New { // nothing to take away
			return w.illegal("unassign")
		}
		return w.AssignTo("", sato, t0)
	},
	Accept:   func(w *WorkItem) error { return w.AcceptBy("kato", sato, "", t0) },
	Reject:   func(w *WorkItem) error { return w.Close(Reject, sato, "NO_BUDGET", "", nil, t0) },
	Return:   func(w *WorkItem) error { return w.Close(Return, sato, "", "no phone", nil, t0) },
	TakeBack: func(w *WorkItem) error { return w.Close(TakeBack, sato, "RECALLED", "", nil, t0) },
	Reoffer:  func(w *WorkItem) error { return w.OfferAgain(sato, t0) },
	Touch: func(w *WorkItem) error {
		first, err := w.Log(act(activity.Call, activity.Outbound, activity.NoAnswer), nil, t0)
		if err == nil && !first {
			return errors.New("not the first touch")
		}
		return err
	},
	Reach: func(w *WorkItem) error {
		before := w.State
		if _, err := w.Log(act(activity.Email, activity.Inbound, activity.Replied), nil, t0); err != nil {
			return err
		}
		if w.State == before {
			return errors.New("not reached for the first time")
		}
		return nil
	},
	Qualify: func(w *WorkItem) error {
		return w.QualifyWith(Answers{Issue: "paper", Need: "reports", Timeline: "June"}, sato, "", t0)
	},
	OfferMeeting:   func(w *WorkItem) error { return w.MeetingIsOffered("h", sato, t0) },
	ReofferMeeting: func(w *WorkItem) error { return w.MeetingIsOfferedAgain(sato, t0) },
	HandOver: func(w *WorkItem) error {
		before := w.State
		if err := w.MeetingIsDecided(true, sato, "", "", t0); err != nil || w.State == before {
			return errors.Join(err, errors.New("not handed over"))
		}
		return nil
	},
	RefuseMeeting: func(w *WorkItem) error {
		before := w.State
		if err := w.MeetingIsDecided(false, sato, "NO_NEED", "", t0); err != nil || w.State == before {
			return errors.Join(err, errors.New("not refused"))
		}
		return nil
	},
	Recycle: func(w *WorkItem) error {
		return w.RecycleFor(Verdict{Code: "BAD_TIMING", Recycles: true, WakeAfter: time.Hour}, sato, "", nil, t0)
	},
	Disqualify: func(w *WorkItem) error {
		return w.DisqualifyFor(Verdict{Code: "COMPETITOR", Archives: true}, sato, "", t0)
	},
}

func act(k activity.Kind, d activity.Direction, r activity.Result) activity.Activity {
	return activity.Activity{Kind: k, Direction: d, Result: r, OccurredAt: t0, Actor: sato}
}

// want is the table of the domain: every pair that is not here is illegal.
var want = map[State]map[Command]State{
	New:            {Assign: Assigned, Accept: Accepted, Reject: Rejected, Return: Returned, TakeBack: Returned, Reoffer: New},
	Assigned:       {Unassign: New, Accept: Accepted, Reject: Rejected, Return: Returned, TakeBack: Returned, Reoffer: New},
	Returned:       {Reoffer: New},
	Accepted:       {Touch: Working, Recycle: Recycled, Disqualify: Disqualified},
	Working:        {Reach: Connected, ReofferMeeting: MeetingOffered, Recycle: Recycled, Disqualify: Disqualified},
	Connected:      {Qualify: Qualified, ReofferMeeting: MeetingOffered, Recycle: Recycled, Disqualify: Disqualified},
	Qualified:      {OfferMeeting: MeetingOffered, ReofferMeeting: MeetingOffered, Recycle: Recycled, Disqualify: Disqualified},
	MeetingOffered: {HandOver: HandedOver, RefuseMeeting: Working},
}

func TestEveryTransition(t *testing.T) {
	for _, from := range States() {
		for command, give := range ways {
			t.Run(string(from)+"/"+string(command), func(t *testing.T) {
				w := item(from, MQL)
				before := *w
				err := give(w)
				to, legal := want[from][command]
				if !legal {
					if err == nil && !lenient(from, command) {
						t.Fatalf("%s of a %s work item was let through to %s", command, from, w.State)
					}
					if w.State != before.State {
						t.Errorf("refused, but the state went from %s to %s", before.State, w.State)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if w.State != to {
					t.Fatalf("state %s, want %s", w.State, to)
				}
				last := w.facts[len(w.facts)-1]
				if last.Kind != FactMoved || last.Transition.From != from || last.Transition.To != to || last.After.Version != w.Version {
					t.Errorf("last fact %+v", last)
				}
			})
		}
	}
}

// lenient are commands that do something else than change the state there: a new person, or nothing.
func lenient(from State, c Command) bool {
	return c == Assign && slices.Contains([]State{Accepted, Working, Connected, Qualified, MeetingOffered}, from)
}

func TestIllegalNamesTheLegal(t *testing.T) {
	for _, c := range []struct {
		state State
		src   Source
		legal string
	}{
		{New, MQL, "accept,assign,logActivity,reject,return"},
		{New, SelfGenerated, "assign,logActivity"},
		{Assigned, MQL, "accept,assign,logActivity,reject,return"},
		{Accepted, MQL, "assign,disqualify,logActivity,recycle"},
		{Connected, MQL, "assign,disqualify,logActivity,qualify,recycle"},
		{Qualified, MQL, "assign,disqualify,logActivity,offerMeeting,recycle"},
		{MeetingOffered, MQL, "assign,logActivity"},
		{Returned, MQL, ""},
		{Rejected, MQL, ""},
		{HandedOver, MQL, ""},
		{Recycled, MQL, ""},
		{Disqualified, MQL, ""},
	} {
		t.Run(string(c.state)+"/"+string(c.src), func(t *testing.T) {
			w := item(c.state, c.src)
			err := w.illegal("dance")
			e, ok := problem.Parse(err)
			if !ok || e.Reason != problem.ReasonIllegalTransition {
				t.Fatalf("%v", err)
			}
			want := map[string]string{"resource": "work-item", "state": string(c.state), "command": "dance", "legal": c.legal}
			if d := cmp.Diff(want, e.Metadata); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLog(t *testing.T) {
	later := t0.Add(24 * time.Hour)
	for _, c := range []struct {
		name  string
		from  State
		src   Source
		a     activity.Activity
		to    State
		first bool
		moves int
	}{
		{"first call, no answer", Accepted, MQL, act(activity.Call, activity.Outbound, activity.NoAnswer), Working, true, 1},
		{"first call connects", Accepted, MQL, act(activity.Call, activity.Outbound, activity.Connected), Connected, true, 2},
		{"first mail", Accepted, MQL, act(activity.Email, activity.Outbound, activity.Sent), Working, true, 1},
		{"form", Accepted, MQL, act(activity.FormSubmission, activity.Outbound, activity.Sent), Working, true, 1},
		{"web meeting", Accepted, MQL, act(activity.WebMeeting, activity.Outbound, ""), Connected, true, 2},
		{"note", Accepted, MQL, act(activity.Note, "", ""), Accepted, false, 0},
		{"inbound is no touch of ours", Accepted, MQL, act(activity.Call, activity.Inbound, activity.Connected), Accepted, false, 0},
		{"second call", Working, MQL, act(activity.Call, activity.Outbound, activity.LeftMessage), Working, false, 0},
		{"reply", Working, MQL, act(activity.Email, activity.Inbound, activity.Replied), Connected, false, 1},
		{"after qualifying", Qualified, MQL, act(activity.Call, activity.Outbound, activity.Connected), Qualified, false, 0},
		{"reminder", MeetingOffered, MQL, act(activity.Call, activity.Outbound, activity.Connected), MeetingOffered, false, 0},
		{"note before acceptance", New, MQL, act(activity.Note, "", ""), New, false, 0},
		{"they call before acceptance", Assigned, MQL, act(activity.Call, activity.Inbound, activity.Connected), Assigned, false, 0},
		{"self-generated", New, SelfGenerated, act(activity.Call, activity.Outbound, activity.NoAnswer), Working, true, 2},
		{"self-generated, assigned", Assigned, SelfGenerated, act(activity.Call, activity.Outbound, activity.Connected), Connected, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := item(c.from, c.src)
			first, err := w.Log(c.a, &later, t0)
			if err != nil || w.State != c.to || first != c.first {
				t.Fatalf("state %s, first %t, %v; want %s, %t", w.State, first, err, c.to, c.first)
			}
			moves := 0
			for _, f := range w.facts {
				if f.Kind == FactMoved {
					moves++
				}
			}
			if moves != c.moves || !w.NextActionAt.Equal(later) || !w.LastActivityAt.Equal(t0) {
				t.Errorf("%d moves, next %v, last %v", moves, w.NextActionAt, w.LastActivityAt)
			}
		})
	}
}

func TestLogIsIllegal(t *testing.T) {
	for _, c := range []struct {
		state State
		a     activity.Activity
	}{
		{Recycled, act(activity.Note, "", "")},
		{Disqualified, act(activity.Call, activity.Outbound, "")},
		{HandedOver, act(activity.Call, activity.Outbound, "")},
		{Rejected, act(activity.Note, "", "")},
		{Returned, act(activity.Note, "", "")},
		{New, act(activity.Call, activity.Outbound, "")},
		{Assigned, act(activity.Email, activity.Outbound, "")},
	} {
		w := item(c.state, MQL)
		if _, err := w.Log(c.a, nil, t0); !problem.Is(err, problem.ReasonIllegalTransition) {
			t.Errorf("%s: %v", c.state, err)
		}
		if w.Version != 1 || w.LastActivityAt != nil {
			t.Errorf("%s: changed although refused", c.state)
		}
	}
}

func TestNextAction(t *testing.T) {
	due := t0.Add(time.Hour)
	w := item(Accepted, MQL)
	w.NextActionAt = &due
	if _, err := w.Log(act(activity.Note, "", ""), nil, t0); err != nil || w.NextActionAt == nil {
		t.Errorf("a note keeps the next action: %v %v", w.NextActionAt, err)
	}
	if _, err := w.Log(act(activity.Call, activity.Outbound, ""), nil, t0); err != nil || w.NextActionAt != nil {
		t.Errorf("a call without one takes it away: %v %v", w.NextActionAt, err)
	}
	w.NextActionAt = &due
	if err := ways[Recycle](w); err != nil || w.NextActionAt != nil {
		t.Errorf("nothing is due after the end: %v %v", w.NextActionAt, err)
	}
}

func TestQualifyGuard(t *testing.T) {
	for _, c := range []struct {
		name    string
		had, is Answers
		missing string
	}{
		{"all", Answers{}, Answers{"i", "b", "a", "n", "t"}, ""},
		{"issue and two", Answers{}, Answers{Issue: "i", Budget: "b", Timeline: "t"}, ""},
		{"issue and one", Answers{}, Answers{Issue: "i", Authority: "a"}, "budget,need,timeline"},
		{"no issue", Answers{}, Answers{Budget: "b", Authority: "a"}, "issue"},
		{"blanks are no answers", Answers{}, Answers{Issue: " ", Budget: "\t", Need: "n", Timeline: "t"}, "issue"},
		{"nothing", Answers{}, Answers{}, "issue,budget,authority,need,timeline"},
		{"earlier ones count", Answers{Issue: "i", Budget: "b"}, Answers{Need: "n"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := item(Connected, MQL)
			w.Answers = c.had
			err := w.QualifyWith(c.is, sato, "", t0)
			if c.missing == "" {
				if err != nil || w.State != Qualified {
					t.Fatalf("%s %v", w.State, err)
				}
				return
			}
			e, ok := problem.Parse(err)
			if !ok || e.Reason != problem.ReasonGuardNotMet || e.Metadata["missing"] != c.missing {
				t.Fatalf("%v", err)
			}
			if w.Answers != c.had || w.State != Connected {
				t.Error("changed although refused")
			}
		})
	}
}

func TestRecycleAndDisqualifyByReason(t *testing.T) {
	timing := Verdict{Code: "BAD_TIMING", Recycles: true, WakeAfter: 60 * 24 * time.Hour}
	rival := Verdict{Code: "COMPETITOR", Archives: true}
	past, ahead := t0.Add(-time.Hour), t0.Add(time.Hour)
	for _, c := range []struct {
		name   string
		give   func(*WorkItem) error
		reason problem.Reason
		wake   *time.Time
	}{
		{"default date", func(w *WorkItem) error { return w.RecycleFor(timing, sato, "", nil, t0) }, 0, ptr(t0.Add(60 * 24 * time.Hour))},
		{"own date", func(w *WorkItem) error { return w.RecycleFor(timing, sato, "", &ahead, t0) }, 0, &ahead},
		{"past date", func(w *WorkItem) error { return w.RecycleFor(timing, sato, "", &past, t0) }, problem.ReasonInvalidFields, nil},
		{"reason to archive", func(w *WorkItem) error { return w.RecycleFor(rival, sato, "", nil, t0) }, problem.ReasonGuardNotMet, nil},
		{"overridden", func(w *WorkItem) error { return w.RecycleFor(rival, sato, "was sold", &ahead, t0) }, 0, &ahead},
		{"disqualify", func(w *WorkItem) error { return w.DisqualifyFor(rival, sato, "", t0) }, 0, nil},
		{"reason to recycle", func(w *WorkItem) error { return w.DisqualifyFor(timing, sato, "", t0) }, problem.ReasonGuardNotMet, nil},
		{"overridden too", func(w *WorkItem) error { return w.DisqualifyFor(timing, sato, "never again", t0) }, 0, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := item(Working, MQL)
			err := c.give(w)
			if got := problem.ReasonOf(err); got != c.reason {
				t.Fatalf("%v", err)
			}
			if d := cmp.Diff(c.wake, w.WakeAt); d != "" {
				t.Error(d)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }

func TestOutcome(t *testing.T) {
	w := item(HandedOver, MQL)
	w.OpportunityIs("o", t0)
	w.OpportunityIs("o", t0)
	w.OutcomeIs(Lost, "PRICE", t0)
	w.OutcomeIs(Lost, "PRICE", t0)
	w.OutcomeIs(Won, "", t0)
	if w.Version != 4 || len(w.facts) != 3 || w.Outcome != Won || w.OutcomeReason != "" {
		t.Errorf("version %d, %d facts, %s %s", w.Version, len(w.facts), w.Outcome, w.OutcomeReason)
	}
}

// Whatever is tried in whatever order: the history is a chain without gaps, versions only rise, and a refused command
// changes nothing.
func TestHistoryIsAChain(t *testing.T) {
	commands := make([]Command, 0, len(ways))
	for c := range ways {
		commands = append(commands, c)
	}
	slices.Sort(commands)
	rapid.Check(t, func(t *rapid.T) {
		w := Create(WorkItem{ID: "w", Source: rapid.SampledFrom([]Source{MQL, SelfGenerated}).Draw(t, "source")}, sato, t0)
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			version := w.Version
			err := ways[rapid.SampledFrom(commands).Draw(t, "c")](w)
			if _, refused := problem.Parse(err); refused && w.Version != version {
				t.Fatalf("changed although refused: %v", err)
			}
		}
		var state State
		for _, f := range w.facts {
			if f.Kind != FactCreated && f.Kind != FactMoved {
				continue
			}
			if f.Transition.From != state {
				t.Fatalf("from %q after %q", f.Transition.From, state)
			}
			state = f.Transition.To
		}
		if state != w.State {
			t.Fatalf("history ends in %s, the work item in %s", state, w.State)
		}
		for i := 1; i < len(w.facts); i++ {
			if w.facts[i].After.Version <= w.facts[i-1].After.Version {
				t.Fatal("versions do not rise")
			}
		}
	})
}
