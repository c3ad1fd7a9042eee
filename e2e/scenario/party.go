package scenario

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
)

// desks are the people of all departments, by the prefix of their department.
func (r *Relay) desks() map[string]rest.Client {
	return map[string]rest.Client{"marketing": r.Marketing, "inside-sales": r.Inside, "field-sales": r.Field, "customer-success": r.Success}
}

// permissions are what one department knows of whether a person may be contacted.
func (r *Relay) permissions(desk rest.Client, person string) *partyv1.ContactPermissions {
	r.t.Helper()
	var p partyv1.ContactPermissions
	desk.Must(r.t, http.MethodGet, "/v1/contact-permissions/"+person, nil, &p)
	return &p
}

// everywhere waits until what every department knows of a person passes the check.
func (r *Relay) everywhere(what, person string, check func(*partyv1.ContactPermissions) error) {
	r.t.Helper()
	house.Await(r.t, what, func() error {
		for name, desk := range r.desks() {
			if err := check(r.permissions(desk, person)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	})
}

func mailIs(allowed bool) func(*partyv1.ContactPermissions) error {
	return func(p *partyv1.ContactPermissions) error {
		for _, c := range p.GetChannels() {
			if c.GetChannel() == "MAIL" && c.GetAllowed() != allowed {
				return fmt.Errorf("mail allowed: %t, want %t (%s)", c.GetAllowed(), allowed, c.GetWord())
			}
		}
		return nil
	}
}

// withdrawalReachesEverybody: the person says so to marketing, and every department keeps to it.
func withdrawalReachesEverybody(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	req := r.CaptureRequest("consent", "demo_request")
	req.Consents = []*handoffv1.Consent{{Channel: "MAIL", Granted: true, Basis: "OPT_IN"}}
	var lead marketingv1.Lead
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", req, &lead)
	person := lead.GetPerson().GetId()
	item := r.ToMeeting(&lead)
	opportunity := r.ToOpportunity(lead.GetJourneyId())
	r.everywhere("the consent is known everywhere", person, mailIs(true))

	var after marketingv1.PersonRecord
	r.Marketing.Must(t, http.MethodPost, "/v1/people/"+person+":withdrawConsent", &marketingv1.WithdrawConsentRequest{
		Channel: "MAIL", Evidence: &marketingv1.ConsentEvidence{Method: "UNSUBSCRIBE_LINK"},
	}, &after)
	r.Marketing.Must(t, http.MethodPost, "/v1/people/"+person+":recordConsent", &marketingv1.RecordConsentRequest{
		Channel: "MAIL", Basis: marketingv1.ConsentBasis_CONSENT_BASIS_BUSINESS_CARD,
	}, &after)
	r.everywhere("the withdrawal is known everywhere, whatever a card says", person, mailIs(false))

	shown := func(what string, consents []*handoffv1.Consent) {
		for _, c := range consents {
			if c.GetChannel() == "MAIL" && !c.GetGranted() {
				return
			}
		}
		t.Errorf("%s shows %v", what, consents)
	}
	shown("the work item", r.WorkItem(item).GetConsents())
	var deal fieldsalesv1.Opportunity
	r.Field.Must(t, http.MethodGet, "/v1/opportunities/"+opportunity, nil, &deal)
	shown("the deal", deal.GetContactConsents())
	shown("the lead", r.Lead(lead.GetId()).GetConsents())
	var ledger marketingv1.ListConsentRecordsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/people/"+person+"/consent-records", nil, &ledger)
	if got := len(ledger.GetConsentRecords()); got != 3 {
		t.Errorf("the ledger has %d entries, want 3", got)
	}
	err := r.Inside.Call(t.Context(), http.MethodGet, "/v1/contact-permissions/nobody", nil, &partyv1.ContactPermissions{})
	if rest.Reason(err) != "INVALID_FIELDS" {
		t.Errorf("permissions of what is no id: %s", rest.Explain(err))
	}
}

// mergedPeople: two records are one human being. Both ids mean the survivor in every department.
func mergedPeople(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	older, newer := r.Capture("merge-a"), r.Capture("merge-b")
	stays, goes := older.GetPerson().GetId(), newer.GetPerson().GetId()
	r.Arrival(r.Inside, older.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	offer := r.Arrival(r.Inside, newer.GetJourneyId(), handoffv1.Kind_KIND_MQL)
	r.Marketing.Must(t, http.MethodPost, "/v1/people/"+goes+":withdrawConsent", &marketingv1.WithdrawConsentRequest{Channel: "MAIL"}, &marketingv1.PersonRecord{})

	req := &marketingv1.MergePeopleRequest{OtherId: stays, DryRun: true, Note: "同一人物"}
	var would, did marketingv1.MergePeopleResponse
	r.Marketing.Must(t, http.MethodPost, "/v1/people/"+goes+":merge", req, &would)
	if would.GetMergedId() != goes || would.GetSurvivor().GetId() != stays || would.GetRule() != "OLDER" || len(would.GetMoves()) == 0 {
		t.Errorf("a dry run says %v", &would)
	}
	if p := r.permissions(r.Marketing, goes); p.GetPersonId() != goes {
		t.Error("a dry run has merged")
	}
	req.DryRun = false
	r.Marketing.Must(t, http.MethodPost, "/v1/people/"+goes+":merge", req, &did)
	if fmt.Sprint(did.GetMoves()) != fmt.Sprint(would.GetMoves()) {
		t.Errorf("moved %v, but the dry run said %v", did.GetMoves(), would.GetMoves())
	}
	for _, id := range []string{stays, goes} {
		r.everywhere("both ids mean the survivor", id, func(p *partyv1.ContactPermissions) error {
			if p.GetPersonId() != stays {
				return fmt.Errorf("%s means %s", id, p.GetPersonId())
			}
			return mailIs(false)(p)
		})
	}
	var got marketingv1.PersonRecord
	r.Marketing.Must(t, http.MethodGet, "/v1/people/"+goes, nil, &got)
	if got.GetId() != stays || len(got.GetMergedIds()) != 1 || got.GetMergedIds()[0] != goes {
		t.Errorf("the losing id answers %v", &got)
	}
	if w := r.WorkItem(Subject(t, offer.GetReceiverSubject(), "work-item")); w.GetPerson().GetId() != stays {
		t.Errorf("the work item is still of %s", w.GetPerson().GetId())
	}
	var again marketingv1.Lead
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", r.CaptureRequest("merge-b", "seminar"), &again)
	if again.GetPerson().GetId() != stays || again.GetTouchCount() < 2 {
		t.Errorf("the other mail address leads to %s, touch %d", again.GetPerson().GetId(), again.GetTouchCount())
	}
	err := r.Marketing.Call(t.Context(), http.MethodPost, "/v1/people/"+goes+":merge", req, &did)
	if rest.Reason(err) != "GUARD_NOT_MET" {
		t.Errorf("merging what is merged: %s", rest.Explain(err))
	}
}

func erasedPerson(t *testing.T, h *house.House) { Erase(t, h) }

// Erase takes a person through all departments, and lets them forget it. It returns the mail address that nobody may have
// any more.
func Erase(t *testing.T, h *house.House) (mail string) {
	t.Helper()
	r := NewRelay(t, h)
	lead := r.Capture("erase")
	mail, person := lead.GetPerson().GetMail(), lead.GetPerson().GetId()
	item := r.ToMeeting(lead)
	r.Inside.Must(t, http.MethodPost, "/v1/work-items/"+item+"/activities", &insidesalesv1.LogActivityRequest{
		Kind: insidesalesv1.Activity_KIND_NOTE, Note: mail + " に返信",
	}, &insidesalesv1.Activity{})
	opportunity := r.ToOpportunity(lead.GetJourneyId())
	win := WinRequest()
	win.GetHandover().Contact = lead.GetPerson()
	r.Win(opportunity, win, rest.Header{Name: "Idempotency-Key", Value: "win-" + r.Sequence})
	_, customer := r.TakeOver(lead.GetJourneyId())
	r.AwaitLead(lead.GetId(), marketingv1.Lead_STATE_CUSTOMER)

	var erasure marketingv1.Erasure
	r.Marketing.Must(t, http.MethodPost, "/v1/people/"+person+":erase", &marketingv1.RequestErasureRequest{Reason: "本人の申し出"}, &erasure)
	if len(erasure.GetAnswers()) != 4 {
		t.Fatalf("it waits for %v", erasure.GetAnswers())
	}
	house.Await(t, "all departments have erased", func() error {
		r.Marketing.Must(t, http.MethodGet, "/v1/erasures/"+erasure.GetId(), nil, &erasure)
		if erasure.GetState() != marketingv1.Erasure_STATE_COMPLETED {
			return fmt.Errorf("it is %s: %v", erasure.GetState(), erasure.GetAnswers())
		}
		return nil
	})
	for _, a := range erasure.GetAnswers() {
		if !a.GetAcknowledged() || len(a.GetErased()) == 0 {
			t.Errorf("%s says it kept nothing of the person: %v", a.GetDepartment(), a)
		}
	}
	var deal fieldsalesv1.Opportunity
	r.Field.Must(t, http.MethodGet, "/v1/opportunities/"+opportunity, nil, &deal)
	var c customersuccessv1.Customer
	r.Success.Must(t, http.MethodGet, "/v1/customers/"+customer, nil, &c)
	var record marketingv1.PersonRecord
	r.Marketing.Must(t, http.MethodGet, "/v1/people/"+person, nil, &record)
	for what, text := range map[string]string{
		"lead": r.Lead(lead.GetId()).String(), "work item": r.WorkItem(item).String(), "deal": deal.String(), "customer": c.String(),
		"person": record.String(),
	} {
		if strings.Contains(text, mail) || strings.Contains(text, "花子") {
			t.Errorf("the %s still says %s", what, text)
		}
	}
	if c.GetCommittedMrr().GetUnits() != 130_000 || record.GetErasureId() != erasure.GetId() {
		t.Errorf("MRR %v, erasure %q", c.GetCommittedMrr(), record.GetErasureId())
	}
	err := r.Marketing.Call(t.Context(), http.MethodPost, "/v1/leads", r.CaptureRequest("erase", "demo_request"), &marketingv1.Lead{})
	if rest.Reason(err) != "GUARD_NOT_MET" {
		t.Errorf("who was erased is captured again: %s", rest.Explain(err))
	}
	r.everywhere("nobody may contact the person", person, func(p *partyv1.ContactPermissions) error {
		if !p.GetErased() {
			return fmt.Errorf("not erased: %v", p)
		}
		return mailIs(false)(p)
	})
	return mail
}
