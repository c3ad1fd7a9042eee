package scenario

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/tasuki-project/tasuki/e2e/internal/house"
	"github.com/tasuki-project/tasuki/e2e/internal/rest"
	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	marketingv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
)

// words are what a department knows of mail and phone, as `GRANTED WITHDRAWN`.
func words(p *partyv1.ContactPermissions) string {
	by := map[string]string{}
	for _, c := range p.GetChannels() {
		by[c.GetChannel()] = strings.TrimPrefix(c.GetWord().String(), "WORD_")
	}
	return by["MAIL"] + " " + by["PHONE"]
}

func wordsAre(want string) func(*partyv1.ContactPermissions) error {
	return func(p *partyv1.ContactPermissions) error {
		if got := words(p); got != want {
			return errors.New("it knows " + got + ", want " + want)
		}
		return nil
	}
}

func shownWords(consents []*handoffv1.Consent) string {
	p := &partyv1.ContactPermissions{}
	for _, channel := range []string{"MAIL", "PHONE"} {
		word := partyv1.ChannelPermission_WORD_NONE
		for _, c := range consents {
			switch {
			case c.GetChannel() != channel:
			case c.GetGranted():
				word = partyv1.ChannelPermission_WORD_GRANTED
			default:
				word = partyv1.ChannelPermission_WORD_WITHDRAWN
			}
		}
		p.Channels = append(p.Channels, &partyv1.ChannelPermission{Channel: channel, Word: word})
	}
	return words(p)
}

// interested captures somebody who agrees to mail, wants no calls, and is not handed over yet.
func (r *Relay) interested(name string) *marketingv1.Lead {
	r.t.Helper()
	req := r.CaptureRequest(name, "web_visit")
	req.Consents = []*handoffv1.Consent{{Channel: "MAIL", Granted: true, Basis: "OPT_IN"}, {Channel: "PHONE"}}
	var lead marketingv1.Lead
	r.Marketing.Must(r.t, http.MethodPost, "/v1/leads", req, &lead)
	if lead.GetState() != marketingv1.Lead_STATE_MAL {
		r.t.Fatalf("a visitor of the web site is %s", lead.GetState())
	}
	return &lead
}

func (r *Relay) withdraw(person, channel string) {
	r.t.Helper()
	r.Marketing.Must(r.t, http.MethodPost, "/v1/people/"+person+":withdrawConsent", &marketingv1.WithdrawConsentRequest{
		Channel: channel, Evidence: &marketingv1.ConsentEvidence{Method: "UNSUBSCRIBE_LINK"},
	}, &marketingv1.PersonRecord{})
}

// caughtUp waits until every department has taken in all that marketing has told: a last word of somebody else.
func (r *Relay) caughtUp(name string) {
	r.t.Helper()
	var last marketingv1.Lead
	r.Marketing.Must(r.t, http.MethodPost, "/v1/leads", r.CaptureRequest("last-"+name, "web_visit"), &last)
	r.withdraw(last.GetPerson().GetId(), "MAIL")
	r.everywhere("the last word is known everywhere", last.GetPerson().GetId(), wordsAre("WITHDRAWN NONE"))
}

