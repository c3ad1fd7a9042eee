package csql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/csql"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/jobs"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

// suite is expansions of one customer on a store, with hooks whose jobs are run by hand.
type suite struct {
	*rig.Rig
	store    *csql.Store
	server   *csql.Server
	hooks    *csql.Hooks
	jobs     *jobs.Jobs
	customer string
}

func engines(t *testing.T, test func(t *testing.T, s *suite)) {
	t.Helper()
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		log := event.NewLog(r.DB, r.Clock)
		s := &suite{Rig: r, store: csql.NewStore(log), jobs: jobs.New(r.DB, jobs.Config{})}
		customers := customer.NewStore(log, r.Clock)
		s.server = csql.NewServer(r.DB, r.Clock, s.store, customers, nil) // offers are in the tests of the whole department
		s.hooks = csql.NewHooks(r.DB, r.Clock, s.store, customers, s.jobs)
		subject, err := r.Accept(rig.As(t.Context(), "sato"), rig.Handoff(nil))
		if err != nil {
			t.Fatal(err)
		}
		s.customer = strings.TrimPrefix(subject, "customer/")
		test(t, s)
	})
}

func (s *suite) write(t *testing.T, do func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	_, err := store.Write(t.Context(), s.DB, func(tx store.Tx) (struct{}, error) { return struct{}{}, do(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) get(t *testing.T, id string) *pb.Csql {
	t.Helper()
	c, err := s.server.GetCsql(t.Context(), &pb.GetCsqlRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// complete is a request whose expansion qualifies on a day.
func complete(customerID string, day civil.Date) *pb.CreateCsqlRequest {
	return &pb.CreateCsqlRequest{
		CustomerId: customerID, ExpansionType: pb.ExpansionType_EXPANSION_TYPE_UPSELL, Product: "Tasuki Standard",
		ExpectedMrr: rig.Yen(65_000).Proto(), CustomerBenefit: "支店間の引き継ぎ漏れがなくなる", Cautions: "繁忙期は月末",
		Health: &pb.CsqlHealth{Score: 82, Evidence: "NPS 9"},
		Usage:  &pb.CsqlUsage{Level: pb.UsageLevel_USAGE_LEVEL_GOOD, Evidence: "週次利用率 92%", ObservedDate: day.Proto()},
		Need: &pb.StatedNeed{
			Statement: "大阪支店でも使いたい", StatedDate: day.Proto(), Evidence: "4 月定例会の議事録",
			StatedBy: &typev1.Person{Name: &typev1.PersonName{Full: "田中 一郎"}, Title: "営業部長", Mail: "Tanaka@tasuki-shoji.example.jp"},
		},
	}
}

// offered is an expansion that sales has to decide on.
func (s *suite) offered(t *testing.T) (id, handoffID string) {
	t.Helper()
	ctx := rig.As(t.Context(), "sato")
	c, err := s.server.CreateCsql(ctx, complete(s.customer, civil.DateOf(s.Clock.Now())))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = s.server.QualifyCsql(ctx, &pb.QualifyCsqlRequest{Id: c.GetId(), Etag: c.GetEtag()}); err != nil {
		t.Fatal(err)
	}
	handoffID = party.NewID()
	s.write(t, func(ctx context.Context, tx store.Tx) error {
		c, err := s.store.ForUpdate(ctx, tx, c.GetId(), etag.Match(""))
		if err != nil {
			return err
		}
		if err := c.IsOffered(handoffID, "field-sales", access.System("test"), "", s.Clock.Now()); err != nil {
			return err
		}
		return s.store.Save(ctx, tx, c)
	})
	return c.GetId(), handoffID
}

// decide tells what sales decided on a handoff, as the engine does.
func (s *suite) decide(t *testing.T, handoffID string, state handoffv1.State, d *handoffv1.Decision, reason *handoffv1.Reason) {
	t.Helper()
	d.By, d.At = &typev1.Actor{Kind: typev1.Actor_KIND_PERSON, Id: "tanaka"}, timestamppb.New(s.Clock.Now())
	s.write(t, func(ctx context.Context, tx store.Tx) error {
		return s.hooks.Kind().OnDecision(ctx, tx, &handoffv1.Handoff{
			Id: handoffID, State: state, Decision: d, ReceiverSubject: "opportunity/" + handoffID,
		}, reason)
	})
}

// hear tells an event of field sales.
func (s *suite) hear(t *testing.T, m proto.Message) {
	t.Helper()
	data, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, func(ctx context.Context, tx store.Tx) error {
		return s.hooks.Outcomes().Handler(ctx, tx, &feedv1.Event{Data: data, At: timestamppb.New(s.Clock.Now()), Actor: &typev1.Actor{Id: "tanaka"}})
	})
}

func TestStore(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		ctx := rig.As(t.Context(), "sato")
		made, err := s.server.CreateCsql(ctx, complete(s.customer, civil.DateOf(s.Clock.Now())))
		if err != nil {
			t.Fatal(err)
		}
		got := s.get(t, made.GetId())
		if !proto.Equal(made, got) {
			t.Errorf("read %v, want %v", got, made)
		}
		c := get(t, s)
		if got.GetOwner() != "sato" || got.GetAccountId() != c.GetAccountId() || got.GetJourneyId() != c.GetJourneyId() ||
			got.GetCompany().GetName() != c.GetCompany().GetName() || len(got.GetUnmet()) != 0 || len(got.GetTransitions()) != 1 {
			t.Errorf("%v", got)
		}
		if by := got.GetNeed().GetStatedBy(); by.GetId() != c.GetContacts()[0].GetPerson().GetId() {
			t.Errorf("who said it is a contact that we know, but became %s", by.GetId())
		}
		if got.GetHealth().GetStatedBy().GetId() != "sato" || got.GetHealth().GetObservedDate().GetDay() != 6 {
			t.Errorf("health %v", got.GetHealth())
		}
		failed := errors.New("something else fails")
		_, err = store.Write(ctx, s.DB, func(tx store.Tx) (struct{}, error) {
			c, err := s.store.ForUpdate(ctx, tx, made.GetId(), etag.Match(made.GetEtag()))
			if err != nil {
				return struct{}{}, err
			}
			if err := c.Qualify(nil, access.System("test"), "", s.Clock.Now()); err != nil {
				return struct{}{}, err
			}
			return struct{}{}, errors.Join(s.store.Save(ctx, tx, c), failed)
		})
		if again := s.get(t, made.GetId()); !errors.Is(err, failed) || !proto.Equal(got, again) {
			t.Errorf("a rollback leaves %v, %v", again, err)
		}
		if _, err := s.server.QualifyCsql(ctx, &pb.QualifyCsqlRequest{Id: made.GetId(), Etag: "7"}); !stale(err) {
			t.Errorf("another etag: %v", err)
		}
		if _, err := s.server.GetCsql(ctx, &pb.GetCsqlRequest{Id: party.NewID()}); !errors.Is(err, problem.NotFound("", "")) {
			t.Errorf("nobody: %v", err)
		}
		same, err := s.server.UpdateCsql(ctx, &pb.UpdateCsqlRequest{Id: made.GetId(), Product: &made.Product})
		if err != nil || same.GetEtag() != made.GetEtag() {
			t.Errorf("no change is a new version: %v, %v", same.GetEtag(), err)
		}
		cautions := "決算月は避ける"
		updated, err := s.server.UpdateCsql(ctx, &pb.UpdateCsqlRequest{
			Id: made.GetId(), Etag: made.GetEtag(), Cautions: &cautions, OpenRisks: &pb.OpenRisks{Risks: []string{"担当者が異動", " "}},
		})
		if err != nil || updated.GetCautions() != cautions || updated.GetCustomerBenefit() != made.GetCustomerBenefit() ||
			len(updated.GetOpenRisks()) != 1 || strings.Join(updated.GetUnmet(), " ") != "open_risks" {
			t.Errorf("%v, %v", updated, err)
		}
	})
}

func stale(err error) bool {
	var old *etag.MismatchError
	return errors.As(err, &old)
}

func get(t *testing.T, s *suite) *pb.Customer {
	t.Helper()
	c, err := s.Customers.GetCustomer(t.Context(), &pb.GetCustomerRequest{Id: s.customer})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestList(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		var all []string
		for i := range 7 {
			s.Clock.Advance(time.Duration(i%2) * time.Second) // some at the same moment
			req := complete(s.customer, civil.DateOf(s.Clock.Now()))
			if i == 3 {
				req.ExpansionType = pb.ExpansionType_EXPANSION_TYPE_CROSS_SELL
			}
			c, err := s.server.CreateCsql(rig.As(t.Context(), fmt.Sprintf("csm%d", i%2)), req)
			if err != nil {
				t.Fatal(err)
			}
			all = append([]string{c.GetId()}, all...)
		}
		var got []string
		token := ""
		for {
			list, err := s.server.ListCsqls(t.Context(), &pb.ListCsqlsRequest{CustomerId: s.customer, PageSize: 3, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range list.GetCsqls() {
				got = append(got, c.GetId())
			}
			if token = list.GetNextPageToken(); token == "" {
				break
			}
			if _, err := s.server.ListCsqls(t.Context(), &pb.ListCsqlsRequest{Owner: "csm1", PageToken: token}); !errors.Is(err, page.ErrToken) {
				t.Errorf("a token of another list: %v", err)
			}
		}
		if strings.Join(got, " ") != strings.Join(all, " ") {
			t.Errorf("pages give %v, want %v", got, all)
		}
		if _, err := s.server.DropCsql(rig.As(t.Context(), "csm1"), &pb.DropCsqlRequest{Id: all[0], Reason: "NEED_GONE"}); err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			req  *pb.ListCsqlsRequest
			want int
		}{
			"owner":    {&pb.ListCsqlsRequest{Owner: "csm1"}, 3},
			"type":     {&pb.ListCsqlsRequest{ExpansionType: pb.ExpansionType_EXPANSION_TYPE_CROSS_SELL}, 1},
			"state":    {&pb.ListCsqlsRequest{States: []pb.Csql_State{pb.Csql_STATE_DROPPED, pb.Csql_STATE_WON}}, 1},
			"customer": {&pb.ListCsqlsRequest{CustomerId: party.NewID()}, 0},
			"handoff":  {&pb.ListCsqlsRequest{HandoffId: party.NewID()}, 0},
		} {
			list, err := s.server.ListCsqls(t.Context(), tt.req)
			if err != nil || len(list.GetCsqls()) != tt.want {
				t.Errorf("%s: %d, %v; want %d", name, len(list.GetCsqls()), err, tt.want)
			}
		}
	})
}

// A refusal for now brings the expansion back by itself on its date, once.
func TestRefusedWakesUp(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		id, ho := s.offered(t)
		later := &handoffv1.Reason{Code: "TIMING", Action: handoffv1.Reason_ACTION_RECYCLE, WakeAfterDays: 60}
		for range 2 { // decisions may be told again
			s.decide(t, ho, handoffv1.State_STATE_REJECTED, &handoffv1.Decision{Reason: "TIMING", Note: "来期"}, later)
		}
		c := s.get(t, id)
		wake := s.Clock.Now().AddDate(0, 0, 60)
		if c.GetState() != pb.Csql_STATE_REJECTED || c.GetAction() != handoffv1.Reason_ACTION_RECYCLE || !c.GetWakeAt().AsTime().Equal(wake) ||
			c.GetReason() != "TIMING" || c.GetNote() != "来期" || len(c.GetTransitions()) != 4 || c.GetTransitions()[3].GetActor().GetId() != "tanaka" {
			t.Fatalf("%v", c)
		}
		waiting, err := jobs.ByHand(s.jobs).Waiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var job int64
		for _, w := range waiting {
			if w.Kind == "csql.wake" && w.RunAt.Equal(wake) {
				job = w.ID
			}
		}
		if job == 0 {
			t.Fatalf("no timer for %s among %v", wake, waiting)
		}
		if err := jobs.ByHand(s.jobs).Work(t.Context(), job); err == nil || s.get(t, id).GetState() != pb.Csql_STATE_REJECTED {
			t.Errorf("a timer that rings too early does not look again: %v", err)
		}
		s.Clock.Set(wake)
		for range 2 {
			if err := jobs.ByHand(s.jobs).Work(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
		c = s.get(t, id)
		if c.GetState() != pb.Csql_STATE_DRAFT || c.GetWakeAt() != nil || len(c.GetTransitions()) != 5 || c.GetReason() != "TIMING" {
			t.Errorf("awake: %v", c)
		}
	})
}

// Decisions and the ends of deals come by two feeds that may overtake one another, and each may come again.
func TestOutcomesInAnyOrder(t *testing.T) {
	engines(t, func(t *testing.T, s *suite) {
		won := func(ho string) proto.Message {
			return &fieldsalesv1.OpportunityClosed{OpportunityId: ho, SourceHandoffId: ho, Won: true, Mrr: rig.Yen(70_000).Proto()}
		}
		lost := func(ho string) proto.Message {
			return &fieldsalesv1.OpportunityClosed{
				OpportunityId: ho, SourceHandoffId: ho, Reason: "NO_BUDGET", Action: handoffv1.Reason_ACTION_RECYCLE, Note: "予算凍結",
				WakeAt: timestamppb.New(s.Clock.Now().AddDate(0, 0, 90)),
			}
		}
		reopened := func(ho string) proto.Message {
			return &fieldsalesv1.OpportunityReopened{Opportunity: &fieldsalesv1.Opportunity{Id: ho, SourceHandoffId: ho}, Reason: "予算復活"}
		}
		accept := func(ho string) {
			s.decide(t, ho, handoffv1.State_STATE_ACCEPTED, &handoffv1.Decision{Note: "承知"}, nil)
			s.decide(t, ho, handoffv1.State_STATE_FULFILLED, &handoffv1.Decision{}, nil)
		}
		for name, tt := range map[string]struct {
			play  func(ho string)
			state pb.Csql_State
			steps int // changes of state
		}{
			"in order":              {func(ho string) { accept(ho); s.hear(t, won(ho)) }, pb.Csql_STATE_WON, 5},
			"the deal first":        {func(ho string) { s.hear(t, won(ho)); accept(ho); s.hear(t, won(ho)) }, pb.Csql_STATE_WON, 5},
			"lost":                  {func(ho string) { accept(ho); s.hear(t, lost(ho)); s.hear(t, lost(ho)) }, pb.Csql_STATE_LOST, 5},
			"reopened and won":      {func(ho string) { accept(ho); s.hear(t, lost(ho)); s.hear(t, reopened(ho)); s.hear(t, won(ho)) }, pb.Csql_STATE_WON, 7},
			"won after it was lost": {func(ho string) { s.hear(t, lost(ho)); s.hear(t, won(ho)) }, pb.Csql_STATE_LOST, 5},
			"returned": {func(ho string) {
				s.decide(t, ho, handoffv1.State_STATE_RETURNED, &handoffv1.Decision{Missing: []string{"product"}}, nil)
			}, pb.Csql_STATE_RETURNED, 4},
			"expired":  {func(ho string) { s.decide(t, ho, handoffv1.State_STATE_EXPIRED, &handoffv1.Decision{}, nil) }, pb.Csql_STATE_RETURNED, 4},
			"recalled": {func(ho string) { s.decide(t, ho, handoffv1.State_STATE_RECALLED, &handoffv1.Decision{}, nil) }, pb.Csql_STATE_RETURNED, 4},
		} {
			id, ho := s.offered(t)
			tt.play(ho)
			c := s.get(t, id)
			if c.GetState() != tt.state || len(c.GetTransitions()) != tt.steps {
				t.Errorf("%s: %s after %d steps %v", name, c.GetState(), len(c.GetTransitions()), c.GetTransitions())
			}
			switch tt.state {
			case pb.Csql_STATE_WON:
				if c.GetWonMrr().GetUnits() != 70_000 || c.GetOpportunityId() != ho {
					t.Errorf("%s: %v", name, c)
				}
			case pb.Csql_STATE_LOST:
				if c.GetReason() != "NO_BUDGET" || c.GetNote() != "予算凍結" || c.GetWakeAt() == nil || c.GetWonMrr() != nil {
					t.Errorf("%s: %v", name, c)
				}
			case pb.Csql_STATE_RETURNED:
				if want := strings.ToUpper(name); c.GetReason() != want {
					t.Errorf("%s: reason %s", name, c.GetReason())
				}
			}
		}
		s.hear(t, won(party.NewID())) // a deal that did not come from here
		s.hear(t, &fieldsalesv1.OpportunityClosed{OpportunityId: party.NewID(), Won: true})
		if got := get(t, s); got.GetCommittedMrr().GetUnits() != 130_000 { // the ledger waits for the contract
			t.Errorf("the ledger moved to %v", got.GetCommittedMrr())
		}
	})
}
