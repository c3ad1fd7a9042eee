package feedback_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/date"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/feedback"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/opportunity"
	"github.com/tasuki-project/tasuki/services/fieldsales/migrations"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

var now = time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC)

// suite is what field sales knows of customers, on one engine.
type suite struct {
	*feedback.Server
	accounts *account.Server
	deals    *opportunity.Server
	follower *feedback.Follower
	clock    *testkit.Clock
}

func engines(t *testing.T, test func(t *testing.T, s suite)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, db *store.DB) {
		c := testkit.NewClock(now)
		log := event.NewLog(db, c)
		book := &account.Book{Events: log, Clock: c}
		test(t, suite{
			Server:   &feedback.Server{DB: db},
			accounts: &account.Server{DB: db, Book: book, Summary: feedback.OfAccount},
			deals:    &opportunity.Server{DB: db, Clock: c, Events: log, Accounts: book},
			follower: &feedback.Follower{Clock: c}, clock: c,
		})
	}, event.Migrations(), handoff.Migrations(), people.Migrations(), migrations.Set)
}

// account creates an account.
func (s suite) account(t *testing.T, name, industry string, employees int32) string {
	t.Helper()
	a, err := s.accounts.CreateAccount(t.Context(), &pb.CreateAccountRequest{Name: name, Industry: industry, Employees: employees})
	if err != nil {
		t.Fatal(err)
	}
	return a.GetId()
}

// deal opens a deal with an account.
func (s suite) deal(t *testing.T, accountID string) string {
	t.Helper()
	o, err := s.deals.CreateOpportunity(t.Context(), &pb.CreateOpportunityRequest{AccountId: accountID, Name: "deal", Owner: "tanaka"})
	if err != nil {
		t.Fatal(err)
	}
	return o.GetId()
}

// hear takes in an event of customer success, a second after the one before.
func (s suite) hear(t *testing.T, data proto.Message) *feedv1.Event {
	t.Helper()
	s.clock.Advance(time.Second)
	packed, err := anypb.New(data)
	if err != nil {
		t.Fatal(err)
	}
	ev := &feedv1.Event{Id: party.NewID(), JourneyId: party.NewID(), At: timestamppb.New(s.clock.Now()), Data: packed}
	s.apply(t, ev)
	return ev
}

func (s suite) apply(t *testing.T, ev *feedv1.Event) {
	t.Helper()
	_, err := store.Write(t.Context(), s.DB, func(tx store.Tx) (struct{}, error) { return struct{}{}, s.follower.Heard(t.Context(), tx, ev) })
	if err != nil {
		t.Fatal(err)
	}
}

func said(accountID, text string, rating int32) *customersuccessv1.CustomerFeedbackRecorded {
	return &customersuccessv1.CustomerFeedbackRecorded{CustomerFeedback: &customersuccessv1.CustomerFeedback{
		Id: party.NewID(), CustomerId: party.NewID(), AccountId: accountID, Text: text, Rating: rating,
		Kinds:  []customersuccessv1.CustomerFeedback_Kind{customersuccessv1.CustomerFeedback_KIND_SATISFACTION},
		SaidBy: &typev1.Person{Id: party.NewID(), Title: "営業部長", Mail: "tanaka@example.co.jp"}, SaidAt: timestamppb.New(now.Add(-time.Hour)),
	}}
}

