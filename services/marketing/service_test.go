package marketing_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	fieldsalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/fieldsales/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	insidesalesv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/insidesales/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/department/departmenttest"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/testkit"
	"github.com/tasuki-project/tasuki/services/marketing"
)

func TestSchemas(t *testing.T) { testkit.SchemasMatch(t, marketing.Migrations()) }

func demoRequest(mail string) *pb.CaptureLeadRequest {
	return &pb.CaptureLeadRequest{
		Person:  &typev1.Person{Name: &typev1.PersonName{Family: "佐藤", Given: "花子"}, Mail: mail, Title: "営業部長"},
		Company: &typev1.Company{Name: "株式会社タスキ", Industry: "IT", Employees: 120},
		Touch:   &typev1.Touch{Channel: "WEB_FORM", Action: "demo_request"}, Source: "web-site",
	}
}

// moved waits until a lead is in a state, and reads it.
func (h *house) moved(t *testing.T, id string, to pb.Lead_State) *pb.Lead {
	t.Helper()
	departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.LeadStateChanged) bool { return e.GetLeadId() == id && e.GetTo() == to })
	l, err := h.leads.GetLead(h.As(t, "viewer", access.RoleViewer), &pb.GetLeadRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// received waits until inside sales has an offer.
func (h *house) received(t *testing.T, id string) *handoffv1.Handoff {
	t.Helper()
	return departmenttest.WaitFor(t, h.House, h.insideSales.Conn, func(e *handoffv1.HandoffReceived) bool { return e.GetHandoff().GetId() == id }).GetHandoff()
}

func TestFromTheFormToTheCustomer(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		l, err := h.leads.CaptureLead(mori, demoRequest("hanako@example.co.jp"))
		if err != nil || l.GetState() != pb.Lead_STATE_OFFERED || !l.GetHot() {
			t.Fatalf("%v %v", l, err)
		}
		offer := h.received(t, l.GetHandoffId())
		if mql := offer.GetPayload().GetMql(); !mql.GetHot() || mql.GetQualifyingAction() != "demo_request" || offer.GetCompleteness().GetScore() != 100 ||
			offer.GetJourneyId() != l.GetJourneyId() || offer.GetSenderSubject() != "lead/"+l.GetId() {
			t.Errorf("%v", offer)
		}
		desk := handoffv1.NewHandoffDeskServiceClient(h.insideSales.Conn)
		sato := h.As(t, "sato", access.RoleInsideSales)
		if _, err := desk.AcceptHandoff(sato, &handoffv1.AcceptHandoffRequest{Id: offer.GetId()}); err != nil {
			t.Fatal(err)
		}
		h.moved(t, l.GetId(), pb.Lead_STATE_ACCEPTED)

		deal := party.NewID()
		h.fieldSales.Tell(t, event.Event{
			Subject: "opportunity/" + deal, SubjectVersion: 1, JourneyID: l.GetJourneyId(),
			Data: &fieldsalesv1.MeetingVerdict{JourneyId: l.GetJourneyId(), MqlHandoffId: offer.GetId(), Held: true, Accepted: true, OpportunityId: deal},
		})
		h.moved(t, l.GetId(), pb.Lead_STATE_SQL)
		h.fieldSales.Tell(t, event.Event{
			Subject: "opportunity/" + deal, SubjectVersion: 2, JourneyID: l.GetJourneyId(),
			Data: &fieldsalesv1.OpportunityClosed{JourneyId: l.GetJourneyId(), OpportunityId: deal, Won: true},
		})
		h.moved(t, l.GetId(), pb.Lead_STATE_CUSTOMER)

		history, err := h.leads.ListLeadTransitions(mori, &pb.ListLeadTransitionsRequest{Id: l.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"CAPTURED", "MAL", "MQL", "OFFERED", "ACCEPTED", "SQL", "CUSTOMER"}
		for i, step := range history.GetTransitions() {
			if i >= len(want) || step.GetTo() != want[i] {
				t.Errorf("transition %d is %v", i, step)
			}
		}
	})
}

