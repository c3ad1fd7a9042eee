package feedback_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	handoffv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/handoff/v1"
	typev1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/type/v1"
	"github.com/tasuki-project/tasuki/services/customersuccess/internal/rig"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// customer accepts a handoff and returns the customer that came of it.
func customer(t *testing.T, r *rig.Rig, h *handoffv1.Handoff) string {
	t.Helper()
	subject, err := r.Accept(rig.As(t.Context(), "sato"), h)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(subject, "customer/")
}

// told are the subjects and journeys of the events of a type, in order.
func told(t *testing.T, r *rig.Rig, of proto.Message) (subjects, journeys []string) {
	t.Helper()
	type row struct{ Subject, JourneyID string }
	rows, err := store.Read(t.Context(), r.DB, func(tx store.Tx) ([]row, error) {
		return store.Select[row](t.Context(), tx, `SELECT subject, COALESCE(CAST(journey_id AS TEXT), '') AS journey_id FROM events
			WHERE type = $1 ORDER BY seq`, string(of.ProtoReflect().Descriptor().FullName()))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		subjects, journeys = append(subjects, row.Subject), append(journeys, row.JourneyID)
	}
	return subjects, journeys
}

func TestCustomerFeedback(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx, h := rig.As(t.Context(), "sato"), rig.Handoff(nil)
		id, other := customer(t, r, h), customer(t, r, rig.Handoff(nil))
		said := r.Clock.Now().Add(-time.Hour)
		var want []string
		for i := range 5 {
			req := &pb.CreateCustomerFeedbackRequest{
				CustomerId: id, Kinds: []pb.CustomerFeedback_Kind{pb.CustomerFeedback_KIND_ADDITIONAL_NEED, pb.CustomerFeedback_KIND_USAGE},
				Text: "英語の画面がほしい", SaidAt: timestamppb.New(said.Add(time.Duration(i/2) * time.Minute)),
				SaidBy: &typev1.Person{Name: &typev1.PersonName{Full: "田中 一郎"}},
			}
			if i == 3 {
				req.Kinds, req.Rating = []pb.CustomerFeedback_Kind{pb.CustomerFeedback_KIND_SATISFACTION}, 4
			}
			f, err := r.Feedback.CreateCustomerFeedback(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			if f.GetJourneyId() != h.GetJourneyId() || f.GetAccountId() != h.GetAccountId() || f.GetRecordedBy().GetId() != "sato" ||
				!slices.IsSorted(f.GetKinds()) {
				t.Errorf("%v", f)
			}
			want = append(want, f.GetId())
		}
		slices.Reverse(want)
		list := func(req *pb.ListCustomerFeedbackRequest) (ids []string) {
			t.Helper()
			for {
				res, err := r.Feedback.ListCustomerFeedback(ctx, req)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range res.GetCustomerFeedback() {
					ids = append(ids, f.GetId())
				}
				if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
					return ids
				}
			}
		}
		if got := list(&pb.ListCustomerFeedbackRequest{PageSize: 2}); !slices.Equal(got, want) {
			t.Errorf("in pages of two %v, want %v", got, want)
		}
		for name, tt := range map[string]struct {
			req *pb.ListCustomerFeedbackRequest
			n   int
		}{
			"customer":       {&pb.ListCustomerFeedbackRequest{CustomerId: id}, 5},
			"other":          {&pb.ListCustomerFeedbackRequest{CustomerId: other}, 0},
			"satisfaction":   {&pb.ListCustomerFeedbackRequest{Kind: pb.CustomerFeedback_KIND_SATISFACTION}, 1},
			"usage":          {&pb.ListCustomerFeedbackRequest{Kind: pb.CustomerFeedback_KIND_USAGE, PageSize: 1}, 4},
			"from":           {&pb.ListCustomerFeedbackRequest{FromTime: timestamppb.New(said.Add(time.Minute))}, 3},
			"before":         {&pb.ListCustomerFeedbackRequest{BeforeTime: timestamppb.New(said.Add(time.Minute))}, 2},
			"between":        {&pb.ListCustomerFeedbackRequest{FromTime: timestamppb.New(said.Add(time.Minute)), BeforeTime: timestamppb.New(said.Add(2 * time.Minute))}, 2},
			"all conditions": {&pb.ListCustomerFeedbackRequest{CustomerId: id, Kind: pb.CustomerFeedback_KIND_SATISFACTION, FromTime: timestamppb.New(said)}, 1},
		} {
			if got := list(tt.req); len(got) != tt.n {
				t.Errorf("%s: %d, want %d", name, len(got), tt.n)
			}
		}
		subjects, journeys := told(t, r, &pb.CustomerFeedbackRecorded{})
		if len(subjects) != 5 || subjects[0] != "feedback/"+want[4] || journeys[0] != h.GetJourneyId() {
			t.Errorf("told %v of %v", subjects, journeys)
		}
		for name, req := range map[string]*pb.CreateCustomerFeedbackRequest{
			"tomorrow": {CustomerId: id, Text: "x", SaidAt: timestamppb.New(r.Clock.Now().Add(time.Second))},
			"nobody":   {CustomerId: party.NewID(), Text: "x"},
		} {
			if _, err := r.Feedback.CreateCustomerFeedback(ctx, req); err == nil {
				t.Errorf("%s was taken", name)
			}
		}
		if subjects, _ := told(t, r, &pb.CustomerFeedbackRecorded{}); len(subjects) != 5 {
			t.Errorf("refused calls told: %v", subjects)
		}
	})
}

