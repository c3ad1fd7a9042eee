package marketing_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	partyv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/party/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/marketing"
)

func (h *house) people() pb.PersonServiceClient { return pb.NewPersonServiceClient(h.Conn) }

// known captures a person without high intent.
func (h *house) known(ctx context.Context, t *testing.T, p *typev1.Person, consents ...*handoffv1.Consent) *pb.Lead {
	t.Helper()
	req := demoRequest("")
	req.Person, req.Touch.Action, req.Consents = p, "seminar", consents
	l, err := h.leads.CaptureLead(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func someone(mail, phone string) *typev1.Person {
	return &typev1.Person{Name: &typev1.PersonName{Family: "佐藤", Given: "花子"}, Mail: mail, Phone: phone}
}

// awaitConsent waits until marketing has told of the one channel of a person.
func (h *house) awaitConsent(t *testing.T, person string, granted bool) {
	t.Helper()
	departmenttest.WaitFor(t, h.House, h.Conn, func(e *partyv1.ConsentChanged) bool {
		return e.GetPersonId() == person && len(e.GetConsents()) == 1 && e.GetConsents()[0].GetGranted() == granted
	})
}

// told is what marketing has told of a person's consents until now.
func (h *house) told(t *testing.T, person string) string {
	t.Helper()
	got, err := feedv1.NewFeedServiceClient(h.Conn).ListEvents(h.As(t, "viewer", access.RoleViewer), &feedv1.ListEventsRequest{
		Types: []string{"tasuki.party.v1.ConsentChanged"}, Subject: people.Subject(person), PageSize: 100,
	})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, ev := range got.GetEvents() {
		data := &partyv1.ConsentChanged{}
		if err := ev.GetData().UnmarshalTo(data); err != nil {
			t.Fatal(err)
		}
		for _, c := range data.GetConsents() {
			words = append(words, fmt.Sprint(c.GetChannel(), ":", c.GetGranted()))
		}
	}
	return fmt.Sprint(words)
}

// Whoever is captured with a demo request is handed over at once, and told of at once. What others have heard of once, in a
// word or by a merge, they hear of from then on.
func TestOthersHearOfConsentsOnceTheyKnowThePerson(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		grant := &handoffv1.Consent{Channel: "MAIL", Granted: true, Basis: "OPT_IN"}
		req := demoRequest("hot@example.co.jp")
		req.Consents = []*handoffv1.Consent{grant}
		hot, err := h.leads.CaptureLead(mori, req)
		if err != nil {
			t.Fatal(err)
		}
		h.awaitConsent(t, hot.GetPerson().GetId(), true)

		silent := h.known(mori, t, someone("silent@example.co.jp", "")).GetPerson().GetId()
		if _, err := h.people().RecordConsent(mori, &pb.RecordConsentRequest{Id: silent, Channel: "MAIL", Basis: pb.ConsentBasis_CONSENT_BASIS_BUSINESS_CARD}); err != nil {
			t.Fatal(err)
		}
		h.known(mori, t, someone("silent@example.co.jp", ""), &handoffv1.Consent{Channel: "MAIL"})
		h.awaitConsent(t, silent, false)
		if got := h.told(t, silent); got != "[MAIL:true MAIL:false]" {
			t.Errorf("after a word others were told %s", got)
		}

		stays := h.known(mori, t, someone("merged@example.co.jp", ""), grant).GetPerson().GetId()
		goes := h.known(mori, t, someone("", "03-9999-0000"), grant).GetPerson().GetId()
		if _, err := h.people().MergePeople(mori, &pb.MergePeopleRequest{Id: stays, OtherId: goes}); err != nil {
			t.Fatal(err)
		}
		h.known(mori, t, someone("merged@example.co.jp", ""), &handoffv1.Consent{Channel: "MAIL"})
		h.awaitConsent(t, stays, false)
		if got := h.told(t, stays) + h.told(t, goes); got != "[MAIL:false][]" {
			t.Errorf("after a merge others were told %s", got)
		}
	})
}