func TestLeadsComeBack(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori, sato := h.As(t, "mori", access.RoleMarketing), h.As(t, "sato", access.RoleInsideSales)
		desk := handoffv1.NewHandoffDeskServiceClient(h.insideSales.Conn)

		l, err := h.leads.CaptureLead(mori, demoRequest("hanako@example.co.jp"))
		if err != nil {
			t.Fatal(err)
		}
		h.received(t, l.GetHandoffId())
		_, err = desk.RejectHandoff(sato, &handoffv1.RejectHandoffRequest{Id: l.GetHandoffId(), Reason: "BAD_TIMING", Note: "来期"})
		if err != nil {
			t.Fatal(err)
		}
		l = h.moved(t, l.GetId(), pb.Lead_STATE_RECYCLED)
		if days := time.Until(l.GetWakeAt().AsTime()).Hours() / 24; l.GetRecycleCount() != 1 || l.GetLastReason() != "BAD_TIMING" || days < 55 || days > 61 {
			t.Errorf("%v", l)
		}

		// Another demo request is another handoff of the same chain. Inside sales accepts it, and gives it back later.
		again, err := h.leads.CaptureLead(mori, demoRequest("hanako@example.co.jp"))
		if err != nil || again.GetState() != pb.Lead_STATE_OFFERED || again.GetHandoffId() == l.GetHandoffId() || again.GetTouchCount() != 2 {
			t.Fatalf("%v %v", again, err)
		}
		if offer := h.received(t, again.GetHandoffId()); offer.GetChainId() != l.GetHandoffId() || offer.GetPayload().GetMql().GetRecycleCount() != 1 {
			t.Errorf("%v", offer)
		}
		soon := timestamppb.New(time.Now().Add(-time.Minute)) // its date has come: it wakes up at once
		h.insideSales.Tell(t, event.Event{
			Subject: "work-item/" + party.NewID(), SubjectVersion: 1, JourneyID: l.GetJourneyId(),
			Data: &insidesalesv1.LeadRecycled{JourneyId: l.GetJourneyId(), MqlHandoffId: again.GetHandoffId(), Reason: "NO_RESPONSE", WakeAt: soon},
		})
		departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.LeadStateChanged) bool { return e.GetLeadId() == l.GetId() && e.GetReason() == "WAKE_DATE" })
		if woken, err := h.leads.GetLead(mori, &pb.GetLeadRequest{Id: l.GetId()}); err != nil ||
			woken.GetState() != pb.Lead_STATE_NURTURING || woken.GetRecycleCount() != 2 {
			t.Errorf("%v %v", woken, err)
		}

		other, err := h.leads.CaptureLead(mori, demoRequest("taro@example.co.jp"))
		if err != nil {
			t.Fatal(err)
		}
		h.received(t, other.GetHandoffId())
		if _, err = desk.RejectHandoff(sato, &handoffv1.RejectHandoffRequest{Id: other.GetHandoffId(), Reason: "COMPETITOR"}); err != nil {
			t.Fatal(err)
		}
		h.moved(t, other.GetId(), pb.Lead_STATE_DISQUALIFIED)
	})
}

