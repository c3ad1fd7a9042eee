package lead

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

func day(n int) time.Time { return time.Date(2026, 4, n, 0, 0, 0, 0, time.UTC) }

func TestHear(t *testing.T) {
	nps := func(n int, score int32) Signal {
		return Signal{Kind: SignalNPS, Score: &score, Note: "…", At: day(n)}
	}
	left := Signal{Kind: SignalChurned, Reasons: []string{"NOT_USED"}, At: day(9)}
	for name, tt := range map[string]struct {
		told []Signal
		ok   func(s *Signals) bool
	}{
		"the later answer": {[]Signal{nps(3, 9), nps(2, 1)}, func(s *Signals) bool { return *s.NPS == 9 && s.NPSAt.Equal(day(3)) }},
		"the last of two":  {[]Signal{nps(3, 9), nps(3, 0)}, func(s *Signals) bool { return *s.NPS == 0 }},
		"speaks for us":    {[]Signal{{Kind: SignalAdvocate, At: day(1)}}, func(s *Signals) bool { return s.Advocate }},
		"no more":          {[]Signal{{Kind: SignalAdvocate, At: day(1)}, {Kind: SignalAdvocateEnded, At: day(2)}}, func(s *Signals) bool { return !s.Advocate && s.AdvocateAt.Equal(day(2)) }},
		"good":             {[]Signal{{Kind: SignalGoodFit, Reasons: []string{"INDUSTRY"}, At: day(1)}}, func(s *Signals) bool { return s.Fit == "GOOD" && s.FitReasons[0] == "INDUSTRY" }},
		"poor":             {[]Signal{{Kind: SignalGoodFit, At: day(1)}, {Kind: SignalPoorFit, At: day(2)}}, func(s *Signals) bool { return s.Fit == "POOR" }},
		"left":             {[]Signal{left}, func(s *Signals) bool { return s.ChurnedAt.Equal(day(9)) && s.ChurnReason == "NOT_USED" }},
		"came back":        {[]Signal{left, {Kind: SignalReturned, At: day(12)}}, func(s *Signals) bool { return s.ChurnedAt == nil && s.ChurnReason == "" }},
		"named two":        {[]Signal{{Kind: SignalReferral}, {Kind: SignalReferral}}, func(s *Signals) bool { return s.ReferralCount == 2 && s.Count == 2 }},
	} {
		l := &Lead{State: Customer}
		for _, s := range tt.told {
			l.Hear(s)
		}
		if !tt.ok(l.Signals) || len(l.heard) != len(tt.told) || l.heard[len(l.heard)-1].Seq != int64(len(tt.told)) {
			t.Errorf("%s: %+v", name, l.Signals)
		}
	}
}

// Whatever customer success tells, in whatever order: state and score stay, and of what has a time the latest counts.
func TestSignalsChangeNothingElse(t *testing.T) {
	kinds := []SignalKind{
		SignalNPS, SignalAdvocate, SignalAdvocateEnded, SignalReferral, SignalGoodFit, SignalPoorFit, SignalChurned, SignalReturned,
	}
	rapid.Check(t, func(t *rapid.T) {
		l := &Lead{State: Customer, StateSince: day(1), TouchCount: 3}
		before := l.Score.AtTime(model, day(30))
		var last int
		for _, n := range rapid.SliceOfDistinct(rapid.IntRange(1, 28), rapid.ID[int]).Draw(t, "days") {
			s := Signal{Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), At: day(n)}
			if s.Kind == SignalNPS {
				last = max(last, n)
			}
			l.Hear(s)
		}
		if l.State != Customer || len(l.transitions) != 0 || l.TouchCount != 3 ||
			l.Score.AtTime(model, day(30)).BehaviourPoints(model) != before.BehaviourPoints(model) {
			t.Fatalf("%+v", l)
		}
		if last > 0 && !l.Signals.NPSAt.Equal(day(last)) {
			t.Fatalf("the answer of %v counts, not of day %d", l.Signals.NPSAt, last)
		}
	})
}