func TestConsentLedger(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		l := h.known(mori, t, someone("consent@example.co.jp", ""), &handoffv1.Consent{Channel: "MAIL", Granted: true, Basis: "OPT_IN"})
		id := l.GetPerson().GetId()
		p, err := h.people().WithdrawConsent(mori, &pb.WithdrawConsentRequest{Id: id, Channel: "MAIL", Evidence: &pb.ConsentEvidence{Method: "PHONE", Address: "+81312345678"}})
		if err != nil || p.GetConsents()[0].GetGranted() {
			t.Fatalf("%v, %v", p, err)
		}
		h.awaitConsent(t, id, false)
		etag := p.GetEtag()
		for _, basis := range []pb.ConsentBasis{pb.ConsentBasis_CONSENT_BASIS_BUSINESS_CARD, pb.ConsentBasis_CONSENT_BASIS_PUBLISHED} {
			p, err = h.people().RecordConsent(mori, &pb.RecordConsentRequest{Id: id, Channel: "MAIL", Basis: basis, Etag: etag})
			if err != nil || p.GetConsents()[0].GetGranted() || p.GetEtag() != etag {
				t.Errorf("%s overrules a withdrawal: %v, %v", basis, p, err)
			}
		}
		again := h.known(mori, t, someone("consent@example.co.jp", ""), &handoffv1.Consent{Channel: "MAIL", Granted: true, Basis: "EXISTING_RELATION"})
		if again.GetConsents()[0].GetGranted() {
			t.Error("a capture overrules a withdrawal")
		}
		p, err = h.people().RecordConsent(mori, &pb.RecordConsentRequest{Id: id, Channel: "MAIL", Basis: pb.ConsentBasis_CONSENT_BASIS_OPT_IN})
		if err != nil || !p.GetConsents()[0].GetGranted() {
			t.Errorf("a new opt-in counts for nothing: %v, %v", p, err)
		}
		h.awaitConsent(t, id, true)
		if got := h.told(t, id); got != "[MAIL:false MAIL:true]" { // of the capture nobody needs to be told
			t.Errorf("others were told %s", got)
		}
		_, err = h.people().WithdrawConsent(mori, &pb.WithdrawConsentRequest{Id: id, Etag: etag})
		wantCode(t, err, codes.Aborted)

		var words []string
		for token := ""; ; {
			page, err := h.people().ListConsentRecords(mori, &pb.ListConsentRecordsRequest{Id: id, PageSize: 2, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page.GetConsentRecords() {
				words = append(words, fmt.Sprint(r.GetBasis(), r.GetGranted(), r.GetEvidence().GetMethod()))
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
		want := "[OPT_INtrue EXISTING_RELATIONtrue PUBLISHEDtrue BUSINESS_CARDtrue falsePHONE OPT_INtrue]"
		if fmt.Sprint(words) != want {
			t.Errorf("the ledger has %v, want %s", words, want)
		}
		_, err = h.people().GetPerson(mori, &pb.GetPersonRequest{Id: party.NewID()})
		wantCode(t, err, codes.NotFound)
		_, err = h.people().RecordConsent(h.As(t, "viewer", access.RoleViewer), &pb.RecordConsentRequest{Id: id, Channel: "MAIL", Basis: 1})
		wantCode(t, err, codes.PermissionDenied)
	})
}

func TestParallelWordsLeaveTheWithdrawal(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		id := h.known(mori, t, someone("rivals@example.co.jp", "")).GetPerson().GetId()
		var wait sync.WaitGroup
		for n := range 8 {
			wait.Go(func() {
				if n == 3 {
					if _, err := h.people().WithdrawConsent(mori, &pb.WithdrawConsentRequest{Id: id, Channel: "MAIL"}); err != nil {
						t.Error(err)
					}
					return
				}
				req := demoRequest("rivals@example.co.jp")
				req.Touch.Action, req.Consents = "seminar", []*handoffv1.Consent{{Channel: "MAIL", Granted: true, Basis: "EXISTING_RELATION"}}
				if _, err := h.leads.CaptureLead(mori, req); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		p, err := h.people().GetPerson(mori, &pb.GetPersonRequest{Id: id})
		if err != nil || len(p.GetConsents()) != 1 || p.GetConsents()[0].GetGranted() {
			t.Errorf("after a withdrawal amid captures: %v, %v", p, err)
		}
	})
}

func TestMergeByRuleAndForEver(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		phoneOnly := h.known(mori, t, someone("", "03-1234-5678"), &handoffv1.Consent{Channel: "PHONE", Basis: ""})
		withMail := h.known(mori, t, someone("merge@example.co.jp", ""), &handoffv1.Consent{Channel: "PHONE", Granted: true, Basis: "OPT_IN"})
		goes, stays := phoneOnly.GetPerson().GetId(), withMail.GetPerson().GetId()
		got, err := h.people().MergePeople(mori, &pb.MergePeopleRequest{Id: goes, OtherId: stays, DryRun: true})
		if err != nil || got.GetRule() != "IDENTIFIED" || got.GetSurvivor().GetId() != stays || len(got.GetMoves()) != 2 {
			t.Fatalf("the dry run: %v, %v", got, err)
		}
		done, err := h.people().MergePeople(mori, &pb.MergePeopleRequest{Id: stays, OtherId: goes})
		if err != nil || done.GetSurvivor().GetPerson().GetPhone() != "+81312345678" || done.GetSurvivor().GetConsents()[0].GetGranted() {
			t.Fatalf("the merge: %v, %v", done, err)
		}
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *partyv1.PersonMerged) bool { return e.GetMergedId() == goes && e.GetSurvivorId() == stays })
		for _, id := range []string{goes, stays} {
			p, err := h.people().GetPerson(mori, &pb.GetPersonRequest{Id: id})
			if err != nil || p.GetId() != stays || len(p.GetMergedIds()) != 1 {
				t.Errorf("%s answers %v, %v", id, p, err)
			}
		}
		l, err := h.leads.GetLead(mori, &pb.GetLeadRequest{Id: phoneOnly.GetId()})
		if err != nil || l.GetPerson().GetId() != stays || l.GetJourneyId() != phoneOnly.GetJourneyId() {
			t.Errorf("the lead of the merged person: %v, %v", l, err)
		}
		back := h.known(mori, t, someone("", "03-1234-5678"))
		if back.GetPerson().GetId() != stays || back.GetId() != min(phoneOnly.GetId(), withMail.GetId()) {
			t.Errorf("the phone number leads to %s", back.GetPerson().GetId())
		}
		_, err = h.people().MergePeople(mori, &pb.MergePeopleRequest{Id: goes, OtherId: stays})
		if problem.ReasonOf(err) != problem.ReasonGuardNotMet {
			t.Errorf("merging one person: %v", err)
		}
	})
}