func TestHandoverQuality(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx, h := rig.As(t.Context(), "sato"), rig.Handoff(nil)
		id := customer(t, r, h)
		req := &pb.RateHandoverRequest{
			HandoffId: h.GetId(), Score: 2, LateGaps: []*pb.LateGap{{Field: "decision_process", Note: "法務の承認が必要だった"}},
			BrokenPromises: []*pb.BrokenPromise{{Promise: "4月中の会計連携"}},
		}
		if _, err := r.Feedback.RateHandover(ctx, &pb.RateHandoverRequest{HandoffId: party.NewID(), Score: 3}); !errors.Is(err, problem.NotFound("", "")) {
			t.Errorf("a handoff that was never accepted: %v", err)
		}
		if _, err := r.Feedback.CorrectHandoverQuality(ctx, &pb.CorrectHandoverQualityRequest{HandoffId: h.GetId(), Score: 3}); !errors.Is(err, problem.NotFound("", "")) {
			t.Errorf("corrected before it was rated: %v", err)
		}
		// Four people rate it at once.
		errs := make([]error, 4)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { _, errs[i] = r.Feedback.RateHandover(ctx, req) })
		}
		wg.Wait()
		var won int
		for _, err := range errs {
			if err == nil {
				won++
			} else if !errors.Is(err, problem.Exists("", "")) {
				t.Errorf("a loser is told %v", err)
			}
		}
		if won != 1 {
			t.Fatalf("%d rated it", won)
		}
		r.Clock.Advance(time.Hour)
		first, err := r.Feedback.GetHandoverQuality(ctx, &pb.GetHandoverQualityRequest{HandoffId: h.GetId()})
		if err != nil || first.GetScore() != 2 || first.GetRevision() != 1 || first.GetEtag() != "1" || first.GetCustomerId() != id ||
			first.GetOpportunityId() != h.GetPayload().GetClosedWon().GetOpportunityId() || first.GetJourneyId() != h.GetJourneyId() {
			t.Fatalf("%v, %v", first, err)
		}
		correction := &pb.CorrectHandoverQualityRequest{HandoffId: h.GetId(), Etag: "1", Score: 4, CorrectionReason: "連携は予定どおり"}
		second, err := r.Feedback.CorrectHandoverQuality(ctx, correction)
		if err != nil || second.GetRevision() != 2 || second.GetScore() != 4 || len(second.GetBrokenPromises()) != 0 {
			t.Fatalf("%v, %v", second, err)
		}
		var mismatch *etag.MismatchError
		if _, err := r.Feedback.CorrectHandoverQuality(ctx, correction); !errors.As(err, &mismatch) {
			t.Errorf("an old etag: %v", err)
		}
		got, err := r.Feedback.GetHandoverQuality(ctx, &pb.GetHandoverQualityRequest{HandoffId: h.GetId()})
		if err != nil || got.GetScore() != 4 || len(got.GetEarlier()) != 1 || !proto.Equal(got.GetEarlier()[0], first) {
			t.Errorf("%v, %v", got, err)
		}
		// A later deal of the customer has a rating of its own; the list shows each as it is now.
		r.Clock.Advance(time.Hour)
		further := rig.Further(h, rig.Line(3, 13_000))
		customer(t, r, further)
		if _, err := r.Feedback.RateHandover(ctx, &pb.RateHandoverRequest{HandoffId: further.GetId(), Score: 5}); err != nil {
			t.Fatal(err)
		}
		res, err := r.Feedback.ListHandoverQualities(ctx, &pb.ListHandoverQualitiesRequest{CustomerId: id})
		if err != nil || len(res.GetHandoverQualities()) != 2 || res.GetHandoverQualities()[0].GetScore() != 5 || res.GetHandoverQualities()[1].GetScore() != 4 {
			t.Errorf("%v, %v", res, err)
		}
		subjects, journeys := told(t, r, &pb.HandoverQualityRated{})
		if len(subjects) != 3 || !strings.HasPrefix(subjects[1], "feedback/") || subjects[0] == subjects[1] || journeys[2] != further.GetJourneyId() {
			t.Errorf("told %v of %v", subjects, journeys)
		}
	})
}

