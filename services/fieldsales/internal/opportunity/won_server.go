package opportunity

import (
	"context"
	"strings"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/account"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/contract"
	"github.com/tasuki-project/tasuki/services/fieldsales/internal/pipeline"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/handoff"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// CloseWon implements OpportunityService: the deal is won, the contract is kept, and the customer is handed over, in one
// transaction.
func (s *Server) CloseWon(ctx context.Context, req *fieldsalesv1.CloseWonRequest) (*fieldsalesv1.Opportunity, error) {
	return store.Write(ctx, s.DB, func(tx store.Tx) (*fieldsalesv1.Opportunity, error) {
		o, err := ForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		stages, err := pipeline.LoadStages(ctx, tx)
		if err != nil {
			return nil, err
		}
		missing, err := o.MissingToWin(stages)
		if err != nil {
			return nil, err
		}
		a, err := account.Get(ctx, tx, o.AccountID)
		if err != nil {
			return nil, err
		}
		now := s.Clock.Now()
		signed, absent, wrong := contract.Parse(req.GetContract(), civil.DateOf(now))
		for _, path := range absent {
			missing = append(missing, needed(path))
		}
		document := o.document(a, signed, req.GetHandover())
		payload := &handoffv1.Payload{Kind: &handoffv1.Payload_ClosedWon{ClosedWon: document}}
		for _, path := range s.Handoffs.Completeness(handoffv1.Kind_KIND_CLOSED_WON, payload).GetMissing() {
			if !strings.HasPrefix(path, "contract") { // Parse has said so already
				missing = append(missing, needed(requestPath(path)))
			}
		}
		switch {
		case len(wrong) > 0:
			return nil, problem.Invalid(append(wrong, missing...)...)
		case len(missing) > 0:
			return nil, unmet(CloseWon, missing)
		}
		h, err := s.Handoffs.Offer(ctx, tx, handoff.NewOffer{
			Kind: handoffv1.Kind_KIND_CLOSED_WON, To: access.CustomerSuccess, JourneyID: o.JourneyID, PersonID: o.PersonID,
			AccountID: o.AccountID, Payload: payload, SenderSubject: o.Subject(),
		})
		if err != nil {
			return nil, err
		}
		if err := o.Win(h.GetId(), access.ActorOf(ctx), now); err != nil {
			return nil, err
		}
		signed.ID, signed.OpportunityID, signed.AccountID, signed.CreatedAt = party.NewID(), o.ID, o.AccountID, now
		if err := s.save(ctx, tx, o, stages, &signed); err != nil {
			return nil, err
		}
		contract.Insert(tx, signed)
		p := o.message(stages)
		p.Contract, p.Handover = signed.Proto(), document
		return p, nil
	})
}

// document is the handover document: what the seller wrote, filled up from the account and the deal.
func (o *Opportunity) document(a *account.Account, c contract.Contract, d *fieldsalesv1.HandoverDocument) *handoffv1.ClosedWonPayload {
	contact := o.Contact
	if d.GetContact() != nil {
		contact = party.PersonOf(d.GetContact()).Named().Identified(o.Contact)
	}
	issues := d.GetIssues()
	if issues == "" && o.Brief.Answers != nil {
		issues = o.Brief.Answers.Issue
	}
	return &handoffv1.ClosedWonPayload{
		Company: &typev1.Company{Id: a.ID, Name: a.Name, Domain: a.Domain, Industry: a.Industry, Employees: a.Employees},
		Contact: contact.Proto(), Purpose: d.GetPurpose(), Issues: issues, Expectations: d.GetExpectations(),
		DecisionMaker: d.GetDecisionMaker(), DecisionProcess: d.GetDecisionProcess(), Agreements: d.GetAgreements(),
		Cautions: d.GetCautions(), ExpansionRoom: or(d.GetExpansionRoom(), o.ExpansionRoom),
		ProposalRoom: or(d.GetProposalRoom(), o.ProposalRoom), Contract: c.Proto(), SuccessCriteria: d.GetSuccessCriteria(),
		Promises: d.GetPromises(), Risks: d.GetRisks(), BillingContact: party.PersonOf(d.GetBillingContact()).Named().Proto(),
		OpportunityId: o.ID, CustomerId: o.Brief.CustomerID, FirstTouch: o.Brief.FirstTouch.message(), LastTouch: o.Brief.LastTouch.message(),
	}
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

// requestPath is where the seller fills in a field of the handover document.
func requestPath(path string) string {
	if field, ok := strings.CutPrefix(path, "company."); ok {
		return "account." + field
	}
	return "handover." + path
}

func needed(path string) problem.Violation {
	if strings.HasPrefix(path, "account.") {
		return problem.Field(path, "is needed by customer success: set it on the account").
			Ja("カスタマーサクセスへの引き継ぎに必要です。取引先に登録してください。")
	}
	return problem.Field(path, "is needed to win the deal").Ja("受注に必要な項目です。")
}