func TestErasureWaitsForTheDepartmentsThatAreThere(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		l, err := h.leads.CaptureLead(mori, demoRequest("gone@example.co.jp"))
		if err != nil {
			t.Fatal(err)
		}
		h.received(t, l.GetHandoffId())
		id := l.GetPerson().GetId()
		e, err := h.people().RequestErasure(mori, &pb.RequestErasureRequest{Id: id, Reason: "本人の申し出"})
		if err != nil || e.GetState() != pb.Erasure_STATE_REQUESTED || len(e.GetAnswers()) != 4 {
			t.Fatalf("%v, %v", e, err)
		}
		again, err := h.people().RequestErasure(mori, &pb.RequestErasureRequest{Id: id, Reason: "twice"})
		if err != nil || again.GetId() != e.GetId() || again.GetReason() != e.GetReason() {
			t.Errorf("asked twice: %v, %v", again, err)
		}
		for _, n := range []*departmenttest.Neighbour{h.insideSales, h.fieldSales, h.customerSuccess} {
			ack := departmenttest.WaitFor(t, h.House, n.Conn, func(a *partyv1.ErasureAcknowledged) bool { return a.GetErasureId() == e.GetId() })
			if wantRows := n == h.insideSales; (len(ack.GetErased()) > 0) != wantRows {
				t.Errorf("%s erased %v", ack.GetDepartment(), ack.GetErased())
			}
		}
		got, err := h.leads.GetLead(mori, &pb.GetLeadRequest{Id: l.GetId()})
		if err != nil || got.GetState() != pb.Lead_STATE_DISQUALIFIED || !proto.Equal(got.GetPerson(), &typev1.Person{Id: id, Name: &typev1.PersonName{}}) {
			t.Errorf("the lead: %v, %v", got, err)
		}
		_, err = h.leads.CaptureLead(mori, demoRequest("GONE@example.co.jp"))
		if problem.ReasonOf(err) != problem.ReasonGuardNotMet {
			t.Errorf("captured again: %v", err)
		}
		_, err = h.leads.UpdateLead(mori, &pb.UpdateLeadRequest{Id: l.GetId(), Person: someone("new@example.co.jp", "")})
		if problem.ReasonOf(err) != problem.ReasonGuardNotMet {
			t.Errorf("filled in again: %v", err)
		}
		_, err = h.people().RecordConsent(mori, &pb.RecordConsentRequest{Id: id, Channel: "MAIL", Basis: 1})
		if problem.ReasonOf(err) != problem.ReasonGuardNotMet {
			t.Errorf("a consent of somebody who was erased: %v", err)
		}
	})
}

func TestErasureAloneIsCompleteAtOnce(t *testing.T) {
	departmenttest.Engines(t, marketing.Definition, func(t *testing.T, db departmenttest.Database) {
		h := build(t, false, db)
		mori := h.As(t, "mori", access.RoleMarketing)
		id := h.known(mori, t, someone("alone@example.co.jp", "")).GetPerson().GetId()
		e, err := h.people().RequestErasure(mori, &pb.RequestErasureRequest{Id: id, Reason: "asked"})
		if err != nil || e.GetState() != pb.Erasure_STATE_COMPLETED || len(e.GetAnswers()) != 1 || len(e.GetAnswers()[0].GetErased()) == 0 {
			t.Errorf("%v, %v", e, err)
		}
		stranger, err := h.people().RequestErasure(mori, &pb.RequestErasureRequest{Id: party.NewID(), Reason: "asked"})
		if err != nil || stranger.GetState() != pb.Erasure_STATE_COMPLETED || len(stranger.GetAnswers()[0].GetErased()) != 0 {
			t.Errorf("of a stranger: %v, %v", stranger, err)
		}
		_, err = h.people().GetErasure(mori, &pb.GetErasureRequest{Id: party.NewID()})
		wantCode(t, err, codes.NotFound)
	})
}