func TestNpsResponse(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx := rig.As(t.Context(), "sato")
		id := customer(t, r, rig.Handoff(nil))
		req := &pb.CreateNpsResponseRequest{CustomerId: id, InvitationId: "2026-04-0001", Score: proto.Int32(0), Verbatim: "使いこなせない"}
		ids := make([]string, 6)
		var wg sync.WaitGroup
		for i := range ids { // the answer arrives several times
			wg.Go(func() {
				n, err := r.Feedback.CreateNpsResponse(ctx, req)
				if err != nil {
					t.Error(err)
				}
				ids[i] = n.GetId()
			})
		}
		wg.Wait()
		if len(slices.Compact(ids)) != 1 {
			t.Errorf("one answer became %v", ids)
		}
		req.Score = proto.Int32(9)
		if _, err := r.Feedback.CreateNpsResponse(ctx, req); !errors.Is(err, problem.Exists("", "")) {
			t.Errorf("another answer to the same invitation: %v", err)
		}
		r.Clock.Advance(time.Minute)
		for range 2 { // without an invitation each is an answer of its own
			if _, err := r.Feedback.CreateNpsResponse(ctx, &pb.CreateNpsResponseRequest{CustomerId: id, Score: proto.Int32(9)}); err != nil {
				t.Fatal(err)
			}
		}
		for category, n := range map[pb.NpsResponse_Category]int{0: 3, pb.NpsResponse_CATEGORY_DETRACTOR: 1, pb.NpsResponse_CATEGORY_PROMOTER: 2, pb.NpsResponse_CATEGORY_PASSIVE: 0} {
			res, err := r.Feedback.ListNpsResponses(ctx, &pb.ListNpsResponsesRequest{Category: category})
			if err != nil || len(res.GetNpsResponses()) != n {
				t.Errorf("%v: %v, %v", category, res, err)
			}
		}
		if subjects, _ := told(t, r, &pb.NpsResponseRecorded{}); len(subjects) != 3 {
			t.Errorf("told %v", subjects)
		}
	})
}

