package customer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/type/date"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
)

func TestMain(m *testing.M) { testkit.VerifyNoLeaks(m) }

func accept(t *testing.T, r *rig.Rig, h *handoffv1.Handoff) string {
	t.Helper()
	subject, err := r.Accept(rig.As(t.Context(), "sato"), h)
	if err != nil {
		t.Fatal(err)
	}
	id, ok := strings.CutPrefix(subject, "customer/")
	if !ok {
		t.Fatalf("subject %q", subject)
	}
	return id
}

func get(t *testing.T, r *rig.Rig, id string) *pb.Customer {
	t.Helper()
	c, err := r.Customers.GetCustomer(t.Context(), &pb.GetCustomerRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kinds are those of the customer's ledger, oldest first; the sum of the lines must be the committed MRR.
func kinds(t *testing.T, r *rig.Rig, id string) string {
	t.Helper()
	res, err := r.Customers.ListMrrMovements(t.Context(), &pb.ListMrrMovementsRequest{CustomerId: id})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	var sum int64
	for _, m := range slices.Backward(res.GetMovements()) {
		names = append(names, strings.TrimPrefix(m.GetKind().String(), "KIND_"))
		sum += m.GetAmount().GetUnits()
	}
	if got := get(t, r, id).GetCommittedMrr().GetUnits(); got != sum {
		t.Errorf("the ledger sums up to %d, the customer says %d", sum, got)
	}
	return strings.Join(names, " ")
}

func TestAcceptMakesTheCustomer(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		h := rig.Handoff(nil)
		c := get(t, r, accept(t, r, h))
		if c.GetState() != pb.Customer_STATE_HANDED_OVER || c.GetCsm() != "sato" || c.GetEtag() != "1" ||
			c.GetAccountId() != h.GetAccountId() || c.GetJourneyId() != h.GetJourneyId() {
			t.Errorf("customer %v", c)
		}
		if c.GetTier() != pb.Tier_TIER_2 || c.GetTierRule().GetRule() != "mrr_100000" || c.GetTouchModel() != pb.TouchModel_TOUCH_MODEL_LOW ||
			c.GetOwnerTeam() != pb.OwnerTeam_OWNER_TEAM_MARKETING {
			t.Errorf("tier %v, %v, %v, %v", c.GetTier(), c.GetTierRule(), c.GetTouchModel(), c.GetOwnerTeam())
		}
		if c.GetMrr().GetUnits() != 130_000 || c.GetCommittedMrr().GetUnits() != 130_000 || c.GetMrr().GetCurrencyCode() != "JPY" {
			t.Errorf("mrr %v, committed %v", c.GetMrr(), c.GetCommittedMrr())
		}
		if len(c.GetContacts()) != 2 || c.GetContacts()[0].GetPerson().GetName().GetFull() != "田中 一郎" {
			t.Errorf("contacts %v", c.GetContacts())
		}
		if len(c.GetSubscriptions()) != 1 || len(c.GetSubscriptions()[0].GetItems()) != 1 || c.GetSubscriptions()[0].GetItems()[0].GetQuantity() != 10 {
			t.Errorf("subscriptions %v", c.GetSubscriptions())
		}
		if len(c.GetHandovers()) != 1 || c.GetHandovers()[0].GetDocument().GetPurpose() != "営業の可視化" || len(c.GetHandovers()[0].GetGaps()) != 0 {
			t.Errorf("handovers %v", c.GetHandovers())
		}
		if len(c.GetTransitions()) != 1 || c.GetTransitions()[0].GetActor().GetId() != "sato" {
			t.Errorf("transitions %v", c.GetTransitions())
		}
		if got := kinds(t, r, c.GetId()); got != "NEW" {
			t.Errorf("ledger %s", got)
		}
	})
}

// Everything that is missing or does not add up is kept as a gap with a due date; the ledger follows the lines.
func TestAcceptWithGaps(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		id := accept(t, r, rig.Handoff(func(h *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) {
			doc.DecisionProcess, doc.Contract.Mrr = "", rig.Yen(150_000).Proto()
			doc.Contract.RenewalDate = &date.Date{Year: 2027, Month: 2, Day: 30}
			h.Completeness = &handoffv1.Completeness{Score: 90, Missing: []string{"decision_process"}}
			h.Decision = &handoffv1.Decision{Missing: []string{"decision_process"}}
		}))
		c := get(t, r, id)
		gaps := c.GetHandovers()[0].GetGaps()
		var fields []string
		for _, g := range gaps {
			fields = append(fields, g.GetField())
			if due, _ := civil.FromProto(g.GetDueDate()); due != "2026-04-13" {
				t.Errorf("%s is due on %s", g.GetField(), due)
			}
		}
		if got := strings.Join(fields, " "); got != "decision_process contract.mrr contract.renewal_date" || c.GetOpenGaps() != 3 {
			t.Errorf("gaps %s, %d open", got, c.GetOpenGaps())
		}
		if c.GetMrr().GetUnits() != 130_000 {
			t.Errorf("mrr %v must follow the lines", c.GetMrr())
		}
	})
}

