package csql

import (
	"context"
	"strings"

	"google.golang.org/genproto/googleapis/type/date"
	moneypb "google.golang.org/genproto/googleapis/type/money"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/customer"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/money"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// form reads what people say of an expansion into its content, and collects what is wrong with it.
type form struct {
	content  Content
	currency string // the customer's
	known    []party.Person
	by       access.Actor
	today    civil.Date
	wrong    []problem.Violation
}

// form begins with what is known already.
func (s *Server) form(ctx context.Context, tx store.Tx, of *customer.Customer, before Content) (*form, error) {
	contacts, err := customer.Contacts(ctx, tx, of.ID)
	f := &form{content: before, currency: of.Currency, by: access.ActorOf(ctx), today: civil.DateOf(s.clock.Now())}
	f.by.Roles = nil // what the person may do is not a part of the record
	if n := before.Evidence.Need; n != nil {
		f.known = append(f.known, n.By)
	}
	for _, c := range contacts {
		f.known = append(f.known, party.PersonOf(c.GetPerson()))
	}
	return f, err
}

func (f *form) create(req *pb.CreateCsqlRequest) {
	f.content.Type = typeOf(req.GetExpansionType())
	f.product(req.GetProduct())
	f.content.Evidence.Benefit = strings.TrimSpace(req.GetCustomerBenefit())
	f.content.Evidence.Cautions = strings.TrimSpace(req.GetCautions())
	f.expected(req.GetExpectedMrr())
	f.parts(req)
}

func (f *form) update(req *pb.UpdateCsqlRequest) {
	if req.ExpansionType != nil {
		f.content.Type = typeOf(req.GetExpansionType())
	}
	if req.Product != nil {
		f.product(req.GetProduct())
	}
	if req.CustomerBenefit != nil {
		f.content.Evidence.Benefit = strings.TrimSpace(req.GetCustomerBenefit())
	}
	if req.Cautions != nil {
		f.content.Evidence.Cautions = strings.TrimSpace(req.GetCautions())
	}
	f.expected(req.GetExpectedMrr())
	f.parts(req)
}

// parts is what requests have of the parts that are replaced as a whole when they are sent.
type parts interface {
	GetHealth() *pb.CsqlHealth
	GetUsage() *pb.CsqlUsage
	GetNeed() *pb.StatedNeed
	GetOpenRisks() *pb.OpenRisks
}

func (f *form) parts(req parts) {
	e := &f.content.Evidence
	if h := req.GetHealth(); h != nil {
		e.Health = &Health{Score: h.GetScore(), Stated: f.stated("health.observed_date", h.GetEvidence(), h.GetObservedDate())}
	}
	if u := req.GetUsage(); u != nil {
		level := ""
		if u.GetLevel() != pb.UsageLevel_USAGE_LEVEL_UNSPECIFIED {
			level = strings.TrimPrefix(u.GetLevel().String(), "USAGE_LEVEL_")
		}
		e.Usage = &Usage{Level: level, Stated: f.stated("usage.observed_date", u.GetEvidence(), u.GetObservedDate())}
	}
	if n := req.GetNeed(); n != nil {
		e.Need = &Need{
			Statement: strings.TrimSpace(n.GetStatement()), By: party.PersonOf(n.GetStatedBy()).Identified(f.known...),
			Date: f.day("need.stated_date", n.GetStatedDate()), Evidence: strings.TrimSpace(n.GetEvidence()),
		}
	}
	if r := req.GetOpenRisks(); r != nil {
		e.Risks = nil
		for _, risk := range r.GetRisks() {
			if risk = strings.TrimSpace(risk); risk != "" {
				e.Risks = append(e.Risks, risk)
			}
		}
	}
}

// stated is what one of us says; without a day it is today's.
func (f *form) stated(field, evidence string, day *date.Date) Stated {
	s := Stated{Evidence: strings.TrimSpace(evidence), Date: f.day(field, day), By: f.by}
	if day == nil {
		s.Date = f.today
	}
	return s
}

func (f *form) day(field string, d *date.Date) civil.Date {
	day, ok := civil.FromProto(d)
	switch {
	case !ok:
		f.wrong = append(f.wrong, problem.Field(field, "not a date that exists: year, month and day are needed").
			Ja("実在する日付（年月日）を指定してください。"))
	case day > f.today:
		f.wrong = append(f.wrong, problem.Field(field, "must not be in the future").Ja("未来の日付は指定できません。"))
	}
	return day
}

func (f *form) product(name string) {
	if f.content.Product = strings.TrimSpace(name); f.content.Product == "" {
		f.wrong = append(f.wrong, problem.Field("product", "must not be blank").Ja("製品を入力してください。"))
	}
}

func (f *form) expected(m *moneypb.Money) {
	if m == nil {
		return
	}
	amount, err := money.FromProto(m)
	switch {
	case err != nil:
		f.wrong = append(f.wrong, problem.Field("expected_mrr", err.Error()).Ja("金額または通貨が正しくありません。"))
	case amount.Minor <= 0:
		f.wrong = append(f.wrong, problem.Field("expected_mrr", "must be more than nothing").Ja("0 より大きい金額を入力してください。"))
	case amount.Currency != f.currency:
		f.wrong = append(f.wrong, problem.Field("expected_mrr", "the customer pays in "+f.currency+", not in "+amount.Currency).
			Ja("この顧客の通貨は "+f.currency+" です。"))
	}
	f.content.Expected = amount
}

// read is the content, or everything that is wrong with it.
func (f *form) read() (Content, error) {
	if len(f.wrong) > 0 {
		return Content{}, problem.Invalid(f.wrong...)
	}
	return f.content, nil
}