func TestAdvocatesReferralsAndFit(t *testing.T) {
	rig.Engines(t, func(t *testing.T, r *rig.Rig) {
		ctx, h := rig.As(t.Context(), "sato"), rig.Handoff(nil)
		id := customer(t, r, h)
		illegal := problem.IllegalTransition("", "", "", nil)
		if _, err := r.Feedback.EndAdvocacy(ctx, &pb.EndAdvocacyRequest{CustomerId: id}); !errors.Is(err, illegal) {
			t.Errorf("ended before it began: %v", err)
		}
		a, err := r.Feedback.MarkAdvocate(ctx, &pb.MarkAdvocateRequest{CustomerId: id, Note: "事例記事", Contact: &typev1.Person{Mail: "Tanaka@Example.co.jp"}})
		if err != nil || !a.GetIsAdvocate() || a.GetRevision() != 1 || a.GetContact().GetMail() != "tanaka@example.co.jp" {
			t.Fatalf("%v, %v", a, err)
		}
		if _, err := r.Feedback.MarkAdvocate(ctx, &pb.MarkAdvocateRequest{CustomerId: id}); !errors.Is(err, illegal) {
			t.Errorf("twice: %v", err)
		}
		first := a
		r.Clock.Advance(time.Minute)
		a, err = r.Feedback.EndAdvocacy(ctx, &pb.EndAdvocacyRequest{CustomerId: id, Note: "担当者の退職"})
		if err != nil || a.GetIsAdvocate() || a.GetRevision() != 2 {
			t.Fatalf("%v, %v", a, err)
		}
		for want, req := range map[int]*pb.ListAdvocaciesRequest{2: {CustomerId: id}, 1: {IsAdvocate: proto.Bool(true)}} {
			if res, err := r.Feedback.ListAdvocacies(ctx, req); err != nil || len(res.GetAdvocacies()) != want {
				t.Errorf("%v: %v, %v", req, res, err)
			}
		}

		ref, err := r.Feedback.CreateReferral(ctx, &pb.CreateReferralRequest{
			CustomerId: id, Person: &typev1.Person{Name: &typev1.PersonName{Family: "鈴木", Given: "次郎"}, Mail: "jiro@other.example.jp"},
			Company: &typev1.Company{Name: "株式会社アザー"},
		})
		if err != nil || ref.GetPerson().GetName().GetFull() != "鈴木 次郎" || ref.GetJourneyId() != h.GetJourneyId() {
			t.Fatalf("%v, %v", ref, err)
		}
		if _, err := r.Feedback.CreateReferral(ctx, &pb.CreateReferralRequest{CustomerId: id, Person: &typev1.Person{Phone: "later"}}); !errors.Is(err, problem.Invalid()) {
			t.Errorf("nobody could reach that person: %v", err)
		}
		if res, err := r.Feedback.ListReferrals(ctx, &pb.ListReferralsRequest{CustomerId: id}); err != nil || len(res.GetReferrals()) != 1 || !proto.Equal(res.GetReferrals()[0], ref) {
			t.Errorf("%v, %v", res, err)
		}

		for _, fit := range []pb.FitSignal_Fit{pb.FitSignal_FIT_GOOD, pb.FitSignal_FIT_POOR} {
			if _, err := r.Feedback.CreateFitSignal(ctx, &pb.CreateFitSignalRequest{CustomerId: id, Fit: fit, Reasons: []string{"INDUSTRY"}}); err != nil {
				t.Fatal(err)
			}
		}
		if res, err := r.Feedback.ListFitSignals(ctx, &pb.ListFitSignalsRequest{Fit: pb.FitSignal_FIT_POOR}); err != nil || len(res.GetFitSignals()) != 1 {
			t.Errorf("%v, %v", res, err)
		}
		for want, of := range map[string]proto.Message{
			"feedback/" + first.GetId(): &pb.AdvocacyChanged{}, "feedback/" + ref.GetId(): &pb.ReferralRecorded{},
		} {
			if subjects, journeys := told(t, r, of); len(subjects) == 0 || subjects[0] != want || journeys[0] != h.GetJourneyId() {
				t.Errorf("told %v of %v", subjects, journeys)
			}
		}
		if subjects, _ := told(t, r, &pb.FitSignalRecorded{}); len(subjects) != 2 {
			t.Errorf("told %v", subjects)
		}
	})
}