func TestImportTheSample(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		if _, err := h.rules.CreateExclusionRule(mori, &pb.CreateExclusionRuleRequest{
			Kind: pb.ExclusionRule_KIND_COMPETITOR, Domain: "https://www.toto-system.example/",
		}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "samples", "japanese-list.csv"))
		if err != nil {
			t.Fatal(err)
		}
		req := &pb.ImportLeadsRequest{File: &httpbody.HttpBody{ContentType: "text/csv", Data: content}, Filename: "japanese-list.csv", Encoding: "auto"}
		keyed := metadata.AppendToOutgoingContext(mori, "idempotency-key", "file-1")
		first, err := h.imports.ImportLeads(keyed, req)
		if err != nil || first.GetEncoding() != "Shift_JIS" {
			t.Fatalf("%v %v", first, err)
		}
		if again, err := h.imports.ImportLeads(keyed, req); err != nil || again.GetId() != first.GetId() {
			t.Errorf("the same file twice: %v %v", again, err)
		}
		done := departmenttest.WaitFor(t, h.House, h.Conn, func(e *pb.LeadImportFinished) bool { return e.GetLeadImport().GetId() == first.GetId() }).GetLeadImport()
		if done.GetState() != pb.LeadImport_STATE_DONE || done.GetProcessedRows() != 300 || done.GetCreatedCount() < 200 || done.GetDuplicateCount() == 0 ||
			done.GetExcludedCount() == 0 || done.GetInvalidCount() == 0 {
			t.Errorf("%v", done)
		}
		if got, err := h.imports.GetLeadImport(mori, &pb.GetLeadImportRequest{Id: first.GetId()}); err != nil || !proto.Equal(got, done) {
			t.Errorf("got %v %v, want %v", got, err, done)
		}
		rows, err := h.imports.ListLeadImportRows(mori, &pb.ListLeadImportRowsRequest{
			Id: first.GetId(), Outcomes: []pb.LeadImportRow_Outcome{pb.LeadImportRow_OUTCOME_INVALID}, PageSize: 500,
		})
		if err != nil || len(rows.GetLeadImportRows()) != int(done.GetInvalidCount()) {
			t.Fatalf("%v %v", rows, err)
		}
		leads, err := h.leads.ListLeads(mori, &pb.ListLeadsRequest{ImportId: first.GetId(), States: []pb.Lead_State{pb.Lead_STATE_EXCLUDED}, PageSize: 500})
		if err != nil || len(leads.GetLeads()) != int(done.GetExcludedCount()) {
			t.Errorf("%d excluded, %v", len(leads.GetLeads()), err)
		}
		offered, err := h.leads.ListLeads(mori, &pb.ListLeadsRequest{ImportId: first.GetId(), States: []pb.Lead_State{pb.Lead_STATE_OFFERED}, PageSize: 500})
		if err != nil || len(offered.GetLeads()) == 0 {
			t.Fatalf("nobody was offered: %v", err)
		}
		for _, l := range offered.GetLeads()[:3] {
			h.received(t, l.GetHandoffId())
		}
	})
}