func TestAcceptRefusesAmountsThatCannotBe(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		first := rig.Handoff(nil)
		id := accept(t, r, first)
		for name, h := range map[string]*handoffv1.Handoff{
			"discount over the price": rig.Handoff(func(_ *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) {
				doc.Contract.Lines[0].Discount = rig.Yen(1_000_000).Proto()
			}),
			"another currency": func() *handoffv1.Handoff {
				h := rig.Further(first, rig.Line(1, 1000))
				usd := rig.Yen(1000)
				usd.Currency = "USD"
				h.GetPayload().GetClosedWon().Contract.Lines[0].UnitPrice = usd.Proto()
				return h
			}(),
		} {
			var p *problem.Error
			if _, err := r.Accept(rig.As(t.Context(), "sato"), h); !errors.As(err, &p) || p.Reason != problem.ReasonInvalidFields ||
				!strings.HasPrefix(p.Violations[0].Field, "contract.lines") {
				t.Errorf("%s: %v", name, err)
			}
		}
		res, err := r.Customers.ListCustomers(t.Context(), &pb.ListCustomersRequest{})
		if err != nil || len(res.GetCustomers()) != 1 || res.GetCustomers()[0].GetId() != id {
			t.Errorf("a refused handoff left something: %v, %v", res.GetCustomers(), err)
		}
	})
}

// Several deals with one account, accepted at the same moment, make one customer with all subscriptions.
func TestParallelAcceptMakesOneCustomer(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		const deals = 8
		first := rig.Handoff(nil)
		handoffs := []*handoffv1.Handoff{first}
		for range deals - 1 {
			handoffs = append(handoffs, rig.Further(first, rig.Line(1, 10_000)))
		}
		ctx := rig.As(t.Context(), "sato")
		subjects, errs := make([]string, deals), make([]error, deals)
		var wg sync.WaitGroup
		for i, h := range handoffs {
			wg.Go(func() { subjects[i], errs[i] = r.Accept(ctx, h) })
		}
		wg.Wait()
		for i := range deals {
			if errs[i] != nil || subjects[i] != subjects[0] {
				t.Fatalf("deal %d: %s, %v; deal 0: %s", i, subjects[i], errs[i], subjects[0])
			}
		}
		id := strings.TrimPrefix(subjects[0], "customer/")
		c := get(t, r, id)
		if c.GetMrr().GetUnits() != 130_000+(deals-1)*10_000 || len(c.GetSubscriptions()) != deals || len(c.GetHandovers()) != deals {
			t.Errorf("mrr %v with %d subscriptions, %d documents", c.GetMrr(), len(c.GetSubscriptions()), len(c.GetHandovers()))
		}
		if got := kinds(t, r, id); got != "NEW"+strings.Repeat(" EXPANSION", deals-1) {
			t.Errorf("ledger %s", got)
		}
		plans, err := r.Plans.ListOnboardingPlans(ctx, &pb.ListOnboardingPlansRequest{CustomerId: id})
		if err != nil || len(plans.GetPlans()) != 1 {
			t.Errorf("plans %v, %v", plans.GetPlans(), err)
		}
	})
}

func TestWithoutAnAccountTheJourneyTellsCustomersApart(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		none := func(h *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) { h.AccountId, doc.Company.Id = "", "" }
		first := rig.Handoff(none)
		again := rig.Further(first, rig.Line(1, 1000))
		again.JourneyId = first.GetJourneyId()
		a, b, c := accept(t, r, first), accept(t, r, again), accept(t, r, rig.Handoff(none))
		if a != b || a == c {
			t.Errorf("customers %s, %s, %s", a, b, c)
		}
	})
}

func TestUpdate(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "suzuki")
		id := accept(t, r, rig.Handoff(nil))
		tier, csm, domain, employees := pb.Tier_TIER_3, "tanaka", "https://WWW.Example.co.jp/about", int32(1200)
		c, err := r.Customers.UpdateCustomer(ctx, &pb.UpdateCustomerRequest{
			Id: id, Etag: "1", Csm: &csm, TierOverride: &tier, TierNote: "自走できる",
			TierUntil: &date.Date{Year: 2026, Month: 4, Day: 30}, CompanyDomain: &domain, CompanyEmployees: &employees,
		})
		if err != nil {
			t.Fatal(err)
		}
		if c.GetCsm() != "tanaka" || c.GetTier() != pb.Tier_TIER_3 || c.GetTierRule().GetRule() != "employees_1000" || c.GetEtag() != "2" ||
			c.GetCompany().GetDomain() != "example.co.jp" || c.GetCompany().GetIndustry() != "卸売" || c.GetTierOverride().GetBy().GetId() != "suzuki" {
			t.Errorf("updated %v", c)
		}
		var mismatch *etag.MismatchError
		if _, err = r.Customers.UpdateCustomer(ctx, &pb.UpdateCustomerRequest{Id: id, Etag: "1", Csm: &csm}); !errors.As(err, &mismatch) {
			t.Errorf("stale etag: %v", err)
		}
		find := func(f *pb.ListCustomersRequest) int {
			res, err := r.Customers.ListCustomers(ctx, f)
			if err != nil {
				t.Fatal(err)
			}
			return len(res.GetCustomers())
		}
		if find(&pb.ListCustomersRequest{Tier: pb.Tier_TIER_3}) != 1 || find(&pb.ListCustomersRequest{Tier: pb.Tier_TIER_1}) != 0 {
			t.Error("the override must count in lists")
		}
		r.Clock.Set(civil.Date("2026-05-01").Start())
		if find(&pb.ListCustomersRequest{Tier: pb.Tier_TIER_1}) != 1 || get(t, r, id).GetTierOverride() != nil {
			t.Error("the override must end after its last day")
		}
	})
}

