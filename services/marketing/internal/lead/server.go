package lead

import (
	"context"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/batch"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/party"
	"github.com/tasuki-project/tasuki/services/internal/platform/party/people"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// Server serves LeadService.
type Server struct {
	pb.UnimplementedLeadServiceServer
	desk *Desk
}

// NewServer makes the server.
func NewServer(d *Desk) *Server { return &Server{desk: d} }

// RetryUnique is store.Write for captures: when a rival has stored the same person, company or submission meanwhile, it runs
// fn again, which then finds them.
func RetryUnique[T any](ctx context.Context, db *store.DB, fn func(tx store.Tx) (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		result, err := store.Write(ctx, db, fn)
		if _, unique := store.IsUnique(err); !unique || attempt == 5 {
			return result, err
		}
	}
}

// CaptureLead implements the contract.
func (s *Server) CaptureLead(ctx context.Context, req *pb.CaptureLeadRequest) (*pb.Lead, error) {
	c := Capture{
		Person: personOf(req.GetPerson()), Company: companyOf(req.GetCompany()), Touch: touchOf(req.GetTouch()),
		Source: req.GetSource(), Notes: req.GetNotes(), SubmissionID: req.GetSubmissionId(), Consents: people.ConsentsOf(req.GetConsents()),
	}
	c.Tidy(s.desk.Model, s.desk.Clock.Now())
	if err := reachable(c.Person); err != nil {
		return nil, err
	}
	return RetryUnique(ctx, s.desk.DB, func(tx store.Tx) (*pb.Lead, error) {
		results, err := s.desk.Capture(ctx, tx, []Capture{c})
		if err != nil {
			return nil, err
		}
		if results[0].Suppressed {
			return nil, problem.GuardNotMet("capture", "not_erased")
		}
		return s.desk.Proto(results[0].Lead, s.desk.Clock.Now()), nil
	})
}

// reachable refuses what nobody could write to or call.
func reachable(p Person) error {
	if p.Mail != "" && p.mailKey() == "" {
		return problem.Invalid(problem.Field("person.mail", "is no mail address: correct it, or leave it out and give a phone number").
			Ja("メールアドレスの形式ではありません。修正するか、空にして電話番号を指定してください。"))
	}
	if p.Mail == "" {
		if _, ok := party.NormalizePhone(p.Phone); !ok {
			return problem.Invalid(problem.Field("person.phone", "is no phone number: correct it, or give a mail address").
				Ja("電話番号の形式ではありません。修正するか、メールアドレスを指定してください。"))
		}
	}
	return nil
}

// GetLead implements the contract.
func (s *Server) GetLead(ctx context.Context, req *pb.GetLeadRequest) (*pb.Lead, error) {
	return store.Read(ctx, s.desk.DB, func(tx store.Tx) (*pb.Lead, error) {
		l, err := get(ctx, tx, req.GetId())
		if err != nil {
			return nil, err
		}
		return s.desk.Proto(l, s.desk.Clock.Now()), nil
	})
}

// change runs one command on one lead, in a transaction of its own.
func (s *Server) change(ctx context.Context, id, tag string, fn func(tx store.Tx, l *Lead) ([]event.Event, error)) (*pb.Lead, error) {
	return store.Write(ctx, s.desk.DB, func(tx store.Tx) (*pb.Lead, error) { return s.changeIn(ctx, tx, id, tag, fn) })
}

// changeIn runs one command on one lead, in the caller's transaction.
func (s *Server) changeIn(ctx context.Context, tx store.Tx, id, tag string, fn func(tx store.Tx, l *Lead) ([]event.Event, error)) (*pb.Lead, error) {
	l, err := getForUpdate(ctx, tx, id, etag.Match(tag))
	if err != nil {
		return nil, err
	}
	events, err := fn(tx, l)
	if err != nil {
		return nil, err
	}
	if err := s.desk.save(ctx, tx, l, events...); err != nil {
		return nil, err
	}
	return s.desk.Proto(l, s.desk.Clock.Now()), nil
}

// ScreenLead implements the contract.
func (s *Server) ScreenLead(ctx context.Context, req *pb.ScreenLeadRequest) (*pb.Lead, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(tx store.Tx, l *Lead) ([]event.Event, error) {
		return nil, s.desk.screen(ctx, tx, l)
	})
}

