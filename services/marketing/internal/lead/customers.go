package lead

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	customersuccessv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/customersuccess/v1"
	feedv1 "github.com/tasuki-project/tasuki/proto/gen/tasuki/feed/v1"
	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/civil"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/page"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// CustomerSuccessEvents are the events that FollowCustomers has a use for.
var CustomerSuccessEvents = []string{
	"tasuki.customersuccess.v1.NpsResponseRecorded", "tasuki.customersuccess.v1.AdvocacyChanged",
	"tasuki.customersuccess.v1.ReferralRecorded", "tasuki.customersuccess.v1.FitSignalRecorded",
	"tasuki.customersuccess.v1.CustomerChurned", "tasuki.customersuccess.v1.CustomerStateChanged",
}

// FollowCustomers takes in what customer success tells of the customers that leads became. A referral makes a lead of the
// person who was named. Customers that did not begin here are passed over.
func (d *Desk) FollowCustomers(ctx context.Context, tx store.Tx, ev *feedv1.Event) error {
	data, err := ev.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("lead: event %s: %w", ev.GetId(), err)
	}
	switch e := data.(type) {
	case *customersuccessv1.NpsResponseRecorded:
		n := e.GetNpsResponse()
		score := n.GetScore()
		return d.hear(ctx, tx, ev, e.GetPersonId(), Signal{
			Kind: SignalNPS, CustomerID: n.GetCustomerId(), Score: &score, Note: n.GetVerbatim(), At: instant(n.GetAnsweredAt(), ev),
		})
	case *customersuccessv1.AdvocacyChanged:
		a := e.GetAdvocacy()
		kind := SignalAdvocateEnded
		if a.GetIsAdvocate() {
			kind = SignalAdvocate
		}
		return d.hear(ctx, tx, ev, e.GetPersonId(), Signal{
			Kind: kind, CustomerID: a.GetCustomerId(), Note: a.GetNote(), At: instant(a.GetCreateTime(), ev),
		})
	case *customersuccessv1.FitSignalRecorded:
		f := e.GetFitSignal()
		kind := SignalGoodFit
		if f.GetFit() == customersuccessv1.FitSignal_FIT_POOR {
			kind = SignalPoorFit
		}
		return d.hear(ctx, tx, ev, e.GetPersonId(), Signal{
			Kind: kind, CustomerID: f.GetCustomerId(), Reasons: f.GetReasons(), Note: f.GetNote(), At: instant(f.GetCreateTime(), ev),
		})
	case *customersuccessv1.CustomerChurned:
		at := instant(nil, ev)
		if day, ok := civil.FromProto(e.GetEffectiveDate()); ok && day != "" {
			at = day.Start()
		}
		return d.hear(ctx, tx, ev, e.GetPersonId(), Signal{
			Kind: SignalChurned, CustomerID: e.GetCustomerId(), Reasons: []string{e.GetReason()}, Note: e.GetNote(), At: at,
		})
	case *customersuccessv1.CustomerStateChanged:
		if e.GetFrom() != customersuccessv1.Customer_STATE_CHURNED {
			return nil
		}
		return d.hear(ctx, tx, ev, "", Signal{
			Kind: SignalReturned, CustomerID: e.GetCustomerId(), Note: e.GetNote(), At: instant(nil, ev),
		})
	case *customersuccessv1.ReferralRecorded:
		return d.refer(ctx, tx, ev, e)
	}
	return nil
}

// instant is a time of an event as tables hold it; the one of the event itself where it says none.
func instant(t *timestamppb.Timestamp, ev *feedv1.Event) time.Time {
	if t == nil {
		t = ev.GetAt()
	}
	return t.AsTime().Truncate(time.Microsecond)
}

// hear adds a signal to the lead of a journey, or else of a person.
func (d *Desk) hear(ctx context.Context, tx store.Tx, ev *feedv1.Event, personID string, s Signal) error {
	l, err := byCustomer(ctx, tx, ev.GetJourneyId(), personID)
	if err != nil || l == nil {
		return err
	}
	erased, err := d.People.Erased(ctx, tx, l.Person.ID)
	if err != nil {
		return err
	}
	if erased {
		s.Note = "" // what was written may tell who it was
	}
	l.Hear(s)
	heard := l.heard[len(l.heard)-1]
	return d.save(ctx, tx, l, event.Event{
		Subject: subject(l.ID), SubjectVersion: l.Version + 1, JourneyID: l.JourneyID,
		Data: &pb.LeadCustomerSignalReceived{
			LeadId: l.ID, JourneyId: l.JourneyID, Signal: signalProto(heard), CustomerSignals: signalsProto(l.Signals),
		},
	})
}