func TestAloneAndBadInput(t *testing.T) {
	h := build(t, false, departmenttest.SQLite(t, marketing.Definition))
	mori := h.As(t, "mori", access.RoleMarketing)
	l, err := h.leads.CaptureLead(mori, demoRequest("hanako@example.co.jp"))
	if err != nil || l.GetState() != pb.Lead_STATE_OFFERED {
		t.Fatalf("marketing is not useful alone: %v %v", l, err)
	}

	_, err = h.leads.CaptureLead(t.Context(), demoRequest("x@example.co.jp"))
	wantCode(t, err, codes.Unauthenticated)
	_, err = h.leads.CaptureLead(h.As(t, "viewer", access.RoleViewer), demoRequest("x@example.co.jp"))
	wantCode(t, err, codes.PermissionDenied)
	_, err = h.leads.GetLead(h.As(t, "viewer", access.RoleViewer), &pb.GetLeadRequest{Id: "not-an-id"})
	wantCode(t, err, codes.InvalidArgument)
	_, err = h.leads.CaptureLead(mori, &pb.CaptureLeadRequest{Person: &typev1.Person{Name: &typev1.PersonName{Full: "nobody"}}})
	wantCode(t, err, codes.InvalidArgument)
	_, err = h.leads.QualifyLead(mori, &pb.QualifyLeadRequest{Id: l.GetId(), Etag: "99"})
	if !problem.Is(err, problem.ReasonEtagMismatch) {
		t.Errorf("%v", err)
	}
	_, err = h.leads.QualifyLead(mori, &pb.QualifyLeadRequest{Id: l.GetId()})
	if !problem.Is(err, problem.ReasonIllegalTransition) {
		t.Errorf("%v", err)
	}
	_, err = h.leads.ListLeads(mori, &pb.ListLeadsRequest{PageToken: "damaged"})
	if !problem.Is(err, problem.ReasonPageTokenInvalid) {
		t.Errorf("%v", err)
	}
	keyed := metadata.AppendToOutgoingContext(mori, "idempotency-key", "k")
	if _, err = h.leads.CaptureLead(keyed, demoRequest("k@example.co.jp")); err != nil {
		t.Fatal(err)
	}
	_, err = h.leads.CaptureLead(keyed, demoRequest("other@example.co.jp"))
	if !problem.Is(err, problem.ReasonIdempotencyKeyReused) {
		t.Errorf("%v", err)
	}

	for name, c := range map[string]struct {
		data   []byte
		reason problem.Reason
	}{
		"too large": {make([]byte, 20<<20+1), problem.ReasonTooLarge},
		"encoding":  {[]byte{0xff, 0xfe, 0, 1}, problem.ReasonFileEncodingUnknown},
		"no CSV":    {[]byte("just a letter"), problem.ReasonFileNotCSV},
		"empty":     {nil, problem.ReasonFileNotCSV},
	} {
		_, err := h.imports.ImportLeads(mori, &pb.ImportLeadsRequest{File: &httpbody.HttpBody{ContentType: "text/csv", Data: c.data}})
		if !problem.Is(err, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExclusionRules(t *testing.T) {
	houses(t, func(t *testing.T, h *house) {
		mori := h.As(t, "mori", access.RoleMarketing)
		create := func(domain string) (*pb.ExclusionRule, error) {
			return h.rules.CreateExclusionRule(mori, &pb.CreateExclusionRuleRequest{
				Kind: pb.ExclusionRule_KIND_GROUP_COMPANY, Domain: domain, Note: "親会社",
			})
		}
		rule, err := create("Info@Rival.example")
		if err != nil || rule.GetDomain() != "rival.example" || rule.GetCreatedBy().GetId() != "mori" {
			t.Fatalf("%v %v", rule, err)
		}
		if _, err := create("www.rival.example"); !problem.Is(err, problem.ReasonExists) {
			t.Errorf("%v", err)
		}
		if _, err := create("no domain"); !problem.Is(err, problem.ReasonInvalidFields) {
			t.Errorf("%v", err)
		}
		if _, err := create("second.example"); err != nil {
			t.Fatal(err)
		}
		page, err := h.rules.ListExclusionRules(mori, &pb.ListExclusionRulesRequest{PageSize: 1})
		if err != nil || len(page.GetExclusionRules()) != 1 || page.GetExclusionRules()[0].GetDomain() != "second.example" {
			t.Fatalf("%v %v", page, err)
		}
		page, err = h.rules.ListExclusionRules(mori, &pb.ListExclusionRulesRequest{PageSize: 1, PageToken: page.GetNextPageToken()})
		if err != nil || len(page.GetExclusionRules()) != 1 || !proto.Equal(page.GetExclusionRules()[0], rule) || page.GetNextPageToken() != "" {
			t.Errorf("%v %v", page, err)
		}
		l, err := h.leads.CaptureLead(mori, demoRequest("spy@mail.rival.example"))
		if err != nil || l.GetState() != pb.Lead_STATE_EXCLUDED || l.GetExclusion().GetRuleId() != rule.GetId() {
			t.Errorf("%v %v", l, err)
		}
		if _, err := h.rules.DeleteExclusionRule(mori, &pb.DeleteExclusionRuleRequest{Id: rule.GetId()}); err != nil {
			t.Fatal(err)
		}
		_, err = h.rules.DeleteExclusionRule(mori, &pb.DeleteExclusionRuleRequest{Id: rule.GetId()})
		if !problem.Is(err, problem.ReasonNotFound) {
			t.Errorf("%v", err)
		}
		l, err = h.leads.OverturnExclusion(mori, &pb.OverturnExclusionRequest{Id: l.GetId(), Note: "提携先"})
		if err != nil || l.GetState() != pb.Lead_STATE_OFFERED { // it had asked for a demo
			t.Errorf("%v %v", l, err)
		}
	})
}