// consentsComeWithTheHandover: as long as a person is marketing's alone, nobody else hears of its consents; who receives the
// person has them from the first moment on, and every later word reaches everybody.
func consentsComeWithTheHandover(t *testing.T, h *house.House) {
	r := NewRelay(t, h)
	lead, left := r.interested("sash"), r.interested("left")
	person, leaver := lead.GetPerson().GetId(), left.GetPerson().GetId()
	r.withdraw(leaver, "MAIL") // before anybody else knows who it is
	r.caughtUp("captured")
	for name, desk := range r.desks() {
		want := "NONE NONE"
		if name == "marketing" {
			want = "GRANTED WITHDRAWN"
		}
		if err := wordsAre(want)(r.permissions(desk, person)); err != nil {
			t.Errorf("before the handover %s: %v", name, err)
		}
	}

	arrive := func(lead *marketingv1.Lead) string {
		r.Marketing.Must(t, http.MethodPost, "/v1/leads/"+lead.GetId()+":qualify", &marketingv1.QualifyLeadRequest{Reason: "MET_AT_EVENT"}, &marketingv1.Lead{})
		return Subject(t, r.Arrival(r.Inside, lead.GetJourneyId(), handoffv1.Kind_KIND_MQL).GetReceiverSubject(), "work-item")
	}
	insideShows := func(when, person, item, want string) {
		t.Helper()
		if err := wordsAre(want)(r.permissions(r.Inside, person)); err != nil {
			t.Errorf("%s inside sales: %v", when, err)
		}
		if got := shownWords(r.WorkItem(item).GetConsents()); got != want {
			t.Errorf("%s the work item shows %s, want %s", when, got, want)
		}
	}
	item := arrive(lead)
	insideShows("on arrival", person, item, "GRANTED WITHDRAWN")
	leftItem := arrive(left)
	insideShows("on arrival, with the withdrawal", leaver, leftItem, "WITHDRAWN WITHDRAWN")
	r.everywhere("the handover tells everybody", person, wordsAre("GRANTED WITHDRAWN"))
	r.caughtUp("offered")
	insideShows("later, with the withdrawal", leaver, leftItem, "WITHDRAWN WITHDRAWN")

	r.ToMeeting(lead)
	opportunity := r.ToOpportunity(lead.GetJourneyId())
	deal := func(want string) {
		t.Helper()
		var o fieldsalesv1.Opportunity
		r.Field.Must(t, http.MethodGet, "/v1/opportunities/"+opportunity, nil, &o)
		if got := shownWords(o.GetContactConsents()); got != want {
			t.Errorf("the deal shows %s, want %s", got, want)
		}
	}
	deal("GRANTED WITHDRAWN")
	r.ToVerbal(opportunity)
	win := WinRequest()
	win.GetHandover().Contact = lead.GetPerson()
	r.Field.Must(t, http.MethodPost, "/v1/opportunities/"+opportunity+":closeWon", win, &fieldsalesv1.Opportunity{},
		rest.Header{Name: "Idempotency-Key", Value: "win-" + r.Sequence})
	handover := r.Accept(r.Success, r.Arrival(r.Success, lead.GetJourneyId(), handoffv1.Kind_KIND_CLOSED_WON))
	customer := func(want string) {
		t.Helper()
		var c customersuccessv1.Customer
		r.Success.Must(t, http.MethodGet, "/v1/customers/"+Subject(t, handover.GetReceiverSubject(), "customer"), nil, &c)
		for _, contact := range c.GetContacts() {
			if contact.GetPerson().GetId() == person {
				if got := shownWords(contact.GetConsents()); got != want {
					t.Errorf("the customer's contact shows %s, want %s", got, want)
				}
				return
			}
		}
		t.Errorf("the customer has no contact %s: %v", person, c.GetContacts())
	}
	customer("GRANTED WITHDRAWN")

	r.withdraw(person, "MAIL")
	r.everywhere("a withdrawal after the handover is known everywhere", person, wordsAre("WITHDRAWN WITHDRAWN"))
	insideShows("after the withdrawal", person, item, "WITHDRAWN WITHDRAWN")
	deal("WITHDRAWN WITHDRAWN")
	customer("WITHDRAWN WITHDRAWN")

	// So does what another form says, without a word of the person to marketing's people.
	again := r.CaptureRequest("sash", "web_visit")
	again.Consents = []*handoffv1.Consent{{Channel: "MAIL", Granted: true, Basis: "OPT_IN"}}
	r.Marketing.Must(t, http.MethodPost, "/v1/leads", again, &marketingv1.Lead{})
	r.everywhere("a new opt-in is known everywhere", person, wordsAre("GRANTED WITHDRAWN"))
	var ledger marketingv1.ListConsentRecordsResponse
	r.Marketing.Must(t, http.MethodGet, "/v1/people/"+person+"/consent-records", nil, &ledger)
	if got := len(ledger.GetConsentRecords()); got != 4 {
		t.Errorf("the ledger has %d entries, want 4", got)
	}
}