// OverturnExclusion implements the contract.
func (s *Server) OverturnExclusion(ctx context.Context, req *pb.OverturnExclusionRequest) (*pb.Lead, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(tx store.Tx, l *Lead) ([]event.Event, error) {
		now := s.desk.Clock.Now()
		if err := l.Include(access.ActorOf(ctx), req.GetNote(), now); err != nil {
			return nil, err
		}
		// What it did before it was excluded counts now.
		l.Consider(s.desk.Model, l.Last.Action, now)
		return nil, s.desk.offerIfReady(ctx, tx, l, scorer)
	})
}

// QualifyLead implements the contract.
func (s *Server) QualifyLead(ctx context.Context, req *pb.QualifyLeadRequest) (*pb.Lead, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), s.qualify(ctx, req))
}

// BatchQualifyLeads implements the contract.
func (s *Server) BatchQualifyLeads(ctx context.Context, req *pb.BatchQualifyLeadsRequest) (*pb.BatchQualifyLeadsResponse, error) {
	qualify := batch.Command[*pb.QualifyLeadRequest, *pb.Lead]{
		Prepare: hold,
		Do: func(ctx context.Context, tx store.Tx, req *pb.QualifyLeadRequest) (*pb.Lead, error) {
			return s.changeIn(ctx, tx, req.GetId(), req.GetEtag(), s.qualify(ctx, req))
		},
	}
	return batch.Run(ctx, s.desk.DB, req.GetRequests(), qualify, func(outcomes []batch.Outcome[*pb.Lead]) *pb.BatchQualifyLeadsResponse {
		resp := &pb.BatchQualifyLeadsResponse{}
		for _, o := range outcomes {
			outcome := &pb.LeadOutcome{Outcome: &pb.LeadOutcome_Lead{Lead: o.Done}}
			if o.Refused != nil {
				outcome.Outcome = &pb.LeadOutcome_Error{Error: o.Refused}
			}
			resp.Outcomes = append(resp.Outcomes, outcome)
		}
		return resp
	})
}

func (s *Server) qualify(ctx context.Context, req *pb.QualifyLeadRequest) func(tx store.Tx, l *Lead) ([]event.Event, error) {
	return func(tx store.Tx, l *Lead) ([]event.Event, error) {
		by := access.ActorOf(ctx)
		if err := l.Qualify(by, req.GetReason(), req.GetNote(), s.desk.Clock.Now()); err != nil {
			return nil, err
		}
		if len(l.Missing) > 0 {
			return nil, nil
		}
		return nil, s.desk.offer(ctx, tx, l, by)
	}
}

// DisqualifyLead implements the contract.
func (s *Server) DisqualifyLead(ctx context.Context, req *pb.DisqualifyLeadRequest) (*pb.Lead, error) {
	return s.change(ctx, req.GetId(), req.GetEtag(), func(_ store.Tx, l *Lead) ([]event.Event, error) {
		return nil, l.Disqualify(access.ActorOf(ctx), req.GetReason(), req.GetNote(), s.desk.Clock.Now())
	})
}

// screen asks today's rules.
func (d *Desk) screen(ctx context.Context, tx store.Tx, l *Lead) error {
	if err := l.check(Screen); err != nil {
		return err
	}
	b, err := d.readBook(ctx, tx, nil, nil, screenedDomains(l.Person, l.Company), nil, nil)
	if err != nil {
		return err
	}
	return l.Screen(ruleFor(b.rules, screenedDomains(l.Person, l.Company)), d.Clock.Now())
}