// told takes in an event of customer success.
func (b *bench) told(t *testing.T, journey string, data proto.Message) {
	t.Helper()
	b.clock.Advance(time.Second)
	body, err := anypb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Write(t.Context(), b.DB, func(tx store.Tx) (struct{}, error) {
		return struct{}{}, b.FollowCustomers(t.Context(), tx, &feedv1.Event{
			Id: party.NewID(), JourneyId: journey, At: timestamppb.New(b.clock.Now()), Data: body,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFollowCustomers(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		l := b.captured(t, "hanako@example.co.jp", "株式会社タスキ", "demo_request")
		before := b.read(t, l.GetId())
		customer, at := party.NewID(), timestamppb.New(start)
		fit := func(f customersuccessv1.FitSignal_Fit) *customersuccessv1.FitSignalRecorded {
			return &customersuccessv1.FitSignalRecorded{FitSignal: &customersuccessv1.FitSignal{
				CustomerId: customer, Fit: f, Reasons: []string{"INDUSTRY", "USE_CASE"}, CreateTime: timestamppb.New(b.clock.Now()),
			}}
		}
		b.told(t, l.GetJourneyId(), &customersuccessv1.NpsResponseRecorded{NpsResponse: &customersuccessv1.NpsResponse{
			CustomerId: customer, Score: 0, Verbatim: "使いこなせない", AnsweredAt: at,
		}})
		b.told(t, l.GetJourneyId(), &customersuccessv1.AdvocacyChanged{Advocacy: &customersuccessv1.Advocacy{CustomerId: customer, IsAdvocate: true, CreateTime: at}})
		b.told(t, l.GetJourneyId(), fit(customersuccessv1.FitSignal_FIT_GOOD))
		b.told(t, "", &customersuccessv1.FitSignalRecorded{PersonId: l.GetPerson().GetId(), FitSignal: fit(customersuccessv1.FitSignal_FIT_POOR).GetFitSignal()})
		b.told(t, l.GetJourneyId(), &customersuccessv1.CustomerChurned{CustomerId: customer, Reason: "NOT_USED", Note: "担当者が退職"})
		// Of no interest: another journey, another person, another change.
		b.told(t, party.NewID(), fit(customersuccessv1.FitSignal_FIT_GOOD))
		b.told(t, "", &customersuccessv1.CustomerChurned{PersonId: party.NewID(), Reason: "NOT_USED"})
		b.told(t, l.GetJourneyId(), &customersuccessv1.CustomerStateChanged{From: customersuccessv1.Customer_STATE_ADOPTION})

		got, err := b.server.GetLead(ctx, &pb.GetLeadRequest{Id: l.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		if s := got.GetCustomerSignals(); s.NpsScore == nil || s.GetNpsScore() != 0 || s.GetNpsVerbatim() != "使いこなせない" || !s.GetIsAdvocate() ||
			s.GetFit() != "POOR" || len(s.GetFitReasons()) != 2 || s.GetChurnReason() != "NOT_USED" || s.GetChurnedAt() == nil || s.GetCustomerId() != customer {
			t.Errorf("%v", s)
		}
		after := b.read(t, l.GetId())
		if after.State != before.State || after.Score.BehaviourPoints(model) != before.Score.BehaviourPoints(model) || after.Version != before.Version+5 {
			t.Errorf("%+v", after)
		}
		var kinds []pb.CustomerSignal_Kind
		req := &pb.ListLeadCustomerSignalsRequest{Id: l.GetId(), PageSize: 2}
		for {
			res, err := b.server.ListLeadCustomerSignals(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range res.GetSignals() {
				kinds = append(kinds, s.GetKind())
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if want := []pb.CustomerSignal_Kind{
			pb.CustomerSignal_KIND_NPS, pb.CustomerSignal_KIND_ADVOCATE, pb.CustomerSignal_KIND_GOOD_FIT, pb.CustomerSignal_KIND_POOR_FIT, pb.CustomerSignal_KIND_CHURNED,
		}; !slices.Equal(kinds, want) {
			t.Errorf("%v, want %v", kinds, want)
		}
		if n := b.count(t, "events WHERE type = 'tasuki.marketing.v1.LeadCustomerSignalReceived'"); n != 5 {
			t.Errorf("%d events", n)
		}
		b.told(t, l.GetJourneyId(), &customersuccessv1.CustomerStateChanged{From: customersuccessv1.Customer_STATE_CHURNED})
		if s := b.read(t, l.GetId()).Signals; s.ChurnedAt != nil || s.Count != 6 {
			t.Errorf("came back: %+v", s)
		}
	})
}

func TestReferralMakesOneLead(t *testing.T) {
	desks(t, func(t *testing.T, b *bench) {
		ctx := b.ctx(t.Context())
		from := b.captured(t, "hanako@example.co.jp", "株式会社タスキ", "demo_request")
		referral := &customersuccessv1.Referral{
			Id: party.NewID(), CustomerId: party.NewID(), AccountId: from.GetCompany().GetId(), ReferredBy: from.GetPerson(), Note: "同じ課題がある",
			Person:  &typev1.Person{Name: &typev1.PersonName{Family: "鈴木", Given: "次郎"}, Mail: "jiro@other.example.jp"},
			Company: &typev1.Company{Name: "株式会社アザー", Industry: "IT", Employees: 300}, CreateTime: timestamppb.New(start),
		}
		for range 2 { // as after a cursor that was set back
			b.told(t, from.GetJourneyId(), &customersuccessv1.ReferralRecorded{Referral: referral})
		}
		res, err := b.server.ListLeads(ctx, &pb.ListLeadsRequest{Channel: "REFERRAL"})
		if err != nil || len(res.GetLeads()) != 1 {
			t.Fatalf("%v, %v", res, err)
		}
		l := res.GetLeads()[0]
		if l.GetSource() != "REFERRAL" || l.GetTouchCount() != 1 || l.GetPerson().GetName().GetFull() != "鈴木 次郎" || l.GetNotes() != "同じ課題がある" ||
			l.GetState() != pb.Lead_STATE_MAL || l.GetJourneyId() == from.GetJourneyId() {
			t.Errorf("%v", l)
		}
		if r := l.GetReferral(); r.GetReferralId() != referral.GetId() || r.GetJourneyId() != from.GetJourneyId() ||
			r.GetCustomerId() != referral.GetCustomerId() || r.GetPersonId() != from.GetPerson().GetId() {
			t.Errorf("%v", r)
		}
		// Somebody who is known already gets a touch, and keeps who named them first.
		again := proto.CloneOf(referral)
		again.Id = party.NewID()
		b.told(t, from.GetJourneyId(), &customersuccessv1.ReferralRecorded{Referral: again})
		got, err := b.server.GetLead(ctx, &pb.GetLeadRequest{Id: l.GetId()})
		if err != nil || got.GetTouchCount() != 2 || got.GetReferral().GetReferralId() != referral.GetId() {
			t.Errorf("%v, %v", got, err)
		}
		// A customer that did not begin here names somebody too; and an excluded one stays excluded.
		b.rule(t, "rival.example.jp")
		rival := proto.CloneOf(referral)
		rival.Id, rival.Person.Mail = party.NewID(), "x@rival.example.jp"
		b.told(t, party.NewID(), &customersuccessv1.ReferralRecorded{Referral: rival})
		if n := b.count(t, "leads WHERE source = 'REFERRAL' AND state = 'EXCLUDED'"); n != 1 {
			t.Errorf("%d excluded", n)
		}
		if s := b.read(t, from.GetId()).Signals; s.ReferralCount != 2 {
			t.Errorf("%+v", s)
		}
	})
}