func (s suite) ofAccount(t *testing.T, id string, kind pb.CustomerFeedback_Kind) []*pb.CustomerFeedback {
	t.Helper()
	res, err := s.ListCustomerFeedback(t.Context(), &pb.ListCustomerFeedbackRequest{AccountId: id, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetCustomerFeedback()
}

func TestAnAccountShowsItsOwn(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		id, other := s.account(t, "株式会社タスキ", "IT", 120), s.account(t, "別会社", "製造", 40)
		ev := s.hear(t, said(id, "毎日使っている", 4))
		s.apply(t, ev) // again, as after a cursor that was set back
		handoff, deal := party.NewID(), s.deal(t, id)
		quality := func(revision, score int32) *customersuccessv1.HandoverQualityRated {
			return &customersuccessv1.HandoverQualityRated{HandoverQuality: &customersuccessv1.HandoverQuality{
				HandoffId: handoff, OpportunityId: deal, AccountId: id, Score: score, Revision: revision, RatedAt: timestamppb.New(s.clock.Now()),
				LateGaps:       []*customersuccessv1.LateGap{{Field: "decision_process", Note: "法務の承認"}},
				BrokenPromises: []*customersuccessv1.BrokenPromise{{Promise: "会計連携"}},
			}}
		}
		s.hear(t, quality(1, 2))
		s.hear(t, quality(2, 5))
		s.hear(t, quality(1, 2)) // an old one that comes late
		churned := s.hear(t, &customersuccessv1.CustomerChurned{
			CustomerId: party.NewID(), AccountId: id, Reason: "NOT_USED", Note: "担当者が退職", EffectiveDate: &date.Date{Year: 2026, Month: 4, Day: 6},
		})
		s.hear(t, said(other, "よい", 5))

		got := s.ofAccount(t, id, 0)
		if len(got) != 3 {
			t.Fatalf("%v", got)
		}
		rated := s.ofAccount(t, id, pb.CustomerFeedback_KIND_HANDOVER_QUALITY)
		if len(rated) != 1 || rated[0].GetRating() != 5 || rated[0].GetOpportunityId() != deal ||
			!slices.Equal(rated[0].GetLateGaps(), []string{"decision_process: 法務の承認"}) || !slices.Equal(rated[0].GetBrokenPromises(), []string{"会計連携"}) {
			t.Errorf("%v", rated)
		}
		if told := s.ofAccount(t, id, pb.CustomerFeedback_KIND_SATISFACTION); len(told) != 1 || told[0].GetAccountName() != "株式会社タスキ" ||
			told[0].GetText() != "毎日使っている" || told[0].GetSaidBy().GetTitle() != "営業部長" || told[0].GetSaidBy().GetId() == "" || told[0].GetSaidBy().GetMail() != "" || told[0].GetJourneyId() != ev.GetJourneyId() {
			t.Errorf("%v", told)
		}
		res, err := s.ListCustomerFeedback(t.Context(), &pb.ListCustomerFeedbackRequest{OpportunityId: deal})
		if err != nil || len(res.GetCustomerFeedback()) != 1 || res.GetCustomerFeedback()[0].GetId() != handoff {
			t.Errorf("%v, %v", res, err)
		}
		a, err := s.accounts.GetAccount(t.Context(), &pb.GetAccountRequest{Id: id})
		if sum := a.GetCustomerSummary(); err != nil || sum.GetRating() != 4 || sum.GetHandoverScore() != 5 || sum.GetChurnReason() != "NOT_USED" ||
			!sum.GetChurnedAt().AsTime().Equal(time.Date(2026, 4, 5, 15, 0, 0, 0, time.UTC)) {
			t.Errorf("%v, %v", sum, err)
		}
		if left := s.ofAccount(t, id, pb.CustomerFeedback_KIND_CHURN); len(left) != 1 || left[0].GetId() != churned.GetId() || left[0].GetText() != "担当者が退職" {
			t.Errorf("%v", left)
		}
		moved := &customersuccessv1.CustomerStateChanged{AccountId: id, From: customersuccessv1.Customer_STATE_ONBOARDING}
		s.hear(t, moved) // of no interest
		moved.From = customersuccessv1.Customer_STATE_CHURNED
		s.hear(t, moved)
		if a, err = s.accounts.GetAccount(t.Context(), &pb.GetAccountRequest{Id: id}); err != nil || a.GetCustomerSummary().GetChurnedAt() != nil {
			t.Errorf("%v, %v", a, err)
		}
		if all := s.ofAccount(t, id, 0); len(all) != 4 {
			t.Errorf("%v", all)
		}
		stranger := s.account(t, "第三の会社", "", 0)
		if a, err = s.accounts.GetAccount(t.Context(), &pb.GetAccountRequest{Id: stranger}); err != nil || a.GetCustomerSummary() != nil {
			t.Errorf("%v, %v", a, err)
		}
		if _, err := s.ListCustomerFeedback(t.Context(), &pb.ListCustomerFeedbackRequest{AccountId: party.NewID()}); !problem.Is(problem.Status(t.Context(), err).Err(), problem.ReasonNotFound) {
			t.Errorf("an unknown account: %v", err)
		}
	})
}