func TestListPagesAndFilters(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := t.Context()
		var ids []string
		var journey string
		for i := range 5 {
			h := rig.Handoff(func(h *handoffv1.Handoff, doc *handoffv1.ClosedWonPayload) {
				if i == 3 {
					h.Assignee, doc.Company.Domain = "tanaka", "www.other.example.jp"
				}
			})
			ids = append(ids, accept(t, r, h))
			journey = h.GetJourneyId()
		}
		slices.Reverse(ids)
		var got []string
		req := &pb.ListCustomersRequest{PageSize: 2}
		for {
			res, err := r.Customers.ListCustomers(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range res.GetCustomers() {
				got = append(got, c.GetId())
				if c.GetMrr().GetUnits() != 130_000 {
					t.Errorf("mrr in the list: %v", c.GetMrr())
				}
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("pages gave %v, want %v", got, ids)
		}
		for name, tt := range map[string]struct {
			req  *pb.ListCustomersRequest
			want []string
		}{
			"state":     {&pb.ListCustomersRequest{States: []pb.Customer_State{pb.Customer_STATE_CHURNED}}, nil},
			"two":       {&pb.ListCustomersRequest{States: []pb.Customer_State{pb.Customer_STATE_CHURNED, pb.Customer_STATE_HANDED_OVER}}, ids},
			"csm":       {&pb.ListCustomersRequest{Csm: "tanaka"}, ids[1:2]},
			"domain":    {&pb.ListCustomersRequest{Domain: "Other.example.jp"}, ids[1:2]},
			"journey":   {&pb.ListCustomersRequest{JourneyId: journey}, ids[:1]},
			"no domain": {&pb.ListCustomersRequest{Domain: "nowhere.example.jp"}, nil},
		} {
			res, err := r.Customers.ListCustomers(ctx, tt.req)
			var found []string
			for _, c := range res.GetCustomers() {
				found = append(found, c.GetId())
			}
			if err != nil || !slices.Equal(found, tt.want) {
				t.Errorf("%s: %v, %v; want %v", name, found, err, tt.want)
			}
		}
		res, err := r.Customers.ListCustomers(ctx, &pb.ListCustomersRequest{PageSize: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Customers.ListCustomers(ctx, &pb.ListCustomersRequest{Csm: "sato", PageToken: res.GetNextPageToken()}); !errors.Is(err, page.ErrToken) {
			t.Errorf("token of another query: %v", err)
		}
	})
}

func TestUnknownIDs(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx, id := rig.As(t.Context(), "sato"), party.NewID()
		calls := map[string]func() error{
			"get":    func() error { _, err := r.Customers.GetCustomer(ctx, &pb.GetCustomerRequest{Id: id}); return err },
			"update": func() error { _, err := r.Customers.UpdateCustomer(ctx, &pb.UpdateCustomerRequest{Id: id}); return err },
			"subscriptions": func() error {
				_, err := r.Customers.ListSubscriptions(ctx, &pb.ListSubscriptionsRequest{CustomerId: id})
				return err
			},
			"movements": func() error {
				_, err := r.Customers.ListMrrMovements(ctx, &pb.ListMrrMovementsRequest{CustomerId: id})
				return err
			},
			"retain": func() error { _, err := r.Customers.MarkRetained(ctx, &pb.MarkRetainedRequest{Id: id}); return err },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, problem.NotFound("", "")) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// events are the types of a subject's events, oldest first.
func events(t *testing.T, r *rig.Rig, subject string) string {
	t.Helper()
	types, err := store.Read(context.Background(), r.DB, func(tx store.Tx) ([]string, error) {
		return store.Select[string](t.Context(), tx, `SELECT type FROM events WHERE subject = $1 ORDER BY xid, seq`, subject)
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range types {
		types[i] = strings.TrimPrefix(name, "tasuki.customersuccess.v1.")
	}
	return strings.Join(types, " ")
}
