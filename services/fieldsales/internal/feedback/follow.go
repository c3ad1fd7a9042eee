package feedback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/contract"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/opportunity"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/clock"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Follower takes in what customer success tells.
type Follower struct {
	Clock clock.Clock
	// Handoffs is the ledger, which knows of which deal a handover is.
	Handoffs interface {
		Get(ctx context.Context, tx store.Tx, handoffID string) (*handoffv1.Handoff, error)
	}
}

// Subscription reads the feed of customer success.
func (f *Follower) Subscription() event.Subscription {
	return event.Subscription{
		Name: "field-sales.feedback.from.customer-success", Source: access.CustomerSuccess.String(), Handler: f.Heard,
		Types: []string{
			"tasuki.customersuccess.v1.CustomerFeedbackRecorded", "tasuki.customersuccess.v1.HandoverQualityRated",
			"tasuki.customersuccess.v1.CustomerChurned", "tasuki.customersuccess.v1.CustomerStateChanged",
			"tasuki.customersuccess.v1.CustomerFlagged",
		},
	}
}

// Heard applies one event.
func (f *Follower) Heard(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	data, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("feedback: event %s: %w", ev.GetId(), err)
	}
	r := &fieldsalesv1.CustomerFeedback{Id: ev.GetId(), JourneyId: ev.GetJourneyId()}
	revision := int64(1)
	var company *typev1.Company
	switch e := data.(type) {
	case *customersuccessv1.CustomerFeedbackRecorded:
		c := e.GetCustomerFeedback()
		r.Id, r.CustomerId, r.AccountId, r.Text, r.Rating = c.GetId(), c.GetCustomerId(), c.GetAccountId(), c.GetText(), c.GetRating()
		r.At, company, r.Products = c.GetSaidAt(), e.GetCompany(), e.GetProducts()
		if by := c.GetSaidBy(); by != nil { // name and addresses stay where they are looked after
			r.SaidBy = &typev1.Person{Id: by.GetId(), Title: by.GetTitle()}
		}
		for _, k := range c.GetKinds() {
			r.Kinds = append(r.Kinds, Kind(fieldsalesv1.CustomerFeedback_Kind_value[k.String()]))
		}
	case *customersuccessv1.HandoverQualityRated:
		q := e.GetHandoverQuality()
		r.Id, r.CustomerId, r.AccountId, r.OpportunityId = q.GetHandoffId(), q.GetCustomerId(), q.GetAccountId(), q.GetOpportunityId()
		r.Kinds, r.Text, r.Rating, r.At = []Kind{handoverQuality}, q.GetNote(), q.GetScore(), q.GetRatedAt()
		company, r.Products, revision = e.GetCompany(), e.GetProducts(), int64(q.GetRevision())
		for _, g := range q.GetLateGaps() {
			r.LateGaps = append(r.LateGaps, joined(g.GetField(), g.GetNote()))
		}
		for _, p := range q.GetBrokenPromises() {
			r.BrokenPromises = append(r.BrokenPromises, joined(p.GetPromise(), p.GetNote()))
		}
	case *customersuccessv1.CustomerChurned:
		r.CustomerId, r.AccountId, r.Kinds, r.Text, r.Reason = e.GetCustomerId(), e.GetAccountId(), []Kind{churn}, e.GetNote(), e.GetReason()
		company, r.Products, r.At = e.GetCompany(), e.GetProducts(), ev.GetAt()
		if day, ok := civil.FromProto(e.GetEffectiveDate()); ok && day != "" {
			r.At = timestamppb.New(day.Start())
		}
	case *customersuccessv1.CustomerStateChanged:
		if e.GetFrom() != customersuccessv1.Customer_STATE_CHURNED {
			return nil
		}
		r.CustomerId, r.AccountId, r.Kinds, r.Text, r.At = e.GetCustomerId(), e.GetAccountId(), []Kind{comeback}, e.GetNote(), ev.GetAt()
	case *customersuccessv1.CustomerFlagged:
		r.CustomerId, r.AccountId, r.Kinds, r.At = e.GetCustomerId(), e.GetAccountId(), []Kind{flagged}, ev.GetAt()
		r.Reason = strings.TrimPrefix(e.GetFlag().GetReason().String(), "REASON_")
		if r.OpportunityId, err = f.deal(ctx, tx, e.GetFlag().GetHandoffId()); err != nil {
			return err
		}
	default:
		return nil
	}
	profile, err := f.profile(ctx, tx, r, company)
	if err != nil {
		return err
	}
	save(tx, r, revision, profile, f.Clock.Now())
	return nil
}

// deal is the one that a handoff handed over; empty when the handoff is not known here.
func (f *Follower) deal(ctx context.Context, tx store.Tx, handoffID string) (string, error) {
	h, err := f.Handoffs.Get(ctx, tx, handoffID)
	if errors.Is(err, problem.NotFound("", "")) {
		return "", nil
	}
	id, _ := strings.CutPrefix(h.GetSenderSubject(), opportunity.SubjectPrefix)
	return id, err
}

// profile completes the record: its account by the id that counts here, and by what it is found as similar.
func (f *Follower) profile(ctx context.Context, tx store.Tx, r *fieldsalesv1.CustomerFeedback, company *typev1.Company) (Profile, error) {
	r.Industry, r.Employees = company.GetIndustry(), company.GetEmployees()
	if r.GetAccountId() != "" {
		a, err := account.Get(ctx, tx, r.GetAccountId())
		switch {
		case errors.Is(err, problem.NotFound("", "")): // customer success has it from elsewhere
		case err != nil:
			return Profile{}, err
		default:
			r.AccountId = a.ID
			if r.GetIndustry() == "" {
				r.Industry = a.Industry
			}
			if r.GetEmployees() == 0 {
				r.Employees = a.Employees
			}
			if len(r.GetProducts()) == 0 {
				if r.Products, err = contract.Products(ctx, tx, a.ID); err != nil {
					return Profile{}, err
				}
			}
		}
	}
	if slices.Contains(r.GetKinds(), flagged) {
		return Profile{}, nil // of no use to the sellers of other customers
	}
	return NewProfile(r.GetIndustry(), r.GetEmployees(), r.GetProducts()...), nil
}

// joined is a thing and what is said of it, in one text.
func joined(what, note string) string {
	if note == "" {
		return what
	}
	return strings.TrimSpace(what + ": " + note)
}