func TestSimilarCustomers(t *testing.T) {
	engines(t, func(t *testing.T, s suite) {
		own := s.account(t, "株式会社タスキ", "ＩＴ", 120)
		deal := s.deal(t, own)
		// What each customer agrees in: the name says it.
		customers := map[string]*customersuccessv1.CustomerFeedbackRecorded{
			"all":              said("", "", 1),
			"industry+size":    said(s.account(t, "甲", "it", 250), "", 2),
			"industry":         said(s.account(t, "乙", "IT", 5), "", 3),
			"size":             said(s.account(t, "丙", "製造", 100), "", 4),
			"product":          said(s.account(t, "丁", "小売", 3), "", 5),
			"nothing":          said(s.account(t, "戊", "小売", 3), "", 1),
			"its own":          said(own, "", 1),
			"product+industry": said(party.NewID(), "", 1), // an account that is not here
		}
		customers["all"].Company, customers["all"].Products = &typev1.Company{Industry: "IT", Employees: 299}, []string{"Add-on", "Tasuki Standard"}
		customers["product"].Products = []string{"tasuki standard"}
		customers["product+industry"].Company, customers["product+industry"].Products = &typev1.Company{Industry: "it"}, []string{"TASUKI Standard"}
		for _, name := range []string{"product", "size", "industry", "industry+size", "all", "product+industry", "nothing", "its own"} {
			c := customers[name]
			c.CustomerFeedback.Text, c.CustomerFeedback.SaidAt = name, timestamppb.New(s.clock.Now())
			s.hear(t, c)
		}
		list := func(req *pb.ListSimilarCustomerFeedbackRequest) (texts []string) {
			t.Helper()
			req.OpportunityId = deal
			for {
				res, err := s.ListSimilarCustomerFeedback(t.Context(), req)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range res.GetCustomerFeedback() {
					texts = append(texts, f.GetText())
					if want := 1 + len(slices.DeleteFunc([]rune(f.GetText()), func(r rune) bool { return r != '+' })); f.GetText() != "all" && len(f.GetMatches()) != want {
						t.Errorf("%s agrees in %v", f.GetText(), f.GetMatches())
					}
				}
				if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
					return texts
				}
			}
		}
		// The most similar first, then the newest; without a product those that agree in nothing else are left out.
		if got, want := list(&pb.ListSimilarCustomerFeedbackRequest{Product: "Tasuki Standard", PageSize: 2}),
			[]string{"all", "product+industry", "industry+size", "industry", "size", "product"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		res, err := s.ListSimilarCustomerFeedback(t.Context(), &pb.ListSimilarCustomerFeedbackRequest{OpportunityId: deal})
		if err != nil || len(res.GetCustomerFeedback()) != 5 {
			t.Errorf("without a product: %v, %v", res, err)
		}
		if got := list(&pb.ListSimilarCustomerFeedbackRequest{Kind: pb.CustomerFeedback_KIND_USAGE}); len(got) != 0 {
			t.Errorf("nobody spoke of usage: %v", got)
		}
		blank := s.deal(t, s.account(t, "己", "", 0))
		if res, err := s.ListSimilarCustomerFeedback(t.Context(), &pb.ListSimilarCustomerFeedbackRequest{OpportunityId: blank}); err != nil || len(res.GetCustomerFeedback()) != 0 {
			t.Errorf("of a company of which nothing is known: %v, %v", res, err)
		}
		if _, err := s.ListSimilarCustomerFeedback(t.Context(), &pb.ListSimilarCustomerFeedbackRequest{OpportunityId: party.NewID()}); err == nil {
			t.Error("an unknown deal has similar customers")
		}
	})
}
