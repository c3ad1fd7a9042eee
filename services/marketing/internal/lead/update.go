package lead

import (
	"cmp"
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	pb "github.com/tasuki-project/tasuki/proto/gen/tasuki/marketing/v1"
	"github.com/tasuki-project/tasuki/services/internal/platform/access"
	"github.com/tasuki-project/tasuki/services/internal/platform/etag"
	"github.com/tasuki-project/tasuki/services/internal/platform/event"
	"github.com/tasuki-project/tasuki/services/internal/platform/problem"
	"github.com/tasuki-project/tasuki/services/internal/platform/store"
)

// UpdateLead implements the contract.
func (s *Server) UpdateLead(ctx context.Context, req *pb.UpdateLeadRequest) (*pb.Lead, error) {
	mask := maskOf(req)
	return RetryUnique(ctx, s.desk.DB, func(tx store.Tx) (*pb.Lead, error) {
		l, err := getForUpdate(ctx, tx, req.GetId(), etag.Match(req.GetEtag()))
		if err != nil {
			return nil, err
		}
		if err := s.desk.update(ctx, tx, l, req, mask); err != nil {
			return nil, err
		}
		return s.desk.Proto(l, s.desk.Clock.Now()), nil
	})
}

func (d *Desk) update(ctx context.Context, tx store.Tx, l *Lead, req *pb.UpdateLeadRequest, mask []string) error {
	person, company := l.Person, l.Company
	company.inferred = false
	edit(&person, &company, req, mask)
	person.tidy()
	company.tidy(d.Model, "")
	if err := reachable(person); err != nil {
		return err
	}
	b, err := d.readBook(ctx, tx, nil, []string{person.MatchKey()}, screenedDomains(person, company),
		[]string{"d:" + company.Domain}, []string{company.nameKey()})
	if err != nil {
		return err
	}
	if b.suppressed[person.MatchKey()] {
		return problem.GuardNotMet("update", "not_erased")
	}
	if other := b.known[person.MatchKey()]; other != "" && other != l.ID {
		return problem.Exists("lead", other)
	}
	b.add(l)
	if changed := slices.ContainsFunc(mask, func(path string) bool { return path == "person" || under(path, "person") }); changed {
		if gone, err := d.People.Erased(ctx, tx, person.ID); err != nil || gone {
			return cmp.Or(err, error(problem.GuardNotMet("update", "not_erased")))
		}
		l.Person = person
		b.changedPeople[person.ID] = true
	}
	if changed := slices.ContainsFunc(mask, func(path string) bool { return path == "company" || under(path, "company") }); changed {
		b.editCompany(l, company)
	}
	if slices.Contains(mask, "notes") {
		l.Notes = req.GetNotes()
	}
	now := d.Clock.Now()
	if err := b.flush(ctx, tx, access.ActorOf(ctx).ID, now); err != nil {
		return err
	}
	return d.reconsider(ctx, tx, l, b)
}

// reconsider screens, scores and offers a lead again whose facts have changed.
func (d *Desk) reconsider(ctx context.Context, tx store.Tx, l *Lead, b *book) error {
	now := d.Clock.Now()
	l.rescore(d.Model, now)
	if l.screenable() {
		if err := l.Screen(ruleFor(b.rules, screenedDomains(l.Person, l.Company)), now); err != nil {
			return err
		}
	}
	l.Consider(d.Model, "", now)
	if l.State == MQL {
		l.Missing, l.ready = l.stillMissing(), true
	}
	if err := d.offerIfReady(ctx, tx, l, scorer); err != nil {
		return err
	}
	updated := d.Proto(l, now)
	updated.Etag = etagOf(l.Version + 1)
	return d.save(ctx, tx, l, event.Event{
		Subject: subject(l.ID), SubjectVersion: l.Version + 1, JourneyID: l.JourneyID, Data: &pb.LeadUpdated{Lead: updated},
	})
}

// editCompany gives the lead's company new values. When they say that it is another company which is known, the lead goes
// over to that one.
func (b *book) editCompany(l *Lead, company Company) {
	switch found := b.find(company); {
	case company.isNone():
		l.Company = Company{}
	case found != nil && found.ID != l.Company.ID:
		b.fillCompany(found, company)
		l.Company = *found
	case l.Company.ID == "":
		l.Company = b.company(company)
	default:
		company.matchKey = company.key()
		b.companies[company.ID] = &company
		b.changedCompanies[company.ID] = true
		l.Company = company
	}
}

func under(path, parent string) bool {
	return len(path) > len(parent) && path[:len(parent)+1] == parent+"."
}

// maskOf is what a request changes: its mask, with `person` and `company` spelt out, or everything that it fills.
func maskOf(req *pb.UpdateLeadRequest) []string {
	p, c := req.GetPerson(), req.GetCompany()
	filled := map[string]bool{
		"person.name": proto.Size(p.GetName()) > 0, "person.mail": p.GetMail() != "", "person.phone": p.GetPhone() != "",
		"person.title": p.GetTitle() != "", "company.name": c.GetName() != "", "company.domain": c.GetDomain() != "",
		"company.industry": c.GetIndustry() != "", "company.employees": c.GetEmployees() != 0, "notes": req.GetNotes() != "",
	}
	paths := req.GetUpdateMask().GetPaths()
	var mask []string
	for path, isFilled := range filled {
		named := slices.ContainsFunc(paths, func(p string) bool { return p == path || under(path, p) })
		if named || len(paths) == 0 && isFilled {
			mask = append(mask, path)
		}
	}
	slices.Sort(mask)
	return mask
}

// edit takes over what the mask names.
func edit(person *Person, company *Company, req *pb.UpdateLeadRequest, mask []string) {
	p, c := personOf(req.GetPerson()), companyOf(req.GetCompany())
	for _, path := range mask {
		switch path {
		case "person.name":
			person.Name = p.Name
		case "person.mail":
			person.Mail = p.Mail
		case "person.phone":
			person.Phone = p.Phone
		case "person.title":
			person.Title = p.Title
		case "company.name":
			company.Name = c.Name
		case "company.domain":
			company.Domain = c.Domain
		case "company.industry":
			company.Industry = c.Industry
		case "company.employees":
			company.Employees = c.Employees
		}
	}
}