// refer captures the person whom a customer named. The id of the referral is the one of the submission: the same referral
// never makes a second lead.
func (d *Desk) refer(ctx context.Context, tx store.Tx, ev *feedv1.Event, e *customersuccessv1.ReferralRecorded) error {
	r := e.GetReferral()
	at := instant(r.GetCreateTime(), ev)
	c := Capture{
		Person: personOf(r.GetPerson()), Company: companyOf(r.GetCompany()), Source: ReferralSource, Notes: r.GetNote(),
		Touch:        Touch{Channel: ReferralSource, Action: "referral", At: at},
		SubmissionID: "referral/" + r.GetId(),
		Referral: &Referral{
			ReferralID: r.GetId(), CustomerID: r.GetCustomerId(), AccountID: r.GetAccountId(), JourneyID: ev.GetJourneyId(),
			PersonID: r.GetReferredBy().GetId(), At: at,
		},
	}
	c.Tidy(d.Model, d.Clock.Now())
	if c.Person.MatchKey() == "" { // customer success refuses these
		return fmt.Errorf("lead: referral %s names nobody who can be reached", r.GetId())
	}
	results, err := d.Capture(ctx, tx, []Capture{c})
	if err != nil || results[0].Repeated {
		return err
	}
	return d.hear(ctx, tx, ev, e.GetPersonId(), Signal{
		Kind: SignalReferral, CustomerID: r.GetCustomerId(), ReferralID: r.GetId(), At: at,
	})
}

// ReferralSource is the source and channel of leads whom a customer named.
const ReferralSource = "REFERRAL"

// byCustomer reads the lead that became a customer to change it: the one of the journey, else the latest of the person;
// nil when there is none.
func byCustomer(ctx context.Context, tx store.Tx, journeyID, personID string) (*Lead, error) {
	if journeyID != "" {
		if l, err := byJourney(ctx, tx, journeyID); l != nil || err != nil {
			return l, err
		}
	}
	if personID == "" {
		return nil, nil
	}
	l, err := scan(tx.QueryRow(ctx, selectLead+` WHERE l.person_id = (SELECT COALESCE(merged_into, id) FROM people WHERE id = $1)
		ORDER BY l.id DESC LIMIT 1`+forUpdate(tx.Dialect()), personID))
	if errors.Is(err, store.ErrNoRows) {
		return nil, nil
	}
	return l, err
}

// ListLeadCustomerSignals implements the contract.
func (s *Server) ListLeadCustomerSignals(ctx context.Context, req *pb.ListLeadCustomerSignalsRequest) (*pb.ListLeadCustomerSignalsResponse, error) {
	query, limit := page.Bind(req), page.Limit(req.GetPageSize())
	var after int64
	if _, err := query.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	type row struct {
		Seq              int64
		Kind, CustomerID string
		Score            *int32
		Reasons          store.JSON[[]string]
		Note, ReferralID string
		At               time.Time
	}
	return store.Read(ctx, s.desk.DB, func(tx store.Tx) (*pb.ListLeadCustomerSignalsResponse, error) {
		if _, err := get(ctx, tx, req.GetId()); err != nil {
			return nil, err
		}
		rows, err := store.Select[row](ctx, tx, `
			SELECT seq, kind, customer_id, score, reasons, note, referral_id, at FROM lead_customer_signals
			WHERE lead_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, req.GetId(), after, limit+1)
		if err != nil {
			return nil, err
		}
		rows, next := page.Cut(rows, limit, func(last row) string { return query.Encode(last.Seq) })
		out := &pb.ListLeadCustomerSignalsResponse{NextPageToken: next}
		for _, r := range rows {
			out.Signals = append(out.Signals, signalProto(Signal{
				Seq: r.Seq, Kind: SignalKind(r.Kind), CustomerID: r.CustomerID, Score: r.Score, Reasons: r.Reasons.V, Note: r.Note,
				ReferralID: r.ReferralID, At: r.At,
			}))
		}
		return out, nil
	})
}

func signalProto(s Signal) *pb.CustomerSignal {
	return &pb.CustomerSignal{
		Seq: int32(s.Seq), Kind: pb.CustomerSignal_Kind(pb.CustomerSignal_Kind_value["KIND_"+string(s.Kind)]), CustomerId: s.CustomerID,
		Score: s.Score, Reasons: s.Reasons, Note: s.Note, ReferralId: s.ReferralID, At: timeProto(s.At),
	}
}

func signalsProto(s *Signals) *pb.CustomerSignals {
	if s == nil {
		return nil
	}
	out := &pb.CustomerSignals{
		CustomerId: s.CustomerID, NpsScore: s.NPS, NpsVerbatim: s.Verbatim, IsAdvocate: s.Advocate, Fit: s.Fit, FitReasons: s.FitReasons,
		ChurnReason: s.ChurnReason, ReferralCount: s.ReferralCount,
	}
	for _, t := range []struct {
		from *time.Time
		to   **timestamppb.Timestamp
	}{{s.NPSAt, &out.NpsAt}, {s.AdvocateAt, &out.AdvocateAt}, {s.FitAt, &out.FitAt}, {s.ChurnedAt, &out.ChurnedAt}} {
		if t.from != nil {
			*t.to = timeProto(*t.from)
		}
	}
	return out
}

func referralProto(r *Referral) *pb.LeadReferral {
	if r == nil {
		return nil
	}
	return &pb.LeadReferral{
		ReferralId: r.ReferralID, CustomerId: r.CustomerID, AccountId: r.AccountID, JourneyId: r.JourneyID, PersonId: r.PersonID,
		At: timeProto(r.At),
	}
}

// signalRow is a signal as its table holds it.
func signalRow(l *Lead, s Signal, now time.Time) []any {
	return []any{l.ID, s.Seq, string(s.Kind), s.CustomerID, s.Score, store.JSONOf(s.Reasons), s.Note, s.ReferralID, s.At, now}
}
